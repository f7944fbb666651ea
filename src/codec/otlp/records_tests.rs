//! Cursors over spans and log records, on bodies of the reference implementation and of our own.

use super::golden::{LOGS, TRACES};
use super::*;
use crate::codec::protobuf::{push_bytes, push_message};

/// A body around one span's or log record's inside.
fn around(inside: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| push_message(out, 2, |out| push_bytes(out, 2, inside)));
    body
}

fn only_span(body: &[u8]) -> Span<'_> {
    resource_spans(body).next().unwrap().scopes().next().unwrap().spans().next().unwrap()
}

fn only_record(body: &[u8]) -> LogRecord<'_> {
    resource_logs(body).next().unwrap().scopes().next().unwrap().log_records().next().unwrap()
}

fn shown(attributes: Attributes<'_>) -> Vec<String> {
    attributes.map(|attribute| format!("{}={:?}", attribute.key, attribute.value)).collect()
}

#[test]
fn a_span_is_read_whole() {
    let resource = resource_spans(TRACES).next().unwrap();
    assert_eq!(shown(resource.attributes()), ["service.name=Text(\"checkout\")"]);
    let scope = resource.scopes().next().unwrap();
    assert_eq!((scope.name_and_version(), scope.spans().count()), (("lib", ""), 1));
    let span = only_span(TRACES);
    assert_eq!((span.trace_id, span.span_id), (&b"0123456789abcdef"[..], &b"01234567"[..]));
    assert_eq!((span.parent_span_id, span.trace_state), (&b"76543210"[..], "a=b"));
    assert_eq!((span.name, span.kind, span.kind.name()), ("GET /", SpanKind::Server, "server"));
    assert_eq!(
        (span.start_ns, span.end_ns),
        (1_544_712_660_300_000_000, 1_544_712_660_600_000_000)
    );
    assert_eq!((span.status, span.status_message), (StatusCode::Error, "bad"));
    assert_eq!((span.event_count, span.link_count), (1, 1));
    let keys: Vec<_> = span.attributes().map(|attribute| attribute.key).collect();
    assert_eq!(keys, ["l", "m"]);
    let values: Vec<_> = span.attributes().map(|attribute| attribute.value).collect();
    let elements: Vec<_> = values[0].elements().map(|element| format!("{element:?}")).collect();
    assert_eq!(elements, ["Text(\"x\")", "Double(1.5)", "Empty"]);
    assert_eq!(shown(values[1].entries()), ["b=Bytes([0, 255])"]);
    let event = span.events().next().unwrap();
    assert_eq!((event.time_ns, event.name, event.attributes().count()), (7, "e", 0));
    let link = span.links().next().unwrap();
    assert_eq!((link.trace_id, link.span_id), (span.trace_id, span.span_id));
    assert_eq!((link.trace_state, link.attributes().count()), ("", 0));
    assert_eq!(span.encoded_bytes(), 184);
}

#[test]
fn a_log_record_is_read_whole() {
    let record = only_record(LOGS);
    assert_eq!((record.time_ns, record.observed_ns), (5, 6));
    assert_eq!((record.severity_number, record.severity_text), (14, "warn"));
    assert_eq!(record.severity_name(), Some("WARN2"));
    assert!(matches!(record.body, AnyValue::Text("héllo")));
    assert_eq!((record.trace_id, record.span_id), (&b"0123456789abcdef"[..], &b"01234567"[..]));
    assert_eq!(record.event_name, "ev");
    assert_eq!(shown(record.attributes()), ["n=Int(9007199254740993)"]);
}

#[test]
fn what_is_absent_is_empty() {
    let body = around(b"");
    let span = only_span(&body);
    assert_eq!((span.trace_id.len(), span.name, span.start_ns, span.end_ns), (0, "", 0, 0));
    assert_eq!((span.kind, span.status), (SpanKind::Unspecified, StatusCode::Unset));
    assert_eq!((span.attributes().count(), span.events().count(), span.links().count()), (0, 0, 0));
    let record = only_record(&body);
    assert_eq!((record.time_ns, record.severity_number, record.severity_name()), (0, 0, None));
    assert!(matches!(record.body, AnyValue::Empty));
    assert!(resource_spans(b"").next().is_none() && resource_logs(b"").next().is_none());
}

