//! OTLP/JSON to protobuf (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding";
//! protobuf.dev, "ProtoJSON Format").
//!
//! Accepted beyond the letter, because senders do it: keys in snake_case, names of enum values,
//! any number as a string, integers with an exponent or a zero fraction. Keys that nobody knows are
//! passed over whatever they hold; `null` is absence. What is left is an error, not a guess: a
//! value of another type than its field, an id that is no hexadecimal. What comes out still goes
//! through [`super::validate`], which knows the rest. Depth is that of the tokenizer.

use super::schema::{self, Enum, Field, Kind, Message};
use super::validate::{validate, Counts, Refusal};
use super::Signal;
use crate::codec::base64;
use crate::codec::json::{Error, Kind as JsonKind, Reader};
use crate::codec::protobuf::{
    begin_message, end_message, push_bytes, push_double, push_fixed32, push_fixed64, push_message,
    push_tag, push_varint, push_varint_field, zigzag,
};
use crate::codec::utf8::repair;

/// Turns a JSON body into a validated protobuf body. Bad UTF-8 is repaired beforehand; where it
/// stood outside a string, the tokenizer refuses the `?`. Does in one go, for tests and benchmarks,
/// what the pipeline does with pauses.
pub fn from_json(signal: Signal, body: &mut [u8]) -> Result<(Vec<u8>, Counts), Refusal> {
    let repaired_strings = repair(body);
    let mut room_bytes = Conversion::room_usual(body);
    loop {
        let mut conversion = Conversion::new(signal, body, room_bytes)?;
        match conversion.piece(usize::MAX) {
            Ok(_) => {
                let mut out = conversion.finish();
                let mut counts = validate(signal, &mut out)?;
                counts.repaired_strings += repaired_strings;
                return Ok((out, counts));
            }
            Err(Stop::Bad(refusal)) => return Err(refusal),
            Err(Stop::NoRoom) => room_bytes *= 2,
        }
    }
}

/// Objects and lists around the items: from the request to the points of a metric.
const OUTER_MAX: usize = 9;

/// Room beyond what is being written: for tags, scalars, and the lengths of messages that end.
pub(super) const SLACK_BYTES: usize = 512;

/// A conversion that can pause between two items, for bodies of many MiB. What comes out is not
/// validated yet.
pub struct Conversion<'a> {
    reader: Reader<'a>,
    /// Never grows.
    out: Vec<u8>,
    /// What is open around the items, the outermost first; at most [`OUTER_MAX`].
    outer: Vec<Outer>,
}

enum Outer {
    /// An object, and where it began as a message; the request is none in another.
    Object(&'static Message, Option<usize>),
    /// The elements of a list: their field's number, and what they are.
    List(u32, &'static Message),
}

/// Why a conversion did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Bad(Refusal),
    /// What comes out takes more room than it was given.
    NoRoom,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Bad(refusal)
    }
}

impl From<Error> for Refusal {
    fn from(Error { reason, offset }: Error) -> Refusal {
        Refusal { reason, offset }
    }
}

impl<'a> Conversion<'a> {
    /// Begins with a body of valid UTF-8, into `room_bytes` of memory.
    pub fn new(
        signal: Signal,
        body: &'a [u8],
        room_bytes: usize,
    ) -> Result<Conversion<'a>, Refusal> {
        let out = Vec::with_capacity(room_bytes);
        let mut reader = Reader::from_bytes(body)?;
        if reader.kind()? != JsonKind::Object {
            return fail(&mut reader, "the request is no object");
        }
        reader.object()?;
        let outer = vec![Outer::Object(schema::request(signal), None)];
        Ok(Conversion { reader, out, outer })
    }

    /// The room that usually does, in bytes: protobuf is less than half of the JSON. But `0,` may
    /// stand for eight bytes.
    pub fn room_usual(body: &[u8]) -> usize {
        body.len() / 2 + 2 * SLACK_BYTES
    }

    /// Converts on for about `bytes_max` of JSON, or one item that is longer; true when all of it
    /// is converted.
    pub fn piece(&mut self, bytes_max: usize) -> Result<bool, Stop> {
        let pause_at = self.reader.offset().saturating_add(bytes_max);
        while let Some(outer) = self.outer.last() {
            match *outer {
                Outer::Object(schema, start) => self.field(schema, start)?,
                Outer::List(number, schema) => self.element(number, schema)?,
            }
            if self.reader.offset() >= pause_at {
                return Ok(false);
            }
        }
        self.reader.end()?;
        Ok(true)
    }

    /// The next field of the innermost object, or its end.
    fn field(&mut self, schema: &'static Message, start: Option<usize>) -> Result<(), Stop> {
        let Some(key) = self.reader.key()? else {
            self.outer.pop();
            start.into_iter().for_each(|start| end_message(&mut self.out, start));
            return Ok(());
        };
        let Some(field) = named(schema, &key.decode()) else { return Ok(()) };
        match field.kind {
            Kind::Messages(child) if self.opens(JsonKind::Array)? => {
                self.reader.array()?;
                self.outer.push(Outer::List(field.number, child));
                Ok(())
            }
            Kind::Message(child) if self.opens(JsonKind::Object)? => self.open(field.number, child),
            kind => value(&mut self.reader, field.number, kind, &mut self.out),
        }
    }

    /// The next element of the innermost list, or its end.
    fn element(&mut self, number: u32, schema: &'static Message) -> Result<(), Stop> {
        if !self.reader.element()? {
            self.outer.pop();
            Ok(())
        } else if !schema.is_item && self.opens(JsonKind::Object)? {
            self.open(number, schema)
        } else {
            submessage(&mut self.reader, number, schema, &mut self.out)
        }
    }

    /// Whether the next value is of this kind, and may be entered here.
    fn opens(&mut self, kind: JsonKind) -> Result<bool, Error> {
        Ok(self.outer.len() < OUTER_MAX && self.reader.kind()? == kind)
    }

    fn open(&mut self, number: u32, schema: &'static Message) -> Result<(), Stop> {
        need_room(&self.out, 0)?;
        self.reader.object()?;
        let start = begin_message(&mut self.out, number);
        self.outer.push(Outer::Object(schema, Some(start)));
        Ok(())
    }

    /// The protobuf body.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Whether so many bytes can be written, and the slack.
