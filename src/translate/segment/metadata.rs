//! What no block of a segment document takes: annotations, which X-Ray indexes, where the span
//! says so, and metadata otherwise.

use super::document::Bag;
use super::json_out::Json;
use crate::codec::json::{Kind, Reader};
use crate::codec::otlp::{AnyValue, Attribute};

/// The attribute that lists the keys of annotations.
const INDEXED: [&str; 1] = ["aws.xray.annotations"];

/// What stands before the name of a namespace, whose value is a JSON object.
const NAMESPACE: &str = "aws.xray.metadata.";

/// The namespace of everything else.
const DEFAULT: &str = "default";

/// What stands before the key of a resource's attribute.
const OF_RESOURCE: &str = "otel.resource.";

/// What tells of a call, and is left out of the segment of the service that made it.
const OF_CALL: [&str; 4] =
    ["aws.remote.service", "aws.remote.operation", "remoteTarget", "K8s.RemoteNamespace"];

/// Which attributes a document shows.
#[derive(Clone, Copy)]
pub(super) struct Shows {
    pub resource: bool,
    /// The call's own; without them it is the segment of the service that made it.
    pub call: bool,
}

/// Writes both.
pub(super) fn write(own: &mut Bag<'_>, resource: &Bag<'_>, shows: Shows, json: &mut Json) {
    let keys: Vec<&str> = own
        .take(&INDEXED)
        .into_iter()
        .flat_map(AnyValue::elements)
        .filter_map(|key| if let AnyValue::Text(key) = key { Some(key) } else { None })
        .collect();
    let is_scalar = |value: AnyValue<'_>| {
        !matches!(value, AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Empty)
    };
    // An indexed attribute may be one that a block shows too.
    let is_indexed = |prefix: &str, one: &Attribute<'_>| {
        let is_one = |key: &&str| key.strip_prefix(prefix) == Some(one.key);
        keys.iter().any(is_one) && is_scalar(one.value)
    };
    let of_resource = || resource.all.iter().map(|(one, _)| one).filter(|_| shows.resource);
    if !keys.is_empty() {
        let of_span = own.all.iter().map(|(one, _)| one);
        let of_span = of_span.filter(|one| shows.call || !OF_CALL.contains(&one.key));
        let of_span = of_span.filter(|one| is_indexed("", one)).map(|one| ("", one));
        let of_resource = of_resource().filter(|one| is_indexed(OF_RESOURCE, one));
        annotations(of_resource.map(|one| (OF_RESOURCE, one)).chain(of_span), json);
    }
    let rest: Vec<Attribute<'_>> =
        own.unused().filter(|one| shows.call && !is_indexed("", one)).collect();
    metadata(&rest, of_resource().filter(|one| !is_indexed(OF_RESOURCE, one)), json);
}

fn annotations<'a>(all: impl Iterator<Item = (&'a str, &'a Attribute<'a>)>, json: &mut Json) {
    let mut all = all.peekable();
    if all.peek().is_none() {
        return;
    }
    json.key("annotations");
    json.open('{');
    for (prefix, one) in all {
        json.value_of([prefix, &annotation_key(one.key)], one.value);
    }
    json.close('}');
}

fn metadata<'a>(
    rest: &[Attribute<'_>],
    of_resource: impl Iterator<Item = &'a Attribute<'a>>,
    json: &mut Json,
) {
    let mut of_resource = of_resource.peekable();
    if rest.is_empty() && of_resource.peek().is_none() {
        return;
    }
    let mut spaces: Vec<_> = rest.iter().filter_map(namespace).collect();
    let mut plain = rest.iter().filter(|one| namespace(one).is_none()).peekable();
    json.key("metadata");
    json.open('{');
    // The sender's own namespace of that name has what is ours too.
    let at = spaces.iter().position(|(name, _)| name.eq_ignore_ascii_case(DEFAULT));
    let default = at.map(|at| spaces.remove(at).1);
    if default.is_some() || plain.peek().is_some() || of_resource.peek().is_some() {
        json.key(DEFAULT);
        json.open_with(default.unwrap_or("{}"));
        plain.for_each(|one| json.value(one.key, one.value));
        of_resource.for_each(|one| json.value_of([OF_RESOURCE, one.key], one.value));
        json.close('}');
    }
    for (name, object) in spaces {
        json.raw_with(name, |out| out.push_str(object));
    }
    json.close('}');
}

/// The namespace that an attribute is, and its object.
fn namespace<'a>(one: &Attribute<'a>) -> Option<(&'a str, &'a str)> {
    let name = one.key.strip_prefix(NAMESPACE)?;
    let AnyValue::Text(text) = one.value else { return None };
    let mut reader = Reader::new(text);
    let is_object = matches!(reader.kind(), Ok(Kind::Object));
    let is_good = is_object && reader.skip().and_then(|()| reader.end()).is_ok();
    is_good.then_some((name, text.trim()))
}

/// X-Ray's filter expressions know letters, digits, `.` and `_`.
fn annotation_key(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    key.chars().map(plain).collect()
}
