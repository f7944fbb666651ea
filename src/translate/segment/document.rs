//! OTLP spans as segment documents, for the X-Ray API (PutTraceSegments).
//!
//! One span is one document, by the rules of the OpenTelemetry Collector's exporter; a local root
//! that calls out (Application Signals) is two, the call and the service that made it. Left out:
//! the check of a trace id's age, which X-Ray has given up. Different on purpose: what the other
//! direction keeps (flags, exception ids, links) comes back as it was. The body must be validated,
//! which bounds how deep a value nests and so the only recursion here.

use super::blocks;
use super::exceptions;
use super::http::Http;
use super::json_out::Json;
use super::metadata::{self, Shows};
use super::names;
use crate::codec::otlp::{AnyValue, Attribute, Attributes};
use crate::codec::protobuf::{Fields, Wire};
use crate::codec::xray::{push_hex, push_seconds, push_trace_id};

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;
const ERROR: u64 = 2;

/// Attributes of a span or resource that are looked at, eight times as many as SDKs let through:
/// each span looks through those of its resource for what has a place of its own.
const ATTRIBUTES_READ_MAX: usize = 1024;

/// Attributes with who used them.
#[derive(Default)]
pub(super) struct Bag<'a> {
    pub all: Vec<(Attribute<'a>, bool)>,
}

impl<'a> Bag<'a> {
    fn fill(&mut self, attributes: Attributes<'a>) {
        self.all.clear();
        let read = attributes.take(ATTRIBUTES_READ_MAX);
        self.all.extend(read.map(|attribute| (attribute, false)));
    }

    /// The value of the first name that is there, which is then used.
    pub fn take(&mut self, names: &[&str]) -> Option<AnyValue<'a>> {
        names.iter().find_map(|name| {
            let (found, used) = self.all.iter_mut().find(|(own, _)| own.key == *name)?;
            *used = true;
            Some(found.value)
        })
    }

    /// The first string that is there and not empty, which is then used.
    pub fn text(&mut self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| {
            let text = self.peek(&[name])?;
            self.take(&[name]).map(|_| text)
        })
    }

    /// The first string that is there and not empty.
    pub fn peek(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| {
            self.all.iter().find_map(|(own, _)| match own.value {
                AnyValue::Text(text) if own.key == *name && !text.is_empty() => Some(text),
                _ => None,
            })
        })
    }

    pub fn has(&self, names: &[&str]) -> bool {
        self.all.iter().any(|(own, _)| names.contains(&own.key))
    }

    pub fn is_true(&mut self, name: &str) -> bool {
        matches!(self.take(&[name]), Some(AnyValue::Bool(true)))
    }

    pub fn unused(&self) -> impl Iterator<Item = Attribute<'a>> + '_ {
        self.all.iter().filter(|(_, used)| !used).map(|(own, _)| *own)
    }
}

/// A span as far as it is needed.
#[derive(Default)]
pub(super) struct Parts<'a> {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    pub name: &'a str,
    pub kind: u64,
    start: u64,
    end: u64,
    pub is_error: bool,
    pub message: &'a str,
    fields: Fields<'a>,
}

