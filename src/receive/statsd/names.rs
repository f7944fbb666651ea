//! Names and tags of StatsD as Prometheus has them.
//!
//! statsd_exporter's rules for characters: what is no letter, digit or underscore becomes one
//! underscore per character, a run of dashes one for all of them, and a leading digit gets one in
//! front. Then the suffixes of the OpenTelemetry Prometheus translation: `_seconds` for timers,
//! `_total` for counters. Values of tags stay as they are.
//!
//! Leaves out Datadog's `dd.internal.` tags, which speak to its agent alone.
//! Invariant: equal label sets have equal bytes, whatever the order and dialect of their tags.

use crate::codec::statsd::{Dialect, Kind, Name, Tag, Tags};
use crate::model::Label;

use super::config::Timers;

/// Longest name, longest tag key and longest tag value, as sent; longer ones refuse the line.
pub const TEXT_BYTES_MAX: usize = 250;

/// Most tags on a line; more refuse the line.
pub const TAGS_MAX: usize = 32;

/// What a family is made of; all its series are of one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Counter,
    Gauge,
    Set,
    Histogram,
    Summary,
    Exponential,
}

impl Form {
    pub fn of(kind: Kind, timers: Timers) -> Form {
        match (kind, timers) {
            (Kind::Counter, _) => Form::Counter,
            (Kind::Gauge, _) => Form::Gauge,
            (Kind::Set, _) => Form::Set,
            (_, Timers::Histogram) => Form::Histogram,
            (_, Timers::Summary) => Form::Summary,
            (_, Timers::Exponential) => Form::Exponential,
            (_, Timers::Gauge) => Form::Gauge,
        }
    }

    /// Several series under suffixed names.
    pub fn is_observer(self) -> bool {
        matches!(self, Form::Histogram | Form::Summary | Form::Exponential)
    }
}

/// Where a name or a value stands in the scratch text.
type Range = std::ops::Range<usize>;

/// A line's name and tags, translated; the buffers are kept from line to line.
#[derive(Debug, Default)]
pub struct Translated {
    /// The family's name.
    pub name: String,
    /// The labels, sorted: for each the length and the name, the length and the value.
    pub labels: Vec<u8>,
    /// Tags left out because they were none, or no UTF-8.
    pub bad_tags: u64,
    text: String,
    pairs: Vec<(Range, Range)>,
}

