//! A whole request checked before anything of it is accepted: framing, wire types, lengths of ids,
//! UTF-8, depth; and its items counted.
//!
//! Invalid UTF-8 does not refuse a request: SDKs let it through from the applications they are in.
//! Each bad byte becomes `?` where it stands, so that no length changes, and the string is counted.
//! Invariant: what passes here is read by the cursors without a failure; whatever follows may trust
//! framing, wire types and UTF-8.
//!
//! Cost: every field is visited once, and every string's bytes; measured in benches/otlp.rs.

use super::schema::{self, Kind, Message};
use super::Signal;
use crate::codec::protobuf::{read_varint, Error, Fields, Wire, DEPTH_MAX};
use crate::codec::utf8::repair;

/// What is in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Data points, spans or log records.
    pub items: u64,
    /// Strings that were no UTF-8.
    pub repaired_strings: u64,
}

/// Why a request is refused; the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    /// The byte of the body at which reading stopped, about.
    pub offset: usize,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

/// Checks a body and repairs its strings.
pub fn validate(signal: Signal, body: &mut [u8]) -> Result<Counts, Refusal> {
    let mut validation = Validation::new(signal, body);
    while !validation.piece(body, usize::MAX)? {}
    Ok(validation.counts)
}

/// A message under way.
#[derive(Clone, Copy)]
struct Open {
    schema: &'static Message,
    /// The byte of the body behind it.
    end: usize,
}

/// A check that can pause, for bodies of many MiB.
pub struct Validation {
    /// Messages inside one another, the outermost first.
    open: Vec<Open>,
    at: usize,
    counts: Counts,
}

impl Validation {
    /// Begins with `body`, which must be the same in all calls.
    pub fn new(signal: Signal, body: &[u8]) -> Validation {
        let request = Open { schema: schema::request(signal), end: body.len() };
        Validation { open: vec![request], at: 0, counts: Counts::default() }
    }

    /// What was found, once [`Validation::piece`] has said that all is read.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Checks on for about `bytes_max`; true when all of the body is good.
    pub fn piece(&mut self, body: &mut [u8], bytes_max: usize) -> Result<bool, Refusal> {
        let pause_at = self.at.saturating_add(bytes_max);
        while let Some(&Open { schema, end }) = self.open.last() {
            if self.at >= pause_at {
                return Ok(false);
            }
            if self.at == end {
                self.open.pop();
                continue;
            }
            self.field(body, schema, end)?;
        }
        Ok(true)
    }

    /// Checks the next field of a message that ends at `end`; opens it if it is a message.
    #[inline]
    fn field(
        &mut self,
        body: &mut [u8],
        schema: &'static Message,
        end: usize,
    ) -> Result<(), Refusal> {
        let at = self.at;
        // Most fields are short and have a tag of one byte: those take a third of the time so.
        if let Some(&[tag @ ..0x80, length @ ..0x80]) = body.get(at..at + 2) {
            let (start, field_end) = (at + 2, at + 2 + usize::from(length));
            if tag & 7 == 2 && tag >= 8 && field_end <= end {
                return self.delimited(body, schema.kind(u32::from(tag >> 3)), start, field_end);
            }
        }
        let mut fields = Fields::new(&body[at..end]);
        let field = match fields.read() {
            Ok(Some(field)) => field,
            Ok(None) => {
                // Groups of proto2, which are skipped.
                self.at = end;
                return Ok(());
            }
            Err(error) => return refuse(error.reason(), at),
        };
        let field_end = end - fields.rest().len();
        let kind = schema.kind(field.0);
        match field.1 {
            Wire::Bytes(child) => {
                let start = field_end - child.len();
                self.delimited(body, kind, start, field_end)
            }
            scalar if !may_be(kind, scalar) => refuse(WRONG_WIRE_TYPE, at),
            _ => {
                self.at = field_end;
                Ok(())
            }
        }
    }

