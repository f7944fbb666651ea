//! What no block of a segment document takes: annotations, which X-Ray indexes, where the span
//! says so, and metadata otherwise.

use std::borrow::Cow;

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
    let is_indexed = |key: &str, value| keys.contains(&key) && is_scalar(value);
    let of_resource = || {
        let all = resource.all.iter().filter(|_| shows.resource);
        all.map(|(one, _)| (Cow::Owned(format!("{OF_RESOURCE}{}", one.key)), one.value))
    };
    let of_span = || {
        let all = own.all.iter().filter(|(one, _)| shows.call || !OF_CALL.contains(&one.key));
        all.map(|(one, _)| (Cow::Borrowed(one.key), one.value))
    };
    let annotations = || of_resource().chain(of_span()).filter(|(key, v)| is_indexed(key, *v));
    if !keys.is_empty() && annotations().next().is_some() {
        json.key("annotations");
        json.open('{');
        annotations().for_each(|(key, value)| json.value(&annotation_key(&key), value));
        json.close('}');
    }
    let rest: Vec<Attribute<'_>> =
        own.unused().filter(|one| shows.call && !is_indexed(one.key, one.value)).collect();
    let of_resource = of_resource().filter(|(key, value)| !is_indexed(key, *value)).collect();
    metadata(&rest, of_resource, json);
}

fn metadata(
    rest: &[Attribute<'_>],
    of_resource: Vec<(Cow<'_, str>, AnyValue<'_>)>,
    json: &mut Json,
) {
    if rest.is_empty() && of_resource.is_empty() {
        return;
    }
    let (spaces, plain): (Vec<_>, Vec<_>) =
        rest.iter().map(|one| (namespace(one), one)).partition(|(space, _)| space.is_some());
    let mut spaces: Vec<(&str, &str)> = spaces.into_iter().filter_map(|(space, _)| space).collect();
    json.key("metadata");
    json.open('{');
    // The sender's own namespace of that name has what is ours too.
    let at = spaces.iter().position(|(name, _)| name.eq_ignore_ascii_case(DEFAULT));
    let default = at.map(|at| spaces.remove(at).1);
    if default.is_some() || !plain.is_empty() || !of_resource.is_empty() {
        json.key(DEFAULT);
        json.open_with(default.unwrap_or("{}"));
        plain.iter().for_each(|(_, one)| json.value(one.key, one.value));
        of_resource.iter().for_each(|(key, value)| json.value(key, *value));
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
