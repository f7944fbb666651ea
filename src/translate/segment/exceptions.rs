//! The `cause` of a document: events named `exception`, or the status.

use super::document::Parts;
use super::json_out::Json;
use super::stack::{self, Frame, Thrown};
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
        json.text("id", &new_id(random));
        json.text("message", parts.message);
        json.close('}');
    }
    for event in events {
        exception(event, parts.is_call(), random, json);
    }
    json.close(']');
    json.close('}');
}

fn is_exception_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn new_id(random: &mut dyn FnMut() -> u64) -> String {
    let mut id = String::new();
    push_hex(&mut id, &random().to_be_bytes());
    id
}

/// Writes one event, and as exceptions of their own what it was caused by.
fn exception(event: &[u8], is_call: bool, random: &mut dyn FnMut() -> u64, json: &mut Json) {
    let value =
        |key: &str| Attributes::new(event, 3).find(|own| own.key == key).map(|own| own.value);
    let trace = match value("exception.stacktrace") {
        Some(AnyValue::Text(trace)) => stack::read(trace),
        _ => vec![Thrown::default()],
    };
    json.open('{');
    match value("aws.xray.exception.id") {
        Some(AnyValue::Text(id)) if is_exception_id(id) => json.text("id", id),
        _ => json.text("id", &new_id(random)),
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
        match value(key) {
            Some(value) => json.value(member, value),
            None if member == "remote" => json.boolean(member, is_call),
            None if member == "truncated" && trace[0].truncated > 0 => {
                json.integer(member, trace[0].truncated);
            }
            None => {}
        }
    }
    let has_cause = value("aws.xray.exception.cause").is_some();
    let mut causes = trace.iter().skip(1).filter(|_| !has_cause).peekable();
    let mut next_id = causes.peek().map(|_| new_id(random));
    close_with(next_id.as_deref(), &trace[0].frames, json);
    while let (Some(cause), Some(id)) = (causes.next(), next_id.take()) {
        json.open('{');
        json.text("id", &id);
        json.text("message", &cause.message);
        json.text("type", cause.kind);
        json.boolean("remote", is_call);
        if cause.truncated > 0 {
            json.integer("truncated", cause.truncated);
        }
        next_id = causes.peek().map(|_| new_id(random));
        close_with(next_id.as_deref(), &cause.frames, json);
    }
}

/// Ends an exception with what it was caused by and its frames.
fn close_with(cause: Option<&str>, frames: &[Frame<'_>], json: &mut Json) {
    if let Some(id) = cause {
        json.text("cause", id);
    }
    if !frames.is_empty() {
        json.key("stack");
        json.open('[');
        for frame in frames {
            json.open('{');
            json.text("path", frame.path);
            json.text("label", frame.label);
            if let Some(line) = frame.line {
                json.integer("line", i64::from(line));
            }
            json.close('}');
        }
        json.close(']');
    }
    json.close('}');
}