impl<'a> Parts<'a> {
    fn read(span: &'a [u8]) -> Parts<'a> {
        let mut parts = Parts { fields: Fields::new(span), ..Parts::default() };
        for (number, value) in Fields::new(span) {
            match number {
                1 => parts.trace_id = value.bytes().try_into().unwrap_or_default(),
                2 => parts.span_id = value.bytes().try_into().unwrap_or_default(),
                4 => {
                    let id = value.bytes().try_into().ok();
                    parts.parent_id = id.filter(|id| *id != [0; 8]);
                }
                5 => parts.name = value.text(),
                6 => parts.kind = value.number(),
                7 => parts.start = value.number(),
                8 => parts.end = value.number(),
                15 => {
                    for (number, value) in Fields::new(value.bytes()) {
                        match number {
                            2 => parts.message = value.text(),
                            3 => parts.is_error = value.number() == ERROR,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        parts
    }

    /// The submessages that are field `number`.
    pub fn each(&self, number: u32) -> impl Iterator<Item = &'a [u8]> {
        self.fields.filter(move |(own, _)| *own == number).map(|(_, value)| value.bytes())
    }

    /// It calls another service.
    pub fn is_call(&self) -> bool {
        matches!(self.kind, CLIENT | PRODUCER)
    }

    pub fn is_server(&self) -> bool {
        self.kind == SERVER
    }
}

/// Which of the documents that a span may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The only one.
    Whole,
    /// A segment whatever its kind and parent: the first of its service.
    Root,
    /// The call of such a one that calls out, in its service's segment with this id.
    Call([u8; 8]),
    /// That service's segment.
    Service([u8; 8]),
}

/// The spans of a traces body, each with the `ResourceSpans` it is in.
#[derive(Clone, Copy, Debug, Default)]
struct Spans<'a> {
    body: Fields<'a>,
    resource: &'a [u8],
    scopes: Fields<'a>,
    spans: Fields<'a>,
}

impl<'a> Iterator for Spans<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let is = |wanted: u32| move |(number, _): &(u32, Wire<'_>)| *number == wanted;
        loop {
            if let Some((_, span)) = self.spans.find(is(2)) {
                return Some((self.resource, span.bytes()));
            }
            if let Some((_, scope)) = self.scopes.find(is(2)) {
                self.spans = Fields::new(scope.bytes());
                continue;
            }
            let (_, resource) = self.body.find(is(1))?;
            self.resource = resource.bytes();
            self.scopes = Fields::new(self.resource);
        }
    }
}

/// One document, or none.
pub enum Out<'d> {
    /// A document that stands for so many spans; the second one of a span stands for none.
    Document(&'d str, u64),
    /// A span without the ids that X-Ray asks for.
    NoIds,
}

/// Writes the spans of a traces body as documents, span by span.
pub struct Documents<'a> {
    spans: Spans<'a>,
    /// The `ResourceSpans` whose attributes these are.
    filled: &'a [u8],
    resource: Bag<'a>,
    own: Bag<'a>,
    json: Json,
}

impl<'a> Documents<'a> {
    pub fn new(body: &'a [u8]) -> Documents<'a> {
        let spans = Spans { body: Fields::new(body), ..Spans::default() };
        let (resource, own, json) = (Bag::default(), Bag::default(), Json::default());
        Documents { spans, filled: &[], resource, own, json }
    }

    /// Writes what the next span becomes and returns the bytes read and written; none at the end.
    /// `random` makes ids for exceptions and segments that have none.
    pub fn next(
        &mut self,
        random: &mut dyn FnMut() -> u64,
        visit: &mut dyn FnMut(Out<'_>),
    ) -> Option<usize> {
        let (resource, span) = self.spans.next()?;
        let parts = Parts::read(span);
        if parts.trace_id == [0; 16] || parts.span_id == [0; 8] {
            visit(Out::NoIds);
            return Some(span.len());
        }
        let mut attributes = Attributes::new(span, 9);
        let is_root = attributes.any(|own| {
            own.key == "aws.span.kind" && matches!(own.value, AnyValue::Text("LOCAL_ROOT"))
        });
        let is_own = matches!(parts.kind, SERVER | INTERNAL);
        let shapes: &[(Shape, u64)] = match (is_root, is_own) {
            (false, _) => &[(Shape::Whole, 1)],
            (true, true) => &[(Shape::Root, 1)],
            (true, false) => {
                // Zero is no id.
                let id = random().max(1).to_be_bytes();
                &[(Shape::Call(id), 1), (Shape::Service(id), 0)]
            }
        };
        // Everything of a resource is shown: who used what of it does not matter.
        if !std::ptr::eq(self.filled, resource) {
            self.resource.fill(Attributes::of_part(resource, 1, 1));
            self.filled = resource;
        }
        let mut bytes = span.len();
        for (shape, items) in shapes {
            self.own.fill(Attributes::new(span, 9));
            self.json.clear();
            write(&parts, *shape, &mut self.own, &mut self.resource, random, &mut self.json);
            bytes += self.json.as_str().len();
            visit(Out::Document(self.json.as_str(), *items));
        }
        Some(bytes)
    }
}

/// Writes all spans at once and passes over those without ids.
pub fn documents(body: &[u8], random: &mut dyn FnMut() -> u64, visit: &mut dyn FnMut(&str)) {
    let mut all = Documents::new(body);
    let mut texts = |out: Out<'_>| {
        if let Out::Document(text, _) = out {
            visit(text);
        }
    };
    while all.next(random, &mut texts).is_some() {}
}

fn write<'a>(
    parts: &Parts<'a>,
    shape: Shape,
    own: &mut Bag<'a>,
    resource: &mut Bag<'a>,
    random: &mut dyn FnMut() -> u64,
    json: &mut Json,
) {
    let is_service = matches!(shape, Shape::Service(_));
    json.open('{');
    let (is_segment, operation) = identify(parts, shape, own, resource, json);
    if let Some(user) = own.text(&["enduser.id", "user.id"]) {
        json.text("user", user);
    }
    if let Some(AnyValue::Bool(traced)) = own.take(&["aws.xray.traced"]) {
        json.boolean("traced", traced);
    }
    if is_segment {
        blocks::service(resource, json);
    }
    // A call is told by its own document alone; what went wrong with it, by both.
    let http = Http::read(own, parts.is_server());
    if !is_service {
        http.write(json);
    }
    blocks::flags(parts, own, http.status, json);
    exceptions::cause(parts, random, json);
    blocks::aws((!is_service).then_some(&mut *own), resource, operation, json);
    if !is_service {
        blocks::sql(parts, own, json);
    }
    let has_links = match shape {
        Shape::Whole | Shape::Root => true,
        Shape::Call(_) => parts.kind != CONSUMER,
        Shape::Service(_) => parts.kind == CONSUMER,
    };
    if has_links {
        links(parts, json);
    }
    let shows = Shows { resource: is_segment, call: !is_service };
    metadata::write(own, resource, shows, json);
    json.close('}');
}