fn need_room(out: &Vec<u8>, bytes: usize) -> Result<(), Stop> {
    match out.capacity() - out.len() >= bytes + SLACK_BYTES {
        true => Ok(()),
        false => Err(Stop::NoRoom),
    }
}

/// Reads an object, whose kind was seen to be one, field by field.
fn message(reader: &mut Reader<'_>, schema: &Message, out: &mut Vec<u8>) -> Result<(), Stop> {
    reader.object()?;
    while let Some(key) = reader.key()? {
        if let Some(field) = named(schema, &key.decode()) {
            value(reader, field.number, field.kind, out)?;
        }
    }
    Ok(())
}

/// The field that a key means.
fn named(schema: &Message, key: &str) -> Option<&'static Field> {
    schema.fields.iter().find(|field| is_name(key, field.name))
}

/// Whether `key` is `name`, which is in lowerCamelCase, or the same in snake_case.
fn is_name(key: &str, name: &str) -> bool {
    key == name || (key.contains('_') && snake_case(name).eq(key.bytes()))
}

/// `timeUnixNano` as `time_unix_nano`.
fn snake_case(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().flat_map(|byte| {
        let separator = byte.is_ascii_uppercase().then_some(b'_');
        separator.into_iter().chain([byte.to_ascii_lowercase()])
    })
}

/// Reads what follows a known key.
fn value(reader: &mut Reader<'_>, number: u32, kind: Kind, out: &mut Vec<u8>) -> Result<(), Stop> {
    if reader.kind()? == JsonKind::Null {
        return Ok(reader.skip()?);
    }
    need_room(out, 0)?;
    match kind {
        Kind::Message(child) => submessage(reader, number, child, out),
        Kind::Messages(child) => elements(reader, |reader| submessage(reader, number, child, out)),
        Kind::Texts => elements(reader, |reader| scalar(reader, number, Kind::Text, out)),
        Kind::Fixed64s => packed(reader, number, out, |reader, out| {
            out.extend_from_slice(&unsigned(reader)?.to_le_bytes());
            Ok(())
        }),
        Kind::Doubles => packed(reader, number, out, |reader, out| {
            out.extend_from_slice(&double(reader)?.to_bits().to_le_bytes());
            Ok(())
        }),
        Kind::Varints => packed(reader, number, out, |reader, out| {
            unsigned(reader).map(|value| push_varint(out, value))
        }),
        kind => scalar(reader, number, kind, out),
    }
}

fn submessage(
    reader: &mut Reader<'_>,
    number: u32,
    schema: &Message,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    need_room(out, 0)?;
    match reader.kind()? {
        JsonKind::Object => push_message(out, number, |out| message(reader, schema, out)),
        // An element that is null: a message without fields.
        JsonKind::Null => {
            push_bytes(out, number, b"");
            Ok(reader.skip()?)
        }
        // As an older example of the specification has it (opentelemetry-proto,
        // examples/events.json): the values without the object around them.
        JsonKind::Array if schema.is_list() => {
            push_message(out, number, |out| value(reader, 1, schema.kind(1), out))
        }
        _ => fail(reader, "expected an object"),
    }
}

/// Visits the elements of an array.
fn elements<'a>(
    reader: &mut Reader<'a>,
    mut visit: impl FnMut(&mut Reader<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    if reader.kind()? != JsonKind::Array {
        return fail(reader, "expected an array");
    }
    reader.array()?;
    while reader.element()? {
        visit(reader)?;
    }
    Ok(())
}

