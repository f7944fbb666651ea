//! The cursor both text formats share: byte classes, blanks, names and quoted strings.
//!
//! Invariants: the cursor only ever stops on ASCII bytes, so slicing its text cannot fail; reading
//! past the end gives a line feed, so a last line without one needs no case of its own.

use super::Stop;

/// What a byte may be part of; see [`CLASS`].
const NAME: u8 = 1;
const LABEL: u8 = 2;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            table[at] = NAME | LABEL;
        } else if byte == b':' {
            table[at] = NAME;
        }
        at += 1;
    }
    table
}

/// A position in the complete lines of a window.
pub(super) struct Cursor<'w> {
    text: &'w str,
    pub at: usize,
    /// Nothing follows `text`: a quote that is open at its end stays open.
    last: bool,
}

/// What stood between quotes, still escaped if `escaped`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'w> {
    pub text: &'w str,
    pub escaped: bool,
}

impl<'w> Cursor<'w> {
    pub fn new(text: &'w str, last: bool) -> Cursor<'w> {
        Cursor { text, at: 0, last }
    }

    pub fn text(&self) -> &'w str {
        self.text
    }

    /// What has not been read.
    #[inline]
    pub fn rest(&self) -> &'w [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// From `start` to `end`, or to the end of the text where that comes first.
    #[inline]
    pub fn slice(&self, start: usize, end: usize) -> &'w [u8] {
        self.text.as_bytes().get(start..end.min(self.text.len())).unwrap_or_default()
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    #[inline]
    pub fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    #[inline]
    fn peek_at(&self, offset: usize) -> u8 {
        self.text.as_bytes().get(self.at + offset).copied().unwrap_or(b'\n')
    }

    /// Goes past `byte` if it is next.
    #[inline]
    pub fn accept(&mut self, byte: u8) -> bool {
        let found = self.at < self.text.len() && self.text.as_bytes()[self.at] == byte;
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t') {
            self.at += 1;
        }
    }

    /// True on a line feed, or on a carriage return right before one.
    #[inline]
    pub fn at_line_end(&self) -> bool {
        match self.peek() {
            b'\n' => true,
            b'\r' => self.peek_at(1) == b'\n',
            _ => false,
        }
    }

    /// Goes past the line's end, where the cursor is; see [`Cursor::at_line_end`].
    #[inline]
    pub fn end_line(&mut self) {
        self.at += if self.peek() == b'\r' { 2 } else { 1 };
    }

    /// Goes past the line feed ahead; the rest of the line is not looked at.
    pub fn next_line(&mut self) {
        self.take_line();
    }

    /// The rest of the line without its line feed; goes past that.
    pub fn take_line(&mut self) -> &'w str {
        let rest = &self.text[self.at.min(self.text.len())..];
        let length = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.at += length + 1;
        &rest[..length]
    }

    /// The name ahead, empty if the byte ahead cannot start one. Metric names may hold colons.
    #[inline]
    pub fn take_name<const COLON: bool>(&mut self) -> &'w str {
        if self.peek().is_ascii_digit() {
            return "";
        }
        let from = self.at;
        self.at = find_name_end::<COLON>(self.text.as_bytes(), from);
        &self.text[from..self.at]
    }

    /// The string whose opening quote is next; goes past its closing one. In a `STRICT` format a
    /// line feed may not stand inside.
    #[inline(always)]
    pub fn take_quoted<const STRICT: bool>(&mut self) -> Result<Quoted<'w>, Stop> {
        let (bytes, from) = (self.text.as_bytes(), self.at + 1);
        let at = find_special::<STRICT>(bytes, from);
        if bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Ok(Quoted { text: &self.text[from..at], escaped: false });
        }
        self.take_escaped::<STRICT>(from, at)
    }

    /// The same where the string that starts at `from` has another special byte first, at `at`.
    #[inline(never)]
    fn take_escaped<const STRICT: bool>(
        &mut self,
        from: usize,
        mut at: usize,
    ) -> Result<Quoted<'w>, Stop> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Quoted { text: &self.text[from..at], escaped: true });
                }
                Some(b'\\') => {
                    at += 1;
                    // Whatever is escaped, it does not end the string; a line feed ends the line.
                    at += usize::from(!STRICT || bytes.get(at) != Some(&b'\n'));
                }
                None if !self.last && !STRICT => return Err(Stop::More),
                _ => {
                    let at = at.min(bytes.len());
                    return Err(Stop::Bad { at, reason: "quote not closed" });
                }
            }
            at = find_special::<STRICT>(bytes, at);
        }
    }

    #[cold]
    pub fn bad(&self, reason: &'static str) -> Stop {
        Stop::Bad { at: self.at, reason }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the zero bytes of `word`; the lowest mark is exact.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Where the next quote, backslash or (`STRICT`) line feed stands, at or after `at`.
/// Eight bytes at a time: label values are too short for memchr to win back its call.
#[inline]
fn find_special<const STRICT: bool>(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|tail| tail.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let mut found = zero_bytes(word ^ (ONES * 0x22)) | zero_bytes(word ^ (ONES * 0x5c));
        if STRICT {
            found |= zero_bytes(word ^ (ONES * 0x0a));
        }
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\') || STRICT && *byte == b'\n';
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(special).unwrap_or(tail.len())
}

/// True if a text that stood between quotes holds a backslash.
pub(super) fn has_escape(quoted: &str) -> bool {
    find_special::<false>(quoted.as_bytes(), 0) < quoted.len()
}

/// Where the letters, digits, underscores and (`COLON`) colons at `at` end. A byte at a time:
/// eight at a time, as above, was measured 15 % slower per line.
#[inline]
fn find_name_end<const COLON: bool>(bytes: &[u8], at: usize) -> usize {
    let tail = bytes.get(at..).unwrap_or_default();
    let mask = if COLON { NAME } else { LABEL };
    let length = tail.iter().position(|&byte| CLASS[usize::from(byte)] & mask == 0);
    at + length.unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specials_are_found_wherever_they_stand() {
        for length in 0..40 {
            for place in 0..length {
                for (special, strict, loose) in
                    [(b'"', true, true), (b'\\', true, true), (b'\n', true, false)]
                {
                    // The neighbours differ in one bit, where the borrow of the trick shows.
                    let mut bytes = vec![special ^ 1; length];
                    bytes[place] = special;
                    let found_at = |found| if found { place } else { length };
                    assert_eq!(find_special::<true>(&bytes, 0), found_at(strict), "{bytes:?}");
                    assert_eq!(find_special::<false>(&bytes, 0), found_at(loose), "{bytes:?}");
                    assert!(find_special::<true>(&bytes, place + 1) >= length);
                }
            }
        }
        assert!(find_special::<false>(b"abc", 9) >= 3);
    }

    #[test]
    fn names_end_where_they_should() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                let end = |is_name| if is_name { 20 } else { place };
                let is_label = byte.is_ascii_alphanumeric() || byte == b'_';
                assert_eq!(find_name_end::<false>(&bytes, 0), end(is_label), "{byte}");
                assert_eq!(find_name_end::<true>(&bytes, 0), end(is_label || byte == b':'));
            }
        }
    }

    #[test]
    fn the_end_reads_as_a_line_feed() {
        let mut cursor = Cursor::new("ab", true);
        assert_eq!(cursor.take_name::<true>(), "ab");
        assert!(cursor.at_end() && cursor.at_line_end() && !cursor.accept(b'\n'));
        assert_eq!(cursor.take_line(), "");
        assert_eq!(cursor.take_line(), "");
    }
}
