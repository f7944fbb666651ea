//! One log record as one line.
//!
//! Text: `12:34:56.789 WARN  checkout no stock trace=… span=… order=17`, with the time of the event
//! or else that of its observation, and the severity's own name where it has no number. JSON: its
//! fields under their OTLP names, `body` typed, attributes as one object; what is empty is absent,
//! but for `time` and `body`. Left out: flags and dropped counts.

use super::body::Context;
use super::line::Line;
use crate::codec::otlp::{AnyValue, LogRecord};

/// Longest name of a severity, in bytes; what a source calls a level is a word.
const SEVERITY_BYTES_MAX: usize = 16;

pub fn push_text(line: &mut Line<'_>, record: &LogRecord<'_>, context: &Context) {
    line.push_clock(time_ns(record));
    line.push(" ");
    match record.severity_name() {
        Some(name) => line.push_format(format_args!("{name:<5}")),
        None if (1..=SEVERITY_BYTES_MAX).contains(&record.severity_text.len()) => {
            line.push_word(record.severity_text);
        }
        None => line.push("LOG  "),
    }
    line.push(" ");
    line.push(&context.resource.text);
    if !record.event_name.is_empty() {
        line.push(" ");
        line.push_word(record.event_name);
    }
    match record.body {
        AnyValue::Empty => {}
        AnyValue::Text(text) => {
            line.push(" ");
            line.push_plain(text);
        }
        other => {
            line.push(" ");
            line.push_value(other);
        }
    }
    line.push_id("trace", record.trace_id);
    line.push_id("span", record.span_id);
    line.push_pairs(record.attributes());
}

/// As the data model wants it ("Timestamp"): the observation's where the event has none.
fn time_ns(record: &LogRecord<'_>) -> u64 {
    if record.time_ns > 0 {
        record.time_ns
    } else {
        record.observed_ns
    }
}

/// Appends the members of the line's object; what may be long comes last.
pub fn push_json(line: &mut Line<'_>, record: &LogRecord<'_>, context: &Context) {
    line.time_member("time", time_ns(record));
    if record.observed_ns > 0 {
        line.time_member("observed_time", record.observed_ns);
    }
    line.number_member("severity_number", record.severity_number);
    line.id_member("trace_id", record.trace_id);
    line.id_member("span_id", record.span_id);
    line.push(&context.resource.text);
    line.push(&context.scope.text);
    line.text_member("severity_text", record.severity_text);
    line.text_member("event_name", record.event_name);
    if line.member("body") {
        line.push_json(record.body);
    }
    line.attributes_member("attributes", record.attributes());
}
