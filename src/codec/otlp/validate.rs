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

/// Messages inside one another in what SDKs send: room for more is made when it is needed.
const DEPTH_USUAL: usize = 12;

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
        let mut open = Vec::with_capacity(DEPTH_USUAL);
        open.push(request);
        Validation { open, at: 0, counts: Counts::default() }
    }

    /// What was found, once [`Validation::piece`] has said that all is read.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Checks on for about `bytes_max`; true when all of the body is good.
    pub fn piece(&mut self, body: &mut [u8], bytes_max: usize) -> Result<bool, Refusal> {
        let pause_at = self.at.saturating_add(bytes_max);
        // Kept here rather than in `self`, which costs a fifth of the time.
        let mut at = self.at;
        while let Some(&Open { schema, end }) = self.open.last() {
            let child = loop {
                if at == end {
                    break None;
                }
                let (kind, start, field_end) = field(body, schema, at, end)?;
                at = field_end;
                let Some(start) = start else { continue };
                let bytes = &mut body[start..field_end];
                match kind {
                    Kind::Messages(child) if child.is_attribute && is_plain_attribute(bytes) => {}
                    Kind::Message(child) | Kind::Messages(child) => {
                        at = start;
                        break Some(Open { schema: child, end: field_end });
                    }
                    _ => content(bytes, kind, &mut self.counts)
                        .map_err(|refusal| Refusal { offset: start + refusal.offset, ..refusal })?,
                }
            };
            match child {
                // The request itself has depth 1.
                Some(_) if self.open.len() >= DEPTH_MAX as usize => {
                    return refuse(Error::Depth.reason(), at);
                }
                Some(child) => {
                    self.counts.items += u64::from(child.schema.is_item);
                    self.open.push(child);
                }
                None => {
                    self.open.pop();
                }
            }
            if at >= pause_at && !self.open.is_empty() {
                self.at = at;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The next field of a message that ends at `end`: its kind, where its content begins if that has
/// to be looked at, and where it ends.
#[inline(always)]
fn field(
    body: &[u8],
    schema: &Message,
    at: usize,
    end: usize,
) -> Result<(Kind, Option<usize>, usize), Refusal> {
    // Nearly all fields have a tag of one byte and a length of one or two, or are numbers: those
    // take a third of the time so.
    let bytes = &body[at..end];
    if let [tag @ 8..0x80, after @ ..] = bytes {
        let kind = schema.kind(u32::from(tag >> 3));
        let (start, length) = match (tag & 7, after) {
            (2, [length @ ..0x80, ..]) => (at + 2, usize::from(*length)),
            (2, [low @ 0x80..=0xff, high @ 1..0x80, ..]) => {
                (at + 3, usize::from(low & 0x7f) | usize::from(*high) << 7)
            }
            (1, [_, _, _, _, _, _, _, _, ..]) if may_be(kind, Wire::Fixed64(0)) => {
                return Ok((kind, None, at + 9));
            }
            (0, [..0x80, ..]) if may_be(kind, Wire::Varint(0)) => {
                return Ok((kind, None, at + 2));
            }
            _ => return any_field(bytes, schema, at),
        };
        if start + length <= end {
            return Ok((kind, Some(start), start + length));
        }
    }
    any_field(bytes, schema, at)
}

/// The same for a field of any kind; `bytes` are the rest of the message, which begins at `at`.
fn any_field(
    bytes: &[u8],
    schema: &Message,
    at: usize,
) -> Result<(Kind, Option<usize>, usize), Refusal> {
    let mut fields = Fields::new(bytes);
    let field = match fields.read() {
        Ok(Some(field)) => field,
        // Groups of proto2, which are skipped.
        Ok(None) => return Ok((Kind::Unknown, None, at + bytes.len())),
        Err(error) => return refuse(error.reason(), at),
    };
    let end = at + bytes.len() - fields.rest().len();
    let kind = schema.kind(field.0);
    match field.1 {
        Wire::Bytes(content) => Ok((kind, Some(end - content.len()), end)),
        scalar if !may_be(kind, scalar) => refuse(WRONG_WIRE_TYPE, at),
        _ => Ok((kind, None, end)),
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
            if !is_ascii(bytes) && std::str::from_utf8(bytes).is_err() {
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

/// Whether it is what nearly every attribute is, a key in ASCII and a number or a text in ASCII,
/// shorter than 128 bytes: good without a closer look. Makes validation of traces more than twice
/// as fast.
#[inline]
fn is_plain_attribute(bytes: &[u8]) -> bool {
    // 0a 0b http.method 12 05 0a 03 GET
    // ^ key, its length    ^ value  ^ text, its length
    let [0x0a, key_length @ ..0x80, rest @ ..] = bytes else { return false };
    let Some((key, value)) = rest.split_at_checked(usize::from(*key_length)) else { return false };
    let [0x12, value_length @ ..0x80, value @ ..] = value else { return false };
    usize::from(*value_length) == value.len()
        && match value {
            [0x0a, text_length, text @ ..] => {
                usize::from(*text_length) == text.len() && is_ascii(bytes)
            }
            // A bool or an int64 of at most nine bytes, a double.
            [0x10 | 0x18, high @ .., ..0x80] => {
                high.len() < 9 && high.iter().all(|byte| *byte >= 0x80) && is_ascii(key)
            }
            [0x21, double @ ..] => double.len() == 8 && is_ascii(key),
            _ => false,
        }
}

/// Faster than the standard library's for what is as short as most strings here are.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let mut all = 0;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        (all, rest) = (all | u64::from_ne_bytes(*word), after);
    }
    all |= match bytes.last_chunk() {
        Some(word) => u64::from_ne_bytes(*word),
        None => rest.iter().fold(0, |all, byte| all | u64::from(*byte)),
    };
    all & HIGH_BITS == 0
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
