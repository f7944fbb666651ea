//! One span as one line.
//!
//! Text: `12:34:56.789 SPAN  checkout server GET /basket 12.3ms ERROR no stock trace=… span=…
//! parent=… http.route=/basket events=1`, with the time at which it began. JSON: its fields under
//! their OTLP names, `kind` and `status` as words, attributes as one object; what is empty is
//! absent, but for `time`, `end` and `kind`. Left out: flags and dropped counts.

use std::time::Duration;

use super::body::Context;
use super::line::Line;
use crate::codec::otlp::{Span, StatusCode};

pub fn push_text(line: &mut Line<'_>, span: &Span<'_>, context: &Context) {
    line.push_clock(span.start_ns);
    line.push(" SPAN  ");
    line.push(&context.resource.text);
    line.push(" ");
    line.push(span.kind.name());
    line.push(" ");
    line.push_plain(span.name);
    match span.end_ns {
        0 => line.push(" unended"),
        end_ns => line.push_format(format_args!(" {:?}", rounded(span.start_ns, end_ns))),
    }
    if span.status == StatusCode::Error {
        line.push(" ERROR");
        if !span.status_message.is_empty() {
            line.push(" ");
            line.push_plain(span.status_message);
        }
    }
    line.push_id("trace", span.trace_id);
    line.push_id("span", span.span_id);
    line.push_id("parent", span.parent_span_id);
    line.push_pairs(span.attributes());
    for (name, count) in [("events", span.event_count), ("links", span.link_count)] {
        if count > 0 {
            line.push_format(format_args!(" {name}={count}"));
        }
    }
}

/// How long it took, to three digits; none where its clock went back.
fn rounded(start_ns: u64, end_ns: u64) -> Duration {
    let took_ns = end_ns.saturating_sub(start_ns);
    let digits = took_ns.checked_ilog10().unwrap_or(0) + 1;
    let unit = 10_u64.pow(digits.saturating_sub(3));
    Duration::from_nanos(took_ns.saturating_add(unit / 2) / unit * unit)
}

/// Appends the members of the line's object; what is short comes first.
pub fn push_json(line: &mut Line<'_>, span: &Span<'_>, context: &Context) {
    line.time_member("time", span.start_ns);
    line.time_member("end", span.end_ns);
    line.number_member("duration_ns", span.end_ns.saturating_sub(span.start_ns));
    line.text_member("kind", span.kind.name());
    line.id_member("trace_id", span.trace_id);
    line.id_member("span_id", span.span_id);
    line.id_member("parent_span_id", span.parent_span_id);
    line.text_member("name", span.name);
    line.push(&context.resource.text);
    line.push(&context.scope.text);
    let status = match span.status {
        StatusCode::Unset => "",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    };
    line.text_member("status", status);
    line.text_member("status_message", span.status_message);
    line.text_member("trace_state", span.trace_state);
    line.attributes_member("attributes", span.attributes());
    if span.event_count > 0 && line.member("events") {
        line.array(span.events(), |line, event| {
            line.object(|line| {
                line.time_member("time", event.time_ns);
                line.text_member("name", event.name);
                line.attributes_member("attributes", event.attributes());
            });
        });
    }
    if span.link_count > 0 && line.member("links") {
        line.array(span.links(), |line, link| {
            line.object(|line| {
                line.id_member("trace_id", link.trace_id);
                line.id_member("span_id", link.span_id);
                line.text_member("trace_state", link.trace_state);
                line.attributes_member("attributes", link.attributes());
            });
        });
    }
}
