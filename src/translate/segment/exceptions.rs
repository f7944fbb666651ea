//! The `cause` of a document: events named `exception`, or the status.

use super::document::Parts;
use super::json_out::Json;
use super::stack;
use crate::codec::otlp::{AnyValue, Attributes};
use crate::codec::protobuf::Fields;
use crate::codec::xray::push_hex;

/// Exceptions out of events, or one out of the status.
pub(super) fn cause(parts: &Parts<'_>, random: &mut dyn FnMut() -> u64, json: &mut Json) {
    let is_exception = |event: &&[u8]| {
        let name = Fields::new(event).find(|(number, _)| *number == 2);
        name.is_some_and(|(_, name)| name.text() == "exception")
    };
    let mut events = parts.each(11).filter(is_exception).peekable();
    let has_message = parts.is_error && !parts.message.is_empty();
    if events.peek().is_none() && !has_message {
        return;
    }
    json.key("cause");
    // X-Ray's own way to point at an exception that another segment tells.
    if events.peek().is_none() && is_exception_id(parts.message) {
        return json.element(parts.message);
    }
    json.open('{');
    json.key("exceptions");
    json.open('[');
    if events.peek().is_none() {
        json.open('{');
        json.text_with("id", |out| push_hex(out, &random().to_be_bytes()));
        json.text("message", parts.message);
        json.close('}');
    }
    for event in events {
        exception(event, random, json);
    }
    json.close(']');
    json.close('}');
}

fn is_exception_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn exception(event: &[u8], random: &mut dyn FnMut() -> u64, json: &mut Json) {
    let value =
        |key: &str| Attributes::new(event, 3).find(|own| own.key == key).map(|own| own.value);
    json.open('{');
    match value("aws.xray.exception.id") {
        Some(AnyValue::Text(id)) if is_exception_id(id) => json.text("id", id),
        _ => json.text_with("id", |out| push_hex(out, &random().to_be_bytes())),
    }
    let rows = [
        ("message", "exception.message"),
        ("type", "exception.type"),
        ("remote", "aws.xray.exception.remote"),
        ("truncated", "aws.xray.exception.truncated"),
        ("skipped", "aws.xray.exception.skipped"),
        ("cause", "aws.xray.exception.cause"),
    ];
    for (member, key) in rows {
        if let Some(value) = value(key) {
            json.value(member, value);
        }
    }
    if let Some(AnyValue::Text(trace)) = value("exception.stacktrace") {
        stack::write(trace, json);
    }
    json.close('}');
}