    /// Checks the inside of a length-delimited field.
    #[inline]
    fn delimited(
        &mut self,
        body: &mut [u8],
        kind: Kind,
        start: usize,
        end: usize,
    ) -> Result<(), Refusal> {
        let bytes = &mut body[start..end];
        match kind {
            Kind::Messages(child) if child.is_attribute && is_plain_attribute(bytes) => {}
            Kind::Message(schema) | Kind::Messages(schema) => {
                // The request itself has depth 1.
                if self.open.len() >= DEPTH_MAX as usize {
                    return refuse(Error::Depth.reason(), start);
                }
                self.counts.items += u64::from(schema.is_item);
                self.open.push(Open { schema, end });
                self.at = start;
                return Ok(());
            }
            _ => content(bytes, kind, &mut self.counts)
                .map_err(|refusal| Refusal { offset: start + refusal.offset, ..refusal })?,
        }
        self.at = end;
        Ok(())
    }
}

fn refuse<T>(reason: &'static str, offset: usize) -> Result<T, Refusal> {
    Err(Refusal { reason, offset })
}

const WRONG_WIRE_TYPE: &str = "a field has the wrong wire type";
const WRONG_ID_LENGTH: &str = "a trace or span id has the wrong length";
const WRONG_PACKED_LENGTH: &str = "a packed field has a wrong length";

/// Checks the inside of a length-delimited field that is no message.
#[inline]
fn content(bytes: &mut [u8], kind: Kind, counts: &mut Counts) -> Result<(), Refusal> {
    match kind {
        Kind::Text | Kind::Texts => {
            if std::str::from_utf8(bytes).is_err() {
                repair(bytes);
                counts.repaired_strings += 1;
            }
            Ok(())
        }
        Kind::Id(length) if bytes.is_empty() || bytes.len() == length => Ok(()),
        Kind::Id(_) => refuse(WRONG_ID_LENGTH, 0),
        Kind::Bytes | Kind::Unknown => Ok(()),
        Kind::Fixed64s | Kind::Doubles if bytes.len() % 8 == 0 => Ok(()),
        Kind::Fixed64s | Kind::Doubles => refuse(WRONG_PACKED_LENGTH, 0),
        Kind::Varints => {
            let mut rest = &*bytes;
            while !rest.is_empty() {
                let at = bytes.len() - rest.len();
                read_varint(&mut rest).or_else(|error| refuse(error.reason(), at))?;
            }
            Ok(())
        }
        _ => refuse(WRONG_WIRE_TYPE, 0),
    }
}

/// Whether it is what nearly every attribute is, key and text in ASCII and shorter than 128 bytes:
/// good without a closer look. Makes validation of traces more than twice as fast.
#[inline]
fn is_plain_attribute(bytes: &[u8]) -> bool {
    // 0a 0b http.method 12 05 0a 03 GET
    // ^ key, its length    ^ value  ^ text, its length
    let [0x0a, key_length, rest @ ..] = bytes else { return false };
    let Some((_, value)) = rest.split_at_checked(usize::from(*key_length)) else { return false };
    let [0x12, value_length, 0x0a, text_length, text @ ..] = value else { return false };
    usize::from(*text_length) == text.len()
        && usize::from(*value_length) == text.len() + 2
        && bytes.is_ascii()
}

/// Whether a field of that kind may come as this scalar.
#[inline]
fn may_be(kind: Kind, value: Wire<'_>) -> bool {
    match kind {
        Kind::Unknown => true,
        Kind::Bool | Kind::Varint | Kind::Enum(_) | Kind::Sint32 | Kind::Varints => {
            matches!(value, Wire::Varint(_))
        }
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double | Kind::Fixed64s | Kind::Doubles => {
            matches!(value, Wire::Fixed64(_))
        }
        Kind::Fixed32 => matches!(value, Wire::Fixed32(_)),
        _ => false,
    }
}
