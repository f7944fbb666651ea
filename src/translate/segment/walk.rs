//! The first walk: where each segment of a document is, and whether it has what it must have.
//!
//! The tokenizer goes through the document once; open segments are a chain of parents in the list
//! that is being made, so that nothing recurses.

use super::{Refusal, DEPTH_MAX, SPANS_MAX};
use crate::codec::json::{Error, Kind, Reader, Text};
use crate::codec::xray;

/// How some say that there is no parent.
const NO_PARENT: &str = "0000000000000000";

/// A segment or subsegment.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Where its object is in the document.
    pub start: usize,
    pub end: usize,
    /// Where its array of subsegments is.
    pub subsegments: (usize, usize),
    parent: Option<usize>,
    depth: usize,
    /// All zeros: none.
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_id: [u8; 8],
    pub in_progress: bool,
    /// It is inside another, or says so and names a parent.
    pub is_subsegment: bool,
    /// The member for which it cannot be a span.
    pub fault: Option<&'static str>,
    has_name: bool,
    has_start: bool,
}

/// Lists the segments of a document, parents before children; returns how many subsegments cannot
/// be spans.
pub(super) fn walk(mut reader: Reader<'_>, nodes: &mut Vec<Node>) -> Result<u64, Refusal> {
    nodes.clear();
    if reader.kind()? != Kind::Object {
        return Err(Refusal::NoObject);
    }
    let mut skipped = 0;
    let mut at = open(&mut reader, nodes, None)?;
    loop {
        match reader.key()? {
            Some(key) if &*key.decode() == "subsegments" && reader.kind()? == Kind::Array => {
                if nodes[at].depth == DEPTH_MAX {
                    reader.skip_unbounded()?;
                    skipped += 1;
                    continue;
                }
                nodes[at].subsegments.0 = reader.offset();
                reader.array()?;
                at = next_child(&mut reader, nodes, at, &mut skipped)?;
            }
            Some(key) => read_member(&mut reader, &key.decode(), &mut nodes[at])?,
            None => {
                nodes[at].end = reader.offset();
                match nodes[at].parent {
                    Some(parent) => at = next_child(&mut reader, nodes, parent, &mut skipped)?,
                    None => break,
                }
            }
        }
    }
    reader.end()?;
    skipped += settle(nodes);
    match nodes[0].fault {
        Some(member) => Err(Refusal::Member(member)),
        None => Ok(skipped),
    }
}

/// Enters the object of a segment.
fn open(
    reader: &mut Reader<'_>,
    nodes: &mut Vec<Node>,
    parent: Option<usize>,
) -> Result<usize, Error> {
    let start = reader.offset();
    reader.object()?;
    let depth = parent.map_or(0, |parent| nodes[parent].depth + 1);
    nodes.push(Node { start, parent, depth, ..Node::default() });
    Ok(nodes.len() - 1)
}

/// Enters the next subsegment of `parent`, or goes on with `parent` where there is none left.
fn next_child(
    reader: &mut Reader<'_>,
    nodes: &mut Vec<Node>,
    parent: usize,
    skipped: &mut u64,
) -> Result<usize, Error> {
    while reader.element()? {
        if reader.kind()? == Kind::Object && nodes.len() < SPANS_MAX {
            return open(reader, nodes, Some(parent));
        }
        reader.skip_unbounded()?;
        *skipped += 1;
    }
    nodes[parent].subsegments.1 = reader.offset();
    Ok(parent)
}

fn read_member(reader: &mut Reader<'_>, key: &str, node: &mut Node) -> Result<(), Error> {
    match key {
        "name" => node.has_name = reader.string()?.is_some(),
        "id" => node.span_id = id(reader, xray::span_id)?.unwrap_or_default(),
        "parent_id" | "trace_id" | "end_time" if reader.kind()? == Kind::Null => {}
        "parent_id" => match reader.string()?.map(Text::decode).as_deref() {
            Some("" | NO_PARENT) => {}
            Some(text) if xray::span_id(text).is_some() => {
                node.parent_id = xray::span_id(text).unwrap_or_default();
            }
            // Inside another segment that one is the parent, whatever is said.
            _ if node.depth > 0 => {}
            _ => node.fault = Some("parent_id"),
        },
        "trace_id" => match id(reader, xray::trace_id)? {
            Some(id) => node.trace_id = id,
            None => node.fault = Some("trace_id"),
        },
        "start_time" => node.has_start = reader.number()?.and_then(xray::nanos).is_some(),
        "end_time" if reader.number()?.and_then(xray::nanos).is_none() => {
            node.fault = Some("end_time");
        }
        "in_progress" => node.in_progress = reader.boolean()? == Some(true),
        "type" => {
            let kind = reader.string()?.map(Text::decode);
            node.is_subsegment = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("subsegment"));
        }
        "namespace" => {
            let is_absent = reader.kind()? == Kind::Null;
            let namespace = reader.string()?.map(Text::decode);
            if !is_absent && !matches!(namespace.as_deref(), Some("aws" | "remote" | "local")) {
                node.fault = Some("namespace");
            }
        }
        "cause" if !matches!(reader.kind()?, Kind::String | Kind::Object | Kind::Null) => {
            node.fault = Some("cause");
        }
        _ => {}
    }
    Ok(())
}

fn id<T>(reader: &mut Reader<'_>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
    Ok(reader.string()?.and_then(|text| parse(&text.decode())))
}

/// Gives subsegments what they have from their parents, and finds what is missing. Returns how many
/// subsegments cannot be spans: those with a fault, and all that is in them.
fn settle(nodes: &mut [Node]) -> u64 {
    let mut faulty = 0;
    for at in 0..nodes.len() {
        let (before, rest) = nodes.split_at_mut(at);
        let node = &mut rest[0];
        if let Some(parent) = node.parent {
            let parent = &before[parent];
            node.parent_id = parent.span_id;
            node.is_subsegment = true;
            node.fault = node.fault.or(parent.fault);
            if node.trace_id == [0; 16] {
                node.trace_id = before[0].trace_id;
            }
        } else {
            node.is_subsegment &= node.parent_id != [0; 8];
        }
        let missing = [
            (node.has_name, "name"),
            (node.span_id != [0; 8], "id"),
            (node.has_start, "start_time"),
            (node.trace_id != [0; 16], "trace_id"),
        ];
        let missing = missing.iter().find(|(has, _)| !has).map(|(_, member)| *member);
        node.fault = node.fault.or(missing);
        faulty += u64::from(at > 0 && node.fault.is_some());
    }
    faulty
}
