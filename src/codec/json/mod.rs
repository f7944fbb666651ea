//! JSON (RFC 8259), pulled: the caller asks for the value it expects and nothing is built.
//!
//! A value of another type than the one asked for is skipped and reads as absent, and so is a value
//! that the caller does not ask for at all; who must tell them apart looks at [`Reader::kind`]
//! first. Strings and numbers are borrowed as written. Left out: documents in pieces, comments,
//! and whatever else RFC 8259 does not know. Invariants: the text is UTF-8 before reading begins;
//! depth is bounded by [`DEPTH_MAX`]; nothing recurses or allocates; what is skipped is checked as
//! strictly as what is read.

#[cfg(test)]
mod tests;
mod text;

use std::fmt;

pub use text::{push_escaped, Text};

/// Most containers open at once; a document that nests deeper is refused.
pub const DEPTH_MAX: u32 = 64;

/// Why a document was refused, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    pub reason: &'static str,
    pub offset: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

/// A place in a document. A container that was entered is read to its end, key by key or element by
/// element, before its parent goes on.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// One bit per open container, the innermost lowest; a set bit is an object.
    objects: u64,
    /// The next thing in the text is a value that nobody has read.
    pending: bool,
    /// The innermost container has had no member so far.
    fresh: bool,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, depth: 0, objects: 0, pending: true, fresh: false }
    }

    /// Checks UTF-8, once and for all.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Reader<'a>, Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Reader::new(text)),
            Err(error) => Err(Error { reason: "invalid UTF-8", offset: error.valid_up_to() }),
        }
    }

    /// How many bytes of the text are read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// What the unread value is.
    pub fn kind(&mut self) -> Result<Kind, Error> {
        if !self.pending {
            return self.fail("no value to read");
        }
        match self.byte_after_space() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => self.fail("expected a value"),
            None => self.fail("unexpected end"),
        }
    }

    /// Enters an object; false where the value is none.
    pub fn object(&mut self) -> Result<bool, Error> {
        self.enter_if(Kind::Object)
    }

    /// Enters an array; false where the value is none.
    pub fn array(&mut self) -> Result<bool, Error> {
        self.enter_if(Kind::Array)
    }

    /// The next key of the object; none at its end, which is left.
    pub fn key(&mut self) -> Result<Option<Text<'a>>, Error> {
        self.skip_pending()?;
        self.next_key()
    }

    /// True before each element of the array; false at its end, which is left.
    pub fn element(&mut self) -> Result<bool, Error> {
        self.skip_pending()?;
        self.next_element()
    }

    pub fn string(&mut self) -> Result<Option<Text<'a>>, Error> {
        if self.kind()? != Kind::String {
            return self.skip().map(|()| None);
        }
        self.pending = false;
        self.scan_string().map(Some)
    }

    /// A number as written.
    pub fn number(&mut self) -> Result<Option<&'a str>, Error> {
        if self.kind()? != Kind::Number {
            return self.skip().map(|()| None);
        }
        self.pending = false;
        self.scan_number().map(Some)
    }

    pub fn boolean(&mut self) -> Result<Option<bool>, Error> {
        if self.kind()? != Kind::Boolean {
            return self.skip().map(|()| None);
        }
        let truth = self.text.as_bytes()[self.at] == b't';
        self.step().map(|()| Some(truth))
    }

    /// Passes over one value, whatever it holds.
    pub fn skip(&mut self) -> Result<(), Error> {
        let floor = self.depth;
        self.step()?;
        while self.depth > floor {
            let more = match self.in_object() {
                true => self.next_key()?.is_some(),
                false => self.next_element()?,
            };
            if more {
                self.step()?;
            }
        }
        Ok(())
    }

    /// Passes over one value and returns it as written.
    pub fn raw(&mut self) -> Result<&'a str, Error> {
        self.kind()?;
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// Passes over one value whose end an earlier walk over the same text has seen: the offset
    /// behind it.
    pub fn skip_to(&mut self, end: usize) {
        debug_assert!(self.pending && end >= self.at && self.text.is_char_boundary(end));
        self.pending = false;
        self.at = end;
    }

    /// Passes over one value however deep it nests. It is only looked at as closely as finding its
    /// end takes: strings are checked, and that as many brackets close as open.
    pub fn skip_unbounded(&mut self) -> Result<(), Error> {
        if !matches!(self.kind()?, Kind::Object | Kind::Array) {
            return self.skip();
        }
        let mut open = 0_usize;
        while let Some(byte) = self.byte_after_space() {
            match byte {
                b'"' => drop(self.scan_string()?),
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open -= 1;
                    self.at += 1;
                }
                // A character of a scalar: whole, so that what follows begins at one.
                _ => self.at += self.text[self.at..].chars().next().map_or(1, char::len_utf8),
            }
            if open == 0 {
                self.pending = false;
                return Ok(());
            }
        }
        self.fail("unexpected end")
    }

    /// Checks that nothing but blanks follows the document's one value.
    pub fn end(&mut self) -> Result<(), Error> {
        self.skip_pending()?;
        if self.depth > 0 {
            return self.fail("a container is still open");
        }
        match self.byte_after_space() {
            None => Ok(()),
            Some(_) => self.fail("text after the document"),
        }
    }

    fn skip_pending(&mut self) -> Result<(), Error> {
        if self.pending {
            self.skip()?;
        }
        Ok(())
    }

    /// Reads one scalar, or enters one container.
    fn step(&mut self) -> Result<(), Error> {
        let kind = self.kind()?;
        self.pending = false;
        match kind {
            Kind::Object | Kind::Array => self.enter(kind),
            Kind::String => self.scan_string().map(drop),
            Kind::Number => self.scan_number().map(drop),
            Kind::Null => self.scan_word("null"),
            Kind::Boolean if self.text.as_bytes()[self.at] == b't' => self.scan_word("true"),
            Kind::Boolean => self.scan_word("false"),
        }
    }

    fn enter_if(&mut self, kind: Kind) -> Result<bool, Error> {
        if self.kind()? != kind {
            return self.skip().map(|()| false);
        }
        self.pending = false;
        self.enter(kind).map(|()| true)
    }

    fn enter(&mut self, kind: Kind) -> Result<(), Error> {
        if self.depth == DEPTH_MAX {
            return self.fail("nested too deeply");
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(kind == Kind::Object);
        self.fresh = true;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
        self.fresh = false;
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects & 1 == 1
    }

    fn next_key(&mut self) -> Result<Option<Text<'a>>, Error> {
        if !self.in_object() {
            return self.fail("not in an object");
        }
        if !self.next_member(b'}')? {
            return Ok(None);
        }
        if self.byte_after_space() != Some(b'"') {
            return self.fail("expected a key");
        }
        let key = self.scan_string()?;
        if self.byte_after_space() != Some(b':') {
            return self.fail("expected ':'");
        }
        self.at += 1;
        self.pending = true;
        Ok(Some(key))
    }

    fn next_element(&mut self) -> Result<bool, Error> {
        if self.depth == 0 || self.in_object() {
            return self.fail("not in an array");
        }
        self.pending = self.next_member(b']')?;
        Ok(self.pending)
    }

    /// Passes the comma before a member, or leaves the container at `close`.
    fn next_member(&mut self, close: u8) -> Result<bool, Error> {
        match self.byte_after_space() {
            Some(byte) if byte == close => {
                self.leave();
                Ok(false)
            }
            Some(b',') if !self.fresh => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if self.fresh => {
                self.fresh = false;
                Ok(true)
            }
            Some(_) => self.fail("expected ',' or the end of a container"),
            None => self.fail("unexpected end"),
        }
    }

    fn byte_after_space(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn scan_string(&mut self) -> Result<Text<'a>, Error> {
        match text::scan(&self.text[self.at..]) {
            Ok((text, length)) => {
                self.at += length;
                Ok(text)
            }
            Err((reason, offset)) => Err(Error { reason, offset: self.at + offset }),
        }
    }

    fn scan_number(&mut self) -> Result<&'a str, Error> {
        let rest = &self.text[self.at..];
        match text::number_length(rest.as_bytes()) {
            Some(length) => {
                self.at += length;
                Ok(&rest[..length])
            }
            None => self.fail("malformed number"),
        }
    }

    fn scan_word(&mut self, word: &str) -> Result<(), Error> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, Error> {
        Err(Error { reason, offset: self.at })
    }
}
