//! JSON as it is written: members and elements with commas where they belong.
//!
//! What is longer than a document may be is refused anyway: members are left out from there on,
//! so that thousands of spans under one large resource cost no more than their own size.

use std::fmt::{Display, Write};

use crate::codec::base64;
use crate::codec::json::push_escaped;
use crate::codec::otlp::AnyValue;
use crate::codec::xray::DOCUMENT_BYTES_MAX;

#[derive(Default)]
pub(super) struct Json(String);

impl Json {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Opens a container, as an element or after a key.
    pub fn open(&mut self, bracket: char) {
        self.comma();
        self.0.push(bracket);
    }

    /// Opens an object that has the members of another, which is JSON already.
    pub fn open_with(&mut self, object: &str) {
        self.comma();
        self.0.push_str(object.strip_suffix('}').unwrap_or(object).trim_end());
    }

    pub fn close(&mut self, bracket: char) {
        self.0.push(bracket);
    }

    pub fn key(&mut self, key: &str) {
        self.key_of([key, ""]);
    }

    /// A key of two parts.
    fn key_of(&mut self, parts: [&str; 2]) {
        self.comma();
        self.0.push('"');
        parts.iter().for_each(|part| push_escaped(&mut self.0, cut(part)));
        self.0.push_str("\":");
    }

    fn is_too_long(&self) -> bool {
        self.0.len() > DOCUMENT_BYTES_MAX
    }

    pub fn text(&mut self, key: &str, text: &str) {
        self.text_with(key, |out| push_escaped(out, cut(text)));
    }

    /// A string whose inside needs no escapes, or has them.
    pub fn text_with(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        if self.is_too_long() {
            return;
        }
        self.key(key);
        self.0.push('"');
        write(&mut self.0);
        self.0.push('"');
    }

    /// A value that is JSON already.
    pub fn raw_with(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        if self.is_too_long() {
            return;
        }
        self.key(key);
        write(&mut self.0);
    }

    pub fn boolean(&mut self, key: &str, value: bool) {
        self.raw_with(key, |out| out.push_str(if value { "true" } else { "false" }));
    }

    pub fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        self.display(value);
    }

    pub fn value(&mut self, key: &str, value: AnyValue<'_>) {
        self.value_of([key, ""], value);
    }

    /// A value under a key of two parts.
    pub fn value_of(&mut self, key: [&str; 2], value: AnyValue<'_>) {
        if self.is_too_long() {
            return;
        }
        self.key_of(key);
        self.push(value);
    }

    /// Nests as deep as the value, which validation bounds.
    fn push(&mut self, value: AnyValue<'_>) {
        match value {
            AnyValue::Empty => self.0.push_str("null"),
            AnyValue::Text(text) => self.element(text),
            AnyValue::Bool(value) => self.0.push_str(if value { "true" } else { "false" }),
            AnyValue::Int(value) => self.display(value),
            // JSON has no words for the others.
            AnyValue::Double(value) if value.is_finite() => self.display(value),
            AnyValue::Double(value) => self.element(&value.to_string()),
            AnyValue::Bytes(bytes) => {
                let shown = &bytes[..bytes.len().min(DOCUMENT_BYTES_MAX)];
                self.element(&base64::encode(shown));
            }
            AnyValue::Array(_) => {
                self.0.push('[');
                for element in value.elements() {
                    if self.is_too_long() {
                        break;
                    }
                    self.comma();
                    self.push(element);
                }
                self.0.push(']');
            }
            AnyValue::Map(_) => {
                self.0.push('{');
                for entry in value.entries() {
                    if self.is_too_long() {
                        break;
                    }
                    self.value(entry.key, entry.value);
                }
                self.0.push('}');
            }
        }
    }

    /// A string as an element or after a key.
    pub fn element(&mut self, text: &str) {
        self.0.push('"');
        push_escaped(&mut self.0, cut(text));
        self.0.push('"');
    }

    fn display(&mut self, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
    }

    fn comma(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[', ':']) {
            self.0.push(',');
        }
    }
}

/// What is looked at of a text: so much makes its document too long.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(DOCUMENT_BYTES_MAX + 1);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    &text[..end]
}