fn packed<'a>(
    reader: &mut Reader<'a>,
    number: u32,
    out: &mut Vec<u8>,
    mut push: impl FnMut(&mut Reader<'a>, &mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Stop> {
    push_message(out, number, |out| {
        elements(reader, |reader| {
            need_room(out, 0)?;
            Ok(push(reader, out)?)
        })
    })
}

fn scalar(reader: &mut Reader<'_>, number: u32, kind: Kind, out: &mut Vec<u8>) -> Result<(), Stop> {
    match kind {
        Kind::Text => push_long(out, number, text(reader)?.as_bytes())?,
        Kind::Bytes => match base64::decode(&text(reader)?.replace('-', "+").replace('_', "/")) {
            Some(bytes) => push_long(out, number, &bytes)?,
            None => return fail(reader, "expected base64"),
        },
        Kind::Id(_) => match from_hex(&text(reader)?) {
            Some(bytes) => push_long(out, number, &bytes)?,
            None => return fail(reader, "expected a hexadecimal id"),
        },
        Kind::Bool => push_varint_field(out, number, u64::from(boolean(reader)?)),
        Kind::Varint => push_varint_field(out, number, integer(reader)? as u64),
        Kind::Enum(names) => push_varint_field(out, number, enumerated(reader, names)? as u64),
        Kind::Sint32 => push_varint_field(out, number, zigzag(integer(reader)?)),
        Kind::Fixed32 => push_fixed32(out, number, unsigned(reader)? as u32),
        Kind::Fixed64 => push_fixed64(out, number, unsigned(reader)?),
        Kind::Sfixed64 => push_fixed64(out, number, integer(reader)? as u64),
        Kind::Double => push_double(out, number, double(reader)?),
        // The repeated kinds do not come here; what nobody knows is passed over.
        _ => {
            push_tag(out, number, 2);
            push_varint(out, 0);
            reader.skip()?;
        }
    }
    Ok(())
}

fn push_long(out: &mut Vec<u8>, number: u32, bytes: &[u8]) -> Result<(), Stop> {
    need_room(out, bytes.len())?;
    push_bytes(out, number, bytes);
    Ok(())
}

fn fail<T, E: From<Error>>(reader: &mut Reader<'_>, reason: &'static str) -> Result<T, E> {
    Err(Error { reason, offset: reader.offset() }.into())
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<std::borrow::Cow<'a, str>, Error> {
    match reader.string()? {
        Some(text) => Ok(text.decode()),
        None => fail(reader, "expected a string"),
    }
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, Error> {
    match reader.kind()? {
        JsonKind::Boolean => Ok(reader.boolean()? == Some(true)),
        _ => match &*text(reader)? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => fail(reader, "expected true or false"),
        },
    }
}

/// A number as it is written, with quotes or without.
fn number_text<'a>(reader: &mut Reader<'a>) -> Result<std::borrow::Cow<'a, str>, Error> {
    match reader.kind()? {
        JsonKind::String => text(reader),
        JsonKind::Number => Ok(reader.number()?.unwrap_or("").into()),
        _ => fail(reader, "expected a number"),
    }
}

fn integer(reader: &mut Reader<'_>) -> Result<i64, Error> {
    let text = number_text(reader)?;
    let whole = text.parse().ok().or_else(|| {
        let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
        whole(&text).filter(|value| range.contains(value)).map(|value| value as i64)
    });
    whole.map_or_else(|| fail(reader, "expected an integer"), Ok)
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64, Error> {
    let text = number_text(reader)?;
    let whole = text.parse().ok().or_else(|| {
        let range = 0.0..18_446_744_073_709_551_616.0;
        whole(&text).filter(|value| range.contains(value)).map(|value| value as u64)
    });
    whole.map_or_else(|| fail(reader, "expected an unsigned integer"), Ok)
}

/// `1e3` and `1.0` are integers to ProtoJSON.
fn whole(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.fract() == 0.0)
}

fn double(reader: &mut Reader<'_>) -> Result<f64, Error> {
    match &*number_text(reader)? {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // Rust would read `inf` and `nan` too.
        text if text.ends_with(|last: char| last.is_ascii_digit() || last == '.') => {
            text.parse().or_else(|_| fail(reader, "expected a number"))
        }
        _ => fail(reader, "expected a number"),
    }
}

fn enumerated(reader: &mut Reader<'_>, names: &Enum) -> Result<i64, Error> {
    if reader.kind()? != JsonKind::String {
        return integer(reader);
    }
    let text = text(reader)?;
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let short = text.strip_prefix(names.prefix);
    let at = short.and_then(|short| names.values.iter().position(|name| *name == short));
    at.map_or_else(|| fail(reader, "unknown name of an enum"), |at| Ok(at as i64))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