impl Translated {
    /// Translates what a metric is called. The error is the reason of the refusal.
    pub fn translate(
        &mut self,
        prefix: &str,
        name: &[u8],
        kind: Kind,
        tags: &[u8],
        form: Form,
    ) -> Result<(), &'static str> {
        self.begin();
        let split = Name::split(name);
        let length = split.parts[0].len() + split.parts[1].len();
        match length {
            0 => return Err("no_name"),
            1..=TEXT_BYTES_MAX => {}
            _ => return Err("name_too_long"),
        }
        self.bad_tags += u64::from(split.has_stray_bracket);
        self.tags(split.tags, Dialect::InName, form)?;
        if !self.pairs.is_empty() && !tags.is_empty() {
            return Err("mixed_tags");
        }
        self.tags(tags, Dialect::DogStatsd, form)?;
        self.name.push_str(prefix);
        let [one, two] = split.parts;
        push_clean(&mut self.name, one, prefix.is_empty());
        push_clean(&mut self.name, two, prefix.is_empty() && one.is_empty());
        push_suffix(&mut self.name, kind);
        self.finish();
        Ok(())
    }

    /// Translates a service check's name and tags to those of the gauge of all checks.
    pub fn translate_check(&mut self, check: &[u8], tags: &[u8]) -> Result<(), &'static str> {
        self.begin();
        self.tags(tags, Dialect::DogStatsd, Form::Gauge)?;
        // Last, so that it wins over a tag of that name.
        self.pair(b"check", check, Form::Gauge)?;
        self.name.push_str("statsd_service_check");
        self.finish();
        Ok(())
    }

    fn begin(&mut self) {
        self.name.clear();
        self.labels.clear();
        self.text.clear();
        self.pairs.clear();
        self.bad_tags = 0;
    }

    fn tags(&mut self, text: &[u8], dialect: Dialect, form: Form) -> Result<(), &'static str> {
        for tag in Tags::new(text, dialect) {
            match tag {
                Tag::Pair(key, value) => self.pair(key, value, form)?,
                Tag::Bare(key) => self.pair(key, b"true", form)?,
                Tag::Bad => self.bad_tags += 1,
            }
        }
        Ok(())
    }

    fn pair(&mut self, key: &[u8], value: &[u8], form: Form) -> Result<(), &'static str> {
        if key.starts_with(b"dd.internal.") {
            return Ok(());
        }
        if key.len() > TEXT_BYTES_MAX || value.len() > TEXT_BYTES_MAX {
            return Err("tag_too_long");
        }
        if self.pairs.len() == TAGS_MAX {
            return Err("too_many_tags");
        }
        let Ok(value) = std::str::from_utf8(value) else {
            self.bad_tags += 1;
            return Ok(());
        };
        let start = self.text.len();
        push_clean(&mut self.text, key, true);
        let clean = &self.text[start..];
        let is_taken = form.is_observer() && matches!(clean, "le" | "quantile");
        if clean.starts_with("__") {
            self.text.insert_str(start, "tag");
        } else if is_taken {
            self.text.insert_str(start, "tag_");
        }
        let end = self.text.len();
        self.text.push_str(value);
        self.pairs.push((start..end, end..self.text.len()));
        Ok(())
    }

    /// Sorts the labels and writes them down; of a name that comes twice the last counts.
    fn finish(&mut self) {
        let (text, pairs) = (&self.text, &mut self.pairs);
        for sorted in 1..pairs.len() {
            let mut at = sorted;
            while at > 0 && text[pairs[at].0.clone()] < text[pairs[at - 1].0.clone()] {
                pairs.swap(at, at - 1);
                at -= 1;
            }
        }
        for (at, (name, value)) in pairs.iter().enumerate() {
            let name = &text[name.clone()];
            let next = pairs.get(at + 1).map(|(next, _)| &text[next.clone()]);
            if next != Some(name) {
                push_text(&mut self.labels, name);
                push_text(&mut self.labels, &text[value.clone()]);
            }
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // TEXT_BYTES_MAX and what may be put in front fit a byte.
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Appends the labels that [`Translated`] wrote down to `out`.
pub fn push_labels<'a>(mut labels: &'a [u8], out: &mut Vec<Label<'a>>) {
    while let (Some(name), Some(value)) = (take_text(&mut labels), take_text(&mut labels)) {
        out.push(Label::new(name, value));
    }
}

fn take_text<'a>(labels: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = labels.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    *labels = rest;
    std::str::from_utf8(text).ok()
}

/// Appends `text` in the characters that names may have; at the start of one no digit.
fn push_clean(out: &mut String, text: &[u8], at_start: bool) {
    if at_start && text.first().is_some_and(u8::is_ascii_digit) {
        out.push('_');
    }
    let mut after_dash = false;
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            let is_dash = character == '-';
            let clean = character.is_ascii_alphanumeric();
            if !(is_dash && after_dash) {
                out.push(if clean { character } else { '_' });
            }
            after_dash = is_dash;
        }
        chunk.invalid().iter().for_each(|_| out.push('_'));
    }
}

