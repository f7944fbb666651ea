//! Tags: behind `|#` as DogStatsD has them, or in the name as InfluxDB, SignalFx and Librato do.
//!
//! statsd_exporter's rules: SignalFx' brackets are looked for first, then whichever of `#` and `,`
//! comes first ends the name. Brackets in the wrong order are no tags.

use memchr::{memchr, memchr2};

/// How tags are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `|#k:v,bare`
    DogStatsd,
    /// `k=v,k=v` in the name
    InName,
}

/// A name without the tags that stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name is these two in a row.
    pub parts: [&'a [u8]; 2],
    pub tags: &'a [u8],
    /// One bracket without the other.
    pub has_stray_bracket: bool,
}

impl<'a> Name<'a> {
    pub fn split(name: &'a [u8]) -> Name<'a> {
        let plain = Name { parts: [name, &[]], tags: &[], has_stray_bracket: false };
        // na[k=v,k2=v2]me
        //   ^         ^
        match (memchr(b'[', name), memchr(b']', name)) {
            (Some(open), Some(close)) if open < close => {
                let parts = [&name[..open], &name[close + 1..]];
                return Name { parts, tags: &name[open + 1..close], ..plain };
            }
            (None, None) => {}
            _ => return Name { has_stray_bracket: true, ..plain },
        }
        // name,k=v,k2=v2 and name#k=v,k2=v2
        //     ^                  ^
        match memchr2(b'#', b',', name) {
            Some(end) => Name { parts: [&name[..end], &[]], tags: &name[end + 1..], ..plain },
            None => plain,
        }
    }
}

/// One tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag<'a> {
    Pair(&'a [u8], &'a [u8]),
    /// A key alone; DogStatsD has such.
    Bare(&'a [u8]),
    /// No key, no value, or in a name no `=`.
    Bad,
}

/// The tags of a section; empty ones of DogStatsD are left out.
#[derive(Clone, Debug)]
pub struct Tags<'a> {
    dialect: Dialect,
    rest: &'a [u8],
}

impl<'a> Tags<'a> {
    pub fn new(text: &'a [u8], dialect: Dialect) -> Tags<'a> {
        Tags { dialect, rest: text }
    }

    fn tag(&self, text: &'a [u8]) -> Tag<'a> {
        let (text, separator) = match self.dialect {
            // Some clients write `|#a:1,#b:2`.
            Dialect::DogStatsd => (text.strip_prefix(b"#").unwrap_or(text), b':'),
            Dialect::InName => (text, b'='),
        };
        match memchr(separator, text) {
            Some(at) if at > 0 && at + 1 < text.len() => Tag::Pair(&text[..at], &text[at + 1..]),
            None if self.dialect == Dialect::DogStatsd && !text.is_empty() => Tag::Bare(text),
            _ => Tag::Bad,
        }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        while !self.rest.is_empty() {
            let end = memchr(b',', self.rest).unwrap_or(self.rest.len());
            let text = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !text.is_empty() || self.dialect == Dialect::InName {
                return Some(self.tag(text));
            }
        }
        None
    }
}
