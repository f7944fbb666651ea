//! Attributes: keys and values over a validated body (opentelemetry-proto, common.proto).

use super::resource::Children;
use crate::codec::protobuf::{Fields, Nested, Wire};

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    pub key: &'a str,
    pub value: AnyValue<'a>,
}

impl<'a> Attribute<'a> {
    /// Reads a `KeyValue`. Both fields may come twice; the last counts.
    #[inline]
    fn read(message: &'a [u8]) -> Attribute<'a> {
        let mut attribute = Attribute { key: "", value: AnyValue::Empty };
        for (number, value) in Fields::new(message) {
            match number {
                1 => attribute.key = value.text(),
                2 => attribute.value = AnyValue::read(value.bytes()),
                _ => {}
            }
        }
        attribute
    }
}

/// The attributes of anything that has them, in wire order.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    fields: Source<'a>,
    number: u32,
}

/// Attributes are fields of the message at hand, or of a part of it.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Own(Fields<'a>),
    Part(Nested<'a>),
}

impl<'a> Attributes<'a> {
    /// Those that are field `number` of `message`.
    pub fn new(message: &'a [u8], number: u32) -> Attributes<'a> {
        Attributes { fields: Source::Own(Fields::new(message)), number }
    }

    /// Those that are field `number` of the submessage that is field `part` of `message`.
    pub fn of_part(message: &'a [u8], part: u32, number: u32) -> Attributes<'a> {
        Attributes { fields: Source::Part(Nested::new(message, part)), number }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let number = self.number;
        let is_one = |(found, _): &(u32, Wire<'a>)| *found == number;
        let (_, value) = match &mut self.fields {
            Source::Own(fields) => fields.find(is_one)?,
            Source::Part(fields) => fields.find(is_one)?,
        };
        Some(Attribute::read(value.bytes()))
    }
}

/// An attribute's value, or a part of one.
#[derive(Clone, Copy, Debug)]
pub enum AnyValue<'a> {
    Empty,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An `ArrayValue`; see [`AnyValue::elements`].
    Array(&'a [u8]),
    /// A `KeyValueList`; see [`AnyValue::entries`].
    Map(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    /// Of several values the last counts.
    #[inline]
    pub(super) fn read(message: &'a [u8]) -> AnyValue<'a> {
        let mut found = AnyValue::Empty;
        for (number, value) in Fields::new(message) {
            found = match number {
                1 => AnyValue::Text(value.text()),
                2 => AnyValue::Bool(value.number() != 0),
                3 => AnyValue::Int(value.number() as i64),
                4 => AnyValue::Double(value.double()),
                5 => AnyValue::Array(value.bytes()),
                6 => AnyValue::Map(value.bytes()),
                7 => AnyValue::Bytes(value.bytes()),
                _ => found,
            };
        }
        found
    }

    /// The elements of an array; none of anything else.
    pub fn elements(self) -> impl Iterator<Item = AnyValue<'a>> {
        // Only these were validated: what an unknown field holds may nest without end.
        let bytes = if let AnyValue::Array(bytes) = self { bytes } else { &[] };
        Children::new(bytes, 1).map(AnyValue::read)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(self) -> Attributes<'a> {
        let bytes = if let AnyValue::Map(bytes) = self { bytes } else { &[] };
        Attributes::new(bytes, 1)
    }
}
