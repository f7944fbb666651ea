//! JSON's scalars (RFC 8259, sections 6 and 7): finding where they end, undoing escapes,
//! and making them.
//!
//! A string is kept as written until somebody wants it decoded; most have no escape and are
//! borrowed. A lone surrogate, which JSON can write and UTF-8 cannot, decodes to U+FFFD.

use std::borrow::Cow;

/// The inside of a string, as written, its escapes known to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The text without escapes: borrowed unless it has any.
    pub fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let (character, length) = unescape(&rest[at + 1..]);
            out.push(character);
            rest = &rest[at + 1 + length..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The text as written, between its quotes.
    pub fn as_written(self) -> &'a str {
        self.raw
    }
}

/// Writes the inside of a JSON string (RFC 8259 §7).
pub fn push_escaped(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    // All three kinds are ASCII, so that what is between them is text.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\')) {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            _ => {
                out.push_str("\\u00");
                out.push(DIGITS[usize::from(byte >> 4)] as char);
                out.push(DIGITS[usize::from(byte & 15)] as char);
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// The character that the escape after a backslash stands for, and the bytes it takes.
fn unescape(escape: &str) -> (char, usize) {
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => unescape_unicode(escape),
        Some(&byte) => (byte as char, 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

/// `uXXXX`, and a second `\uXXXX` where the first is the upper half of a surrogate pair.
fn unescape_unicode(escape: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(1).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first) && escape[5..].starts_with("\\u") {
        if let Some(second @ 0xdc00..=0xdfff) = unit(7) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
        }
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

/// Finds the end of the string that `text` begins with. Returns it and its length with both
/// quotes, or what is wrong and where.
pub(super) fn scan(text: &str) -> Result<(Text<'_>, usize), (&'static str, usize)> {
    let bytes = text.as_bytes();
    let mut escaped = false;
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok((Text { raw: &text[1..at], escaped }, at + 1)),
            b'\\' => {
                escaped = true;
                at += escape_length(&bytes[at..]).ok_or(("malformed escape", at))?;
            }
            0..=0x1f => return Err(("control character in a string", at)),
            _ => at += 1,
        }
    }
    Err(("unexpected end", bytes.len()))
}

/// The length of the escape that `bytes` begins with, backslash included.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// The length of the number that `bytes` begins with.
pub(super) fn number_length(bytes: &[u8]) -> Option<usize> {
    // -12.5e+3
    // ^ sign, whole, fraction, exponent
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(&bytes[sign..]);
    if whole == 0 || (whole > 1 && bytes[sign] == b'0') {
        return None;
    }
    let mut at = sign + whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(&bytes[at + 1..]);
        at += 1 + (fraction > 0).then_some(fraction)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(&bytes[at..]);
        at += (exponent > 0).then_some(exponent)?;
    }
    Some(at)
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}