/// Appends unit and `_total`, unless the name has them.
fn push_suffix(name: &mut String, kind: Kind) {
    match kind {
        Kind::Timer if name.split('_').all(|token| token != "seconds") => name.push_str("_seconds"),
        Kind::Counter if !name.ends_with("_total") => {
            // requests.total.eu
            //          ^ the translation moves it to the end
            while let Some(at) = name.find("_total_") {
                name.replace_range(at..at + "_total".len(), "");
            }
            if let Some(rest) = name.strip_prefix("total_") {
                *name = rest.to_owned();
            }
            name.push_str("_total");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(translated: &Translated) -> String {
        let mut labels = Vec::new();
        push_labels(&translated.labels, &mut labels);
        let pairs = labels.iter().map(|label| format!(" {}={}", label.name, label.value));
        let bad = (0..translated.bad_tags).map(|_| " bad".to_owned());
        translated.name.clone() + &pairs.chain(bad).collect::<String>()
    }

    fn translate(name: &[u8], kind: Kind, tags: &[u8]) -> Result<String, &'static str> {
        let form = Form::of(kind, Timers::Histogram);
        let mut translated = Translated::default();
        translated.translate("", name, kind, tags, form)?;
        Ok(shown(&translated))
    }

    #[track_caller]
    fn ok(name: &str, kind: Kind, tags: &str, expected: &str) {
        assert_eq!(translate(name.as_bytes(), kind, tags.as_bytes()).as_deref(), Ok(expected));
    }

    #[test]
    fn names() {
        ok("a.b-c", Kind::Gauge, "", "a_b_c");
        ok("a--b---c", Kind::Gauge, "", "a_b_c");
        ok("a.*.b", Kind::Gauge, "", "a___b");
        ok("2xx", Kind::Gauge, "", "_2xx");
        ok("é:x", Kind::Gauge, "", "__x");
        ok(" a b", Kind::Gauge, "", "_a_b");
        ok("a", Kind::Counter, "", "a_total");
        ok("a.total", Kind::Counter, "", "a_total");
        ok("a.total.b", Kind::Counter, "", "a_b_total");
        ok("total.a", Kind::Counter, "", "a_total");
        ok("subtotal", Kind::Counter, "", "subtotal_total");
        ok("a", Kind::Timer, "", "a_seconds");
        ok("a.seconds.b", Kind::Timer, "", "a_seconds_b");
        ok("a", Kind::Histogram, "", "a");
        ok("a", Kind::Set, "", "a");
        assert_eq!(translate(b"a\xff\xfeb", Kind::Gauge, b"").as_deref(), Ok("a__b"));
        let mut translated = Translated::default();
        translated.translate("my:", b"1x", Kind::Gauge, b"", Form::Gauge).unwrap();
        assert_eq!(translated.name, "my:1x");
    }

    #[test]
    fn tags() {
        ok("a", Kind::Gauge, "b:2,a:1,c", "a a=1 b=2 c=true");
        ok("a", Kind::Gauge, "a:1,a:2,b:x,a:3", "a a=3 b=x");
        ok("a", Kind::Gauge, "a.b:1,a-b:2", "a a_b=2");
        ok("a", Kind::Gauge, "__name__:x,9:y", "a _9=y tag__name__=x");
        ok("a", Kind::Gauge, "le:1,quantile:2", "a le=1 quantile=2");
        ok("a", Kind::Histogram, "le:1,quantile:2", "a tag_le=1 tag_quantile=2");
        ok("a", Kind::Gauge, "dd.internal.card:low,host:h", "a host=h");
        ok("a", Kind::Gauge, ":x,k:", "a bad bad");
        ok("a,k=v", Kind::Gauge, "", "a k=v");
        ok("foo.[a=b]x", Kind::Counter, "", "foo_x_total a=b");
        ok("a]b", Kind::Gauge, "", "a_b bad");
        ok("a,k", Kind::Gauge, "x:y", "a x=y bad");
        ok("a", Kind::Gauge, "v:é \"x\"", "a v=é \"x\"");
        assert_eq!(translate(b"a", Kind::Gauge, b"k:\xff,b:1").as_deref(), Ok("a b=1 bad"));
    }

    #[test]
    fn refusals_and_limits() {
        let long = |bytes: usize| "x".repeat(bytes);
        let bad = |name: &str, tags: &str, reason: &str| {
            assert_eq!(translate(name.as_bytes(), Kind::Gauge, tags.as_bytes()), Err(reason));
        };
        bad("[a=b]", "", "no_name");
        bad(&long(TEXT_BYTES_MAX + 1), "", "name_too_long");
        bad("a,k=v", "x:y", "mixed_tags");
        bad("a", &format!("k:{}", long(TEXT_BYTES_MAX + 1)), "tag_too_long");
        bad("a", &long(TEXT_BYTES_MAX + 1), "tag_too_long");
        let many: Vec<_> = (0..=TAGS_MAX).map(|at| format!("k{at}:v")).collect();
        bad("a", &many.join(","), "too_many_tags");
        assert!(translate(b"a", Kind::Gauge, many[1..].join(",").as_bytes()).is_ok());
        let longest = format!("__{}:{}", long(TEXT_BYTES_MAX - 2), long(TEXT_BYTES_MAX));
        let expected = format!("a tag{}={}", &longest[..TEXT_BYTES_MAX], long(TEXT_BYTES_MAX));
        ok("a", Kind::Gauge, &longest, &expected);
    }

    #[test]
    fn service_checks() {
        let mut translated = Translated::default();
        translated.translate_check(b"redis.up", b"check:x,env:prod").unwrap();
        assert_eq!(shown(&translated), "statsd_service_check check=redis.up env=prod");
    }
}
