//! Resource attributes added to a relayed body, without decoding the rest.
//!
//! Each resource gets the attributes whose key it lacks, appended to its last `resource` field, or
//! in one of its own where it has none. Everything else is copied in the same order, unknown fields
//! too (not the groups of proto2); only the two lengths around the addition change. The body must
//! be validated.

use crate::codec::protobuf::{push_bytes, push_message, Fields, Wire};

/// Appends `body` to `out`, every resource (traces, metrics and logs are alike) with `attributes`.
pub fn splice_resource(body: &[u8], attributes: &[(String, String)], out: &mut Vec<u8>) {
    let mut fields = Fields::new(body);
    loop {
        let before = fields.rest();
        match fields.next() {
            Some((1, Wire::Bytes(resource))) => {
                push_message(out, 1, |out| splice_one(resource, attributes, out));
            }
            Some(_) => out.extend_from_slice(&before[..before.len() - fields.rest().len()]),
            None => return,
        }
    }
}

/// Tags and lengths of an attribute, and what the lengths around it may grow by, in bytes.
const FRAMING_BYTES_MAX: usize = 32;

/// What [`splice_resource`] adds at most, in bytes; None where that may be more than `bytes_max`.
pub fn spliced_bytes(
    body: &[u8],
    attributes: &[(String, String)],
    bytes_max: usize,
) -> Option<usize> {
    if attributes.is_empty() {
        return Some(0);
    }
    let sizes = attributes.iter().map(|(key, value)| key.len() + value.len() + FRAMING_BYTES_MAX);
    let each = sizes.sum::<usize>();
    let count_max = bytes_max / each;
    let resources = Fields::new(body).filter(|(number, _)| *number == 1);
    let count = resources.take(count_max + 1).count();
    (count <= count_max).then_some(count * each)
}

/// Appends the inside of one ResourceSpans, ResourceMetrics or ResourceLogs.
fn splice_one(message: &[u8], attributes: &[(String, String)], out: &mut Vec<u8>) {
    let missing = |(key, _): &&(String, String)| {
        super::Attributes::of_part(message, 1, 1).all(|own| own.key != key)
    };
    let mut missing = attributes.iter().filter(missing).peekable();
    if missing.peek().is_none() {
        return out.extend_from_slice(message);
    }
    // The last piece counts for readers that do not merge pieces.
    let mut resource: Option<(usize, &[u8], usize)> = None;
    let mut fields = Fields::new(message);
    let mut start = 0;
    while let Some((number, value)) = fields.next() {
        let end = message.len() - fields.rest().len();
        if number == 1 {
            resource = Some((start, value.bytes(), end));
        }
        start = end;
    }
    let (start, inside, end) = resource.unwrap_or((0, &[], 0));
    out.extend_from_slice(&message[..start]);
    push_message(out, 1, |out| {
        out.extend_from_slice(inside);
        missing.for_each(|(key, value)| push_attribute(out, key, value));
    });
    out.extend_from_slice(&message[end..]);
}

/// A `KeyValue` with a string, as field 1 (Resource.attributes).
fn push_attribute(out: &mut Vec<u8>, key: &str, value: &str) {
    push_message(out, 1, |out| {
        push_bytes(out, 1, key.as_bytes());
        push_message(out, 2, |out| push_bytes(out, 1, value.as_bytes()));
    });
}
