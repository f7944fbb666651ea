//! JSON in a line. At the bound it stays valid: a string is cut, members and elements that do not
//! fit whole are left out, and all that was opened is closed, in room that the line keeps for it.

use super::line::{Line, SCALAR_BYTES_MAX};
use crate::codec::otlp::{AnyValue, Attributes};
use crate::codec::rfc3339;
use crate::model::{push_float, FloatStyle};

impl Line<'_> {
    /// Opens an object or array, or does nothing and is cut.
    fn open(&mut self, bracket: char) -> bool {
        self.is_cut |= SCALAR_BYTES_MAX > self.room();
        if !self.is_cut {
            self.out.push(bracket);
        }
        !self.is_cut
    }

    /// Begins an element of the array that is open; false, and nothing is appended, where there is
    /// no room for one.
    fn element(&mut self) -> bool {
        if self.room() <= SCALAR_BYTES_MAX {
            self.is_cut = true;
        } else if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
        !self.is_cut
    }

    /// Begins a member of the object that is open, likewise. A value must follow.
    pub fn member(&mut self, key: &str) -> bool {
        let before = self.out.len();
        if self.element() {
            self.push_quoted(key);
            self.push(":");
            if self.room() < SCALAR_BYTES_MAX {
                self.out.truncate(before);
                self.is_cut = true;
            }
        }
        !self.is_cut
    }

    /// A member whose value is text; absent where that is empty.
    pub fn text_member(&mut self, key: &str, text: &str) {
        if !text.is_empty() && self.member(key) {
            self.push_quoted(text);
        }
    }

    /// A member whose value is a whole number; absent where that is 0.
    pub fn number_member(&mut self, key: &str, number: u64) {
        if number != 0 && self.member(key) {
            self.push_format(format_args!("{number}"));
        }
    }

    /// A member whose value is an id; absent where that is empty.
    pub fn id_member(&mut self, key: &str, id: &[u8]) {
        if !id.is_empty() && self.member(key) {
            self.quote(|line| line.push_hex(id));
        }
    }

    /// A member whose value is a time; null where none was said.
    pub fn time_member(&mut self, key: &str, ns: u64) {
        if self.member(key) {
            match ns {
                0 => self.push("null"),
                _ => self.quote(|line| rfc3339::push(line.out, ns)),
            }
        }
    }

    /// A member whose value is an object of attributes; absent where there are none.
    pub fn attributes_member(&mut self, key: &str, attributes: Attributes<'_>) {
        if attributes.clone().next().is_some() && self.member(key) {
            self.object(|line| line.members_of(attributes));
        }
    }

    fn members_of(&mut self, attributes: Attributes<'_>) {
        for attribute in attributes {
            if !self.member(attribute.key) {
                break;
            }
            self.push_json(attribute.value);
        }
    }

    /// An object, whose members `write` appends.
    pub fn object(&mut self, write: impl FnOnce(&mut Self)) {
        if self.open('{') {
            write(self);
            self.out.push('}');
        }
    }

    /// An array: `write` appends each element.
    pub fn array<T>(
        &mut self,
        elements: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        if self.open('[') {
            for element in elements {
                if !self.element() {
                    break;
                }
                write(self, element);
            }
            self.out.push(']');
        }
    }

    /// Appends a value as JSON, its type kept: a double has a point or an exponent, or is a string
    /// where JSON has no number for it; bytes are base64. Nests as deep as validation lets it.
    pub fn push_json(&mut self, value: AnyValue<'_>) {
        match value {
            AnyValue::Empty => self.push("null"),
            AnyValue::Text(text) => self.push_quoted(text),
            AnyValue::Bool(truth) => self.push_format(format_args!("{truth}")),
            AnyValue::Int(number) => self.push_format(format_args!("{number}")),
            AnyValue::Double(number) if number.is_finite() => {
                self.push_format(format_args!("{number:?}"));
            }
            AnyValue::Double(number) => {
                self.quote(|line| push_float(line.out, number, FloatStyle::Value));
            }
            AnyValue::Bytes(bytes) => self.quote(|line| line.push_base64(bytes)),
            AnyValue::Array(_) => {
                self.array(value.elements(), |line, element| line.push_json(element));
            }
            AnyValue::Map(_) => self.object(|line| line.members_of(value.entries())),
        }
    }

    /// Ends a line that is a JSON object whose members were appended, the bracket before them too.
    pub fn end_json(self) {
        self.out.push_str(if self.is_cut { ",\"truncated\":true}\n" } else { "}\n" });
    }
}
