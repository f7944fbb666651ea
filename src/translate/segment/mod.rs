//! X-Ray segment documents to OTLP spans and back (AWS X-Ray Developer Guide, "Segment documents").
//!
//! Attributes are those of the OpenTelemetry Collector's receiver, old semantic conventions
//! included, because the collector's exporter reads them back. Different on purpose: times are
//! exact to the nanosecond, `fault`, `error` and `throttle` survive and make a status, `origin` is
//! the platform, links are links, a segment in progress ends when it begins, and a bad subsegment
//! costs only itself and what is in it.
//!
//! A document is walked twice: [`Segments::read`] finds its segments and checks what each must
//! have, [`Segments::write_spans`] reads each one's members. Neither recurses. Invariant: what is
//! written is a valid OTLP body.

mod attributes;
mod aws;
mod blocks;
mod cause;
mod document;
mod exceptions;
mod http;
mod json_out;
mod metadata;
mod names;
mod span;
mod stack;
mod walk;

#[cfg(test)]
mod bad_tests;
#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod tests;

use crate::codec::json::{self, Reader, Text};
use crate::codec::protobuf::{push_bytes, push_message};
use attributes::Set;
pub use document::{documents, Documents, Out};
use walk::Node;

/// Subsegments inside one another; what is deeper is cut off and counted. Each takes two of the
/// tokenizer's levels.
pub const DEPTH_MAX: usize = 24;

/// Segment and subsegments of one document; what is more is skipped and counted.
pub const SPANS_MAX: usize = 1_024;

/// Attributes of one span, as OpenTelemetry's SDKs limit them; the span says how many are missing.
pub const ATTRIBUTES_MAX: usize = 128;

/// Bytes of spans for which room is kept from one document to the next.
pub const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Json(json::Error),
    NoObject,
    /// The member of the root that is missing or cannot be used.
    Member(&'static str),
}

impl Refusal {
    /// For counters.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Json(_) => "malformed",
            Refusal::NoObject | Refusal::Member(_) => "invalid",
        }
    }
}

impl From<json::Error> for Refusal {
    fn from(error: json::Error) -> Refusal {
        Refusal::Json(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Json(error) => error.fmt(f),
            Refusal::NoObject => f.write_str("the document is no object"),
            Refusal::Member(name) => write!(f, "{name} is missing or invalid"),
        }
    }
}

/// What is in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// The segment has no end yet; the same segment will come again.
    pub in_progress: bool,
    pub spans: u64,
    /// Subsegments that were left out.
    pub skipped: u64,
}

/// Reads documents; keeps its buffers.
#[derive(Default)]
pub struct Segments {
    nodes: Vec<Node>,
    scratch: Scratch,
    spans: Vec<u8>,
}

/// What is gathered while a span is written.
#[derive(Default)]
struct Scratch {
    attributes: Set,
    resource: Set,
    exception: Set,
    text: String,
}

impl Segments {
    /// Finds the segments of a document and checks what every one must have.
    pub fn read(&mut self, document: &[u8]) -> Result<Summary, Refusal> {
        let skipped = walk::walk(Reader::from_bytes(document)?, &mut self.nodes)?;
        let root = &self.nodes[0];
        Ok(Summary {
            trace_id: root.trace_id,
            span_id: root.span_id,
            in_progress: root.in_progress,
            spans: self.nodes.iter().filter(|node| node.fault.is_none()).count() as u64,
            skipped,
        })
    }

    /// Appends an OTLP traces body with the spans of the document that was read last.
    pub fn write_spans(&mut self, document: &[u8], out: &mut Vec<u8>) {
        let Ok(text) = std::str::from_utf8(document) else { return };
        self.spans.clear();
        self.scratch.resource.clear();
        let good = self.nodes.iter().filter(|node| node.fault.is_none());
        for (at, node) in good.enumerate() {
            let Some(own) = text.get(node.start..node.end) else { return };
            push_message(&mut self.spans, 2, |out| {
                span::write(own, node, at == 0, &mut self.scratch, out);
            });
        }
        push_message(out, 1, |out| {
            push_message(out, 1, |out| self.scratch.resource.write(out, 1));
            push_bytes(out, 2, &self.spans);
        });
        self.spans.clear();
        self.spans.shrink_to(KEPT_BYTES_MAX);
    }
}

/// Visits the members of an object; a value of another type is passed over.
fn each<'a>(
    reader: &mut Reader<'a>,
    mut visit: impl FnMut(&str, &mut Reader<'a>) -> Result<(), json::Error>,
) -> Result<(), json::Error> {
    if reader.object()? {
        while let Some(key) = reader.key()? {
            visit(&key.decode(), reader)?;
        }
    }
    Ok(())
}

/// A JSON number as an integer; one with a fraction is cut.
fn integer(reader: &mut Reader<'_>) -> Result<Option<i64>, json::Error> {
    let cut = |number: &str| number.parse::<f64>().map_or(0, |number| number as i64);
    Ok(reader.number()?.map(|number| number.parse().unwrap_or_else(|_| cut(number))))
}

fn string<'a>(reader: &mut Reader<'a>) -> Result<Option<std::borrow::Cow<'a, str>>, json::Error> {
    Ok(reader.string()?.map(Text::decode))
}