#[test]
fn kinds_and_codes() {
    use SpanKind::*;
    let kinds = [Unspecified, Internal, Server, Client, Producer, Consumer, Unspecified];
    for (number, kind) in kinds.into_iter().enumerate() {
        assert_eq!(only_span(&around(&[0x30, number as u8])).kind, kind);
    }
    let codes = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error, StatusCode::Unset];
    for (number, code) in codes.into_iter().enumerate() {
        assert_eq!(only_span(&around(&[0x7a, 2, 0x18, number as u8])).status, code);
    }
    // A status in two pieces is one; of a scalar that comes twice the last counts.
    let body = around(b"\x7a\x02\x18\x01\x7a\x04\x12\x02no\x7a\x02\x18\x02");
    assert_eq!(
        (only_span(&body).status, only_span(&body).status_message),
        (StatusCode::Error, "no")
    );
    for (number, name) in
        [(1, Some("TRACE")), (9, Some("INFO")), (24, Some("FATAL4")), (25, None), (127, None)]
    {
        assert_eq!(only_record(&around(&[0x10, number])).severity_name(), name);
    }
}

#[test]
fn bodies_of_every_type() {
    let cases: [(&[u8], &str); 8] = [
        (b"\x2a\x00", "Empty"),
        (b"\x2a\x03\x0a\x01x", "Text(\"x\")"),
        (b"\x2a\x02\x10\x01", "Bool(true)"),
        (b"\x2a\x02\x18\x07", "Int(7)"),
        (b"\x2a\x09\x21\0\0\0\0\0\0\xf8?", "Double(1.5)"),
        (b"\x2a\x06\x2a\x04\x0a\x02\x10\x01", "Array([10, 2, 16, 1])"),
        (b"\x2a\x07\x32\x05\x0a\x03\x0a\x01k", "Map([10, 3, 10, 1, 107])"),
        (b"\x2a\x04\x3a\x02\x00\xff", "Bytes([0, 255])"),
    ];
    for (inside, expected) in cases {
        let mut body = around(inside);
        assert_eq!(validate(Signal::Logs, &mut body).map(|counts| counts.items), Ok(1));
        assert_eq!(format!("{:?}", only_record(&body).body), expected);
    }
}

/// Reads whatever a cursor can reach, valid or not; counts the items.
fn walk(body: &[u8]) -> u64 {
    let mut items = 0;
    for resource in resource_spans(body) {
        resource.attributes().for_each(drop);
        for scope in resource.scopes() {
            for span in scope.spans() {
                assert_eq!(span.events().count() as u64, span.event_count);
                assert_eq!(span.links().count() as u64, span.link_count);
                span.events().for_each(|event| event.attributes().for_each(drop));
                span.links().for_each(|link| link.attributes().for_each(drop));
                span.attributes().for_each(drop);
                items += 1;
            }
            for record in scope.log_records() {
                record.attributes().for_each(drop);
                record.body.entries().chain(record.attributes()).for_each(drop);
                record.body.elements().for_each(drop);
                record.severity_name();
            }
        }
    }
    items
}

#[test]
fn every_prefix_and_any_damage_ends() {
    for (signal, golden) in [(Signal::Traces, TRACES), (Signal::Logs, LOGS)] {
        for end in 0..golden.len() {
            walk(&golden[..end]);
        }
        let (mut accepted, several) = (0, [golden, golden].concat());
        for seed in 0..1000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = several.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            walk(&damaged);
            // Of what is valid, cursors find every item that validation counted.
            if let Ok(counts) = validate(signal, &mut damaged) {
                assert_eq!(walk(&damaged), counts.items, "seed {seed}");
                accepted += 1;
            }
        }
        assert!(accepted > 100, "{accepted}");
    }
}
