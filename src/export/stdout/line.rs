//! A line that cannot grow beyond its bound, and how things look in it.
//!
//! What would end a line, move a cursor or turn text around is escaped as JSON has it, so that one
//! item is one line. At the bound text ends between two characters, with a mark. Nothing beyond it
//! is escaped or copied, however large the item.

use std::fmt::{Arguments, Write};

use crate::codec::base64;
use crate::codec::otlp::{AnyValue, Attributes};
use crate::model::{push_float, FloatStyle};
use crate::observe::log::Utc;

/// Longest line, in bytes, with its line feed: what Docker's log drivers take in one piece.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Kept for what ends a line: the mark of a cut, and a bracket for each level that is open, of
/// which validation lets through fewer than its bound on messages inside one another (64).
const ENDING_BYTES: usize = 128;

/// Longest scalar: a time, a number, a trace id, each with quotes, or a bracket.
pub(super) const SCALAR_BYTES_MAX: usize = 48;

/// What stands where text was cut.
pub(super) const CUT_MARK: char = '…';

/// Bytes that are turned into base64 at a time; a multiple of three, so that only the last piece is
/// padded.
const BASE64_BYTES: usize = 192;

/// The writer of one line, or of a part of one, at the end of a buffer.
pub struct Line<'a> {
    pub(super) out: &'a mut String,
    /// Where content ends at the latest.
    end: usize,
    pub(super) is_cut: bool,
}

impl<'a> Line<'a> {
    /// Appends at most `bytes_max` to `out`.
    pub fn new(out: &'a mut String, bytes_max: usize) -> Line<'a> {
        let end = out.len() + bytes_max - ENDING_BYTES;
        Line { out, end, is_cut: false }
    }

    /// Whether something was left out; from then on nothing is added but what closes.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Says that something was left out before.
    pub fn inherit_cut(&mut self, is_cut: bool) {
        self.is_cut |= is_cut;
    }

    /// Bytes that still fit.
    pub(super) fn room(&self) -> usize {
        if self.is_cut {
            0
        } else {
            self.end.saturating_sub(self.out.len())
        }
    }

    /// Appends a piece whole, or cuts the line before it.
    pub fn push(&mut self, piece: &str) {
        if piece.len() <= self.room() {
            self.out.push_str(piece);
        } else {
            self.is_cut = true;
        }
    }

    /// The same for something short, at most [`SCALAR_BYTES_MAX`].
    pub fn push_format(&mut self, scalar: Arguments<'_>) {
        if SCALAR_BYTES_MAX <= self.room() {
            // Writing to a String cannot fail.
            let _ = self.out.write_fmt(scalar);
        } else {
            self.is_cut = true;
        }
    }

    /// Appends text as a person reads it: escaped, between no quotes.
    pub fn push_plain(&mut self, text: &str) {
        self.push_escaped(text, false);
    }

    /// Appends a word: as it is, or between quotes where a space or a sign would mislead.
    pub fn push_word(&mut self, text: &str) {
        let misleads = |c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\\') || is_odd(c);
        if text.is_empty() || text[..floor(text, self.room())].contains(misleads) {
            self.push_quoted(text);
        } else {
            self.push_escaped(text, false);
        }
    }

    /// Appends a JSON string.
    pub fn push_quoted(&mut self, text: &str) {
        self.quote(|line| line.push_escaped(text, true));
    }

    /// Puts quotes around what `write` appends, and the mark into them if it is cut there.
    pub(super) fn quote(&mut self, write: impl FnOnce(&mut Self)) {
        self.push("\"");
        if self.is_cut {
            return;
        }
        write(self);
        if self.is_cut {
            self.out.push(CUT_MARK);
        }
        self.out.push('"');
    }

    fn push_escaped(&mut self, text: &str, quotes_too: bool) {
        // What is longer than the room is not looked at beyond it.
        let mut rest = &text[..floor(text, self.room())];
        let is_whole = rest.len() == text.len();
        let is_special = |c: char| c == '\\' || (quotes_too && c == '"') || is_odd(c);
        while let Some(at) = rest.find(is_special) {
            self.push_text(&rest[..at]);
            let special = rest[at..].chars().next().unwrap_or('\0');
            let before = self.out.len();
            if !self.is_cut {
                push_escape(self.out, special);
            }
            if self.out.len() > self.end {
                self.out.truncate(before);
                self.is_cut = true;
            }
            if self.is_cut {
                return;
            }
            rest = &rest[at + special.len_utf8()..];
        }
        self.push_text(rest);
        self.is_cut |= !is_whole;
    }

    /// Appends as much as fits.
    fn push_text(&mut self, text: &str) {
        let fits = floor(text, self.room());
        self.out.push_str(&text[..fits]);
        self.is_cut |= fits < text.len();
    }

    /// Appends a value as a person reads it: text and bytes as they are, all else as JSON.
    pub fn push_value(&mut self, value: AnyValue<'_>) {
        match value {
            AnyValue::Text(text) => self.push_word(text),
            AnyValue::Bytes(bytes) => self.push_base64(bytes),
            AnyValue::Empty => {}
            AnyValue::Double(number) if self.room() >= SCALAR_BYTES_MAX => {
                push_float(self.out, number, FloatStyle::Value);
            }
            other => self.push_json(other),
        }
    }

    /// Appends ` key=value` for each.
    pub fn push_pairs(&mut self, attributes: Attributes<'_>) {
        for attribute in attributes {
            if self.is_cut {
                break;
            }
            self.push(" ");
            self.push_word(attribute.key);
            self.push("=");
            self.push_value(attribute.value);
        }
    }

    /// Appends ` name=` and an id, where there is one.
    pub fn push_id(&mut self, name: &str, id: &[u8]) {
        if !id.is_empty() {
            self.push(" ");
            self.push(name);
            self.push("=");
            self.push_hex(id);
        }
    }

    /// Appends an id, which validation has seen to be short.
    pub(super) fn push_hex(&mut self, id: &[u8]) {
        self.is_cut |= 2 * id.len() > self.room();
        for byte in id.iter().filter(|_| !self.is_cut) {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "{byte:02x}");
        }
    }

    pub(super) fn push_base64(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BASE64_BYTES) {
            if self.is_cut {
                break;
            }
            self.push(&base64::encode(piece));
        }
    }

    /// Appends the time of day; a dash where none was said.
    pub fn push_clock(&mut self, ns: u64) {
        match ns {
            0 => self.push("-"),
            _ => push_time_of_day(self.out, (ns / 1_000_000) as i64),
        }
    }

    /// Ends a line of text.
    pub fn end_text(self) {
        if self.is_cut {
            self.out.push(CUT_MARK);
        }
        self.out.push('\n');
    }
}

/// The largest end of a character that is not beyond `bytes`.
fn floor(text: &str, bytes: usize) -> usize {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Whether a character does something else than to look like itself: controls, separators of lines,
/// and those that turn the direction of text.
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends a character's escape as JSON has it.
fn push_escape(out: &mut String, special: char) {
    match special {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            // Writing to a String cannot fail; none that is odd is beyond four digits.
            let _ = write!(out, "\\u{:04x}", u32::from(other));
        }
    }
}

/// Appends `12:34:56.789`: of a date only the time of day is of interest to who looks on.
pub fn push_time_of_day(out: &mut String, unix_ms: i64) {
    let start = out.len();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", Utc(unix_ms));
    let time_of_day = out[start..].find('T').map_or(start, |at| start + at + 1);
    out.drain(start..time_of_day);
    out.pop();
}