/// Writes what every document begins with. Returns whether it is a segment, and the operation of a
/// call to AWS.
fn identify<'a>(
    parts: &Parts<'a>,
    shape: Shape,
    own: &mut Bag<'a>,
    resource: &Bag<'a>,
    json: &mut Json,
) -> (bool, Option<&'a str>) {
    let is_segment = match shape {
        Shape::Whole => matches!(parts.kind, SERVER | CONSUMER) || parts.parent_id.is_none(),
        Shape::Root | Shape::Service(_) => true,
        Shape::Call(_) => false,
    };
    let (id, parent_id) = match shape {
        Shape::Whole | Shape::Root => (parts.span_id, parts.parent_id),
        Shape::Call(id) => (parts.span_id, Some(id)),
        Shape::Service(id) => (id, parts.parent_id),
    };
    let name = names::choose(parts, shape, own, resource);
    json.text("name", &name.name);
    json.text_with("id", |out| push_hex(out, &id));
    json.text_with("trace_id", |out| push_trace_id(out, &parts.trace_id));
    if let Some(parent) = parent_id {
        json.text_with("parent_id", |out| push_hex(out, &parent));
    }
    json.raw_with("start_time", |out| push_seconds(out, parts.start));
    match own.is_true("aws.xray.inprogress") {
        true => json.boolean("in_progress", true),
        false => json.raw_with("end_time", |out| push_seconds(out, parts.end)),
    }
    if !is_segment {
        json.text("type", "subsegment");
    }
    if let Some(namespace) = name.namespace {
        json.text("namespace", namespace);
    }
    (is_segment, name.operation)
}

fn links(parts: &Parts<'_>, json: &mut Json) {
    let mut links = parts.each(13).peekable();
    if links.peek().is_none() {
        return;
    }
    json.key("links");
    json.open('[');
    for link in links {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        for (number, value) in Fields::new(link) {
            match number {
                1 => trace = value.bytes().try_into().unwrap_or_default(),
                2 => span = value.bytes().try_into().unwrap_or_default(),
                _ => {}
            }
        }
        if trace == [0; 16] || span == [0; 8] {
            continue;
        }
        json.open('{');
        json.text_with("trace_id", |out| push_trace_id(out, &trace));
        json.text_with("id", |out| push_hex(out, &span));
        let mut attributes = Attributes::new(link, 4).peekable();
        if attributes.peek().is_some() {
            json.key("attributes");
            json.open('{');
            attributes.for_each(|own| json.value(own.key, own.value));
            json.close('}');
        }
        json.close('}');
    }
    json.close(']');
}
