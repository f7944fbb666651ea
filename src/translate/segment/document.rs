//! OTLP spans as segment documents, for the X-Ray API (PutTraceSegments).
//!
//! One span is one document, by the rules of the OpenTelemetry Collector's exporter. Left out: the
//! second document that it makes of a local root that calls out (Application Signals), the check of
//! a trace id's age, which X-Ray has given up, and stack traces of Go. Different on purpose: what
//! the other direction keeps (flags, exception ids, links) comes back as it was. The body must be
//! validated, which bounds how deep a value nests and so the only recursion here.

use super::blocks;
use super::exceptions;
use super::json_out::Json;
use super::names;
use crate::codec::otlp::{AnyValue, Attribute, Attributes};
use crate::codec::protobuf::{Fields, Wire};
use crate::codec::xray::{push_hex, push_seconds, push_trace_id};

const SERVER: u64 = 2;
const CONSUMER: u64 = 5;
const ERROR: u64 = 2;

/// Attributes with who used them.
#[derive(Default)]
pub(super) struct Bag<'a> {
    all: Vec<(Attribute<'a>, bool)>,
}

impl<'a> Bag<'a> {
    fn fill(&mut self, attributes: Attributes<'a>) {
        self.all.clear();
        self.all.extend(attributes.map(|attribute| (attribute, false)));
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

    pub fn is_true(&mut self, name: &str) -> bool {
        matches!(self.take(&[name]), Some(AnyValue::Bool(true)))
    }

    fn unused(&self) -> impl Iterator<Item = Attribute<'a>> + '_ {
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

    pub fn is_segment(&self) -> bool {
        matches!(self.kind, SERVER | CONSUMER) || self.parent_id.is_none()
    }
}

/// Writes every span of a traces body as a document. `random` makes ids for exceptions that have
/// none.
pub fn documents(body: &[u8], random: &mut dyn FnMut() -> u64, visit: &mut dyn FnMut(&str)) {
    let (mut resource, mut attributes) = (Bag::default(), Bag::default());
    let mut json = Json::default();
    let is_first = |(number, _): &(u32, Wire<'_>)| *number == 1;
    let is_second = |(number, _): &(u32, Wire<'_>)| *number == 2;
    for (_, resource_spans) in Fields::new(body).filter(is_first) {
        let resource_spans = resource_spans.bytes();
        for (_, scope_spans) in Fields::new(resource_spans).filter(is_second) {
            for (_, span) in Fields::new(scope_spans.bytes()).filter(is_second) {
                resource.fill(Attributes::of_part(resource_spans, 1, 1));
                attributes.fill(Attributes::new(span.bytes(), 9));
                json.clear();
                let parts = Parts::read(span.bytes());
                write(&parts, &mut attributes, &mut resource, random, &mut json);
                visit(json.as_str());
            }
        }
    }
}

fn write<'a>(
    parts: &Parts<'a>,
    own: &mut Bag<'a>,
    resource: &mut Bag<'a>,
    random: &mut dyn FnMut() -> u64,
    json: &mut Json,
) {
    let is_segment = parts.is_segment();
    let name = names::choose(parts, own, resource);
    json.open('{');
    json.text("name", &name.name);
    json.text_with("id", |out| push_hex(out, &parts.span_id));
    json.text_with("trace_id", |out| push_trace_id(out, &parts.trace_id));
    if let Some(parent) = parts.parent_id {
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
    if let Some(user) = own.text(&["enduser.id", "user.id"]) {
        json.text("user", user);
    }
    if let Some(AnyValue::Bool(traced)) = own.take(&["aws.xray.traced"]) {
        json.boolean("traced", traced);
    }
    if is_segment {
        blocks::service(resource, json);
    }
    let status = blocks::http(own, json);
    blocks::flags(parts, own, status, json);
    exceptions::cause(parts, random, json);
    blocks::aws(own, resource, name.operation, json);
    blocks::sql(parts, own, json);
    links(parts, json);
    annotations_and_metadata(own, resource, is_segment, json);
    json.close('}');
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

/// What is left: indexed where the span says so, and in `metadata` otherwise.
fn annotations_and_metadata(
    own: &mut Bag<'_>,
    resource: &Bag<'_>,
    is_segment: bool,
    json: &mut Json,
) {
    const METADATA: &str = "aws.xray.metadata.";
    let indexed: Vec<&str> = own
        .take(&["aws.xray.annotations"])
        .into_iter()
        .flat_map(AnyValue::elements)
        .filter_map(|key| if let AnyValue::Text(key) = key { Some(key) } else { None })
        .collect();
    let is_scalar = |value: AnyValue<'_>| {
        !matches!(value, AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Empty)
    };
    let is_indexed = |one: &Attribute<'_>| indexed.contains(&one.key) && is_scalar(one.value);
    // An indexed attribute may be one that a block shows too.
    let annotations = || own.all.iter().map(|(one, _)| one).filter(|one| is_indexed(one));
    if annotations().next().is_some() {
        json.key("annotations");
        json.open('{');
        annotations().for_each(|one| json.value(&annotation_key(one.key), one.value));
        json.close('}');
    }
    let document = |one: &Attribute<'_>| match (one.key.strip_prefix(METADATA), one.value) {
        (Some(_), AnyValue::Text(text)) => text.starts_with('{') && is_json(text),
        _ => false,
    };
    let mut rest = own.unused().filter(|one| !is_indexed(one) && !document(one)).peekable();
    let of_resource = || resource.all.iter().map(|(one, _)| one).filter(|_| is_segment);
    let spaces = || own.unused().filter(document);
    let has_default = rest.peek().is_some() || of_resource().next().is_some();
    if !has_default && spaces().next().is_none() {
        return;
    }
    json.key("metadata");
    json.open('{');
    // A namespace of the sender that is called `default` takes the place of ours: two would not do.
    let mut is_default_taken = false;
    for one in spaces() {
        let name = one.key.strip_prefix(METADATA).unwrap_or_default();
        is_default_taken |= name == "default";
        if let AnyValue::Text(text) = one.value {
            json.raw_with(name, |out| out.push_str(text));
        }
    }
    if has_default {
        json.key(if is_default_taken { "otel" } else { "default" });
        json.open('{');
        rest.for_each(|one| json.value(one.key, one.value));
        of_resource().for_each(|one| json.value(&format!("otel.resource.{}", one.key), one.value));
        json.close('}');
    }
    json.close('}');
}

fn is_json(text: &str) -> bool {
    let mut reader = crate::codec::json::Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

/// X-Ray's filter expressions know letters, digits, `.` and `_`.
fn annotation_key(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    key.chars().map(plain).collect()
}
