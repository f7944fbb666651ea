//! Lines of spans and log records: golden, bounded, and of anything that validation accepts.

use super::*;
use crate::codec::json::Reader;
use crate::codec::otlp::{from_json, validate};
use crate::observe::Budget;

/// A body of one resource and scope, from the inside of a list of items in OTLP/JSON.
fn body(signal: Signal, resource: &str, items: &str) -> Vec<u8> {
    let (top, middle, inner) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        _ => ("resourceLogs", "scopeLogs", "logRecords"),
    };
    let scope = r#""scope":{"name":"lib","version":"1.2"}"#;
    let json = format!(
        r#"{{"{top}":[{{"resource":{{"attributes":[{resource}]}},
            "{middle}":[{{{scope},"{inner}":[{items}]}}]}}]}}"#
    );
    from_json(signal, &mut json.into_bytes()).unwrap().0
}

/// All lines of a body and their number.
fn lines(signal: Signal, body: &[u8], format: Format) -> (String, u64) {
    let mut lines = match signal {
        Signal::Traces => Lines::of_spans(body, format),
        _ => Lines::of_log_records(body, format),
    };
    let (mut out, mut items) = (String::from("before\n"), 0);
    loop {
        match lines.piece(&mut out) {
            None => return (out.split_off(7), items),
            Some(more) => items += more,
        }
    }
}

const CHECKOUT: &str = r#"{"key":"service.name","value":{"stringValue":"checkout"}}"#;
const IDS: &str = r#""traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7""#;

/// The lines of one item in both formats.
#[track_caller]
fn ok(signal: Signal, resource: &str, item: &str, text: &str, json: &str) {
    let body = body(signal, resource, item);
    for (format, expected) in [(Format::Text, text), (Format::Json, json)] {
        assert_eq!(lines(signal, &body, format), (format!("{expected}\n"), 1));
    }
    Reader::from_bytes(json.as_bytes()).unwrap().skip().unwrap();
}

#[test]
fn a_span() {
    let item = format!(
        r#"{{{IDS},"parentSpanId":"53995c3f42cd8ad8","name":"GET /basket","kind":2,
        "traceState":"a=b","startTimeUnixNano":"1700000000123456789",
        "endTimeUnixNano":"1700000000135802789","status":{{"code":2,"message":"no stock"}},
        "attributes":[{{"key":"http.route","value":{{"stringValue":"/basket"}}}},
          {{"key":"user agent","value":{{"stringValue":"curl \"8\""}}}},
          {{"key":"n","value":{{"intValue":"200"}}}}],
        "events":[{{"timeUnixNano":"1700000000123456790","name":"exception",
          "attributes":[{{"key":"exception.type","value":{{"stringValue":"E"}}}}]}}],
        "links":[{{{IDS}}}]}}"#
    );
    ok(
        Signal::Traces,
        CHECKOUT,
        &item,
        "22:13:20.123 SPAN  checkout server GET /basket 12.3ms ERROR no stock \
         trace=4bf92f3577b34da6a3ce929d0e0e4736 span=00f067aa0ba902b7 parent=53995c3f42cd8ad8 \
         http.route=/basket \"user agent\"=\"curl \\\"8\\\"\" n=200 events=1 links=1",
        "{\"time\":\"2023-11-14T22:13:20.123456789Z\",\"end\":\"2023-11-14T22:13:20.135802789Z\",\
         \"duration_ns\":12346000,\"kind\":\"server\",\
         \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\",\
         \"parent_span_id\":\"53995c3f42cd8ad8\",\"name\":\"GET /basket\",\
         \"resource\":{\"service.name\":\"checkout\"},\
         \"scope\":{\"name\":\"lib\",\"version\":\"1.2\"},\
         \"status\":\"error\",\"status_message\":\"no stock\",\"trace_state\":\"a=b\",\
         \"attributes\":{\"http.route\":\"/basket\",\"user agent\":\"curl \\\"8\\\"\",\"n\":200},\
         \"events\":[{\"time\":\"2023-11-14T22:13:20.123456790Z\",\"name\":\"exception\",\
         \"attributes\":{\"exception.type\":\"E\"}}],\
         \"links\":[{\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\
         \"span_id\":\"00f067aa0ba902b7\"}]}",
    );
}

#[test]
fn a_log_record() {
    let item = format!(
        r#"{{{IDS},"timeUnixNano":"1700000000123456789",
        "observedTimeUnixNano":"1700000000200000000","severityNumber":13,"severityText":"WARNING",
        "body":{{"stringValue":"no stock\nfor \"b\" \\o/"}},
        "attributes":[{{"key":"order","value":{{"intValue":"17"}}}}]}}"#
    );
    ok(
        Signal::Logs,
        CHECKOUT,
        &item,
        "22:13:20.123 WARN  checkout no stock\\nfor \"b\" \\\\o/ \
         trace=4bf92f3577b34da6a3ce929d0e0e4736 span=00f067aa0ba902b7 order=17",
        "{\"time\":\"2023-11-14T22:13:20.123456789Z\",\
         \"observed_time\":\"2023-11-14T22:13:20.200000000Z\",\"severity_number\":13,\
         \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\",\
         \"resource\":{\"service.name\":\"checkout\"},\
         \"scope\":{\"name\":\"lib\",\"version\":\"1.2\"},\"severity_text\":\"WARNING\",\
         \"body\":\"no stock\\nfor \\\"b\\\" \\\\o/\",\"attributes\":{\"order\":17}}",
    );
}

#[test]
fn what_is_absent() {
    let scope = r#""scope":{"name":"lib","version":"1.2"}"#;
    ok(
        Signal::Traces,
        "",
        "{}",
        "- SPAN  - unspecified  unended",
        &format!(r#"{{"time":null,"end":null,"kind":"unspecified",{scope}}}"#),
    );
    ok(Signal::Logs, "", "{}", "- LOG   -", &format!(r#"{{"time":null,{scope},"body":null}}"#));
    // A level in its source's words, a name that is an event's, a service that needs quotes.
    let time = "2023-11-14T22:13:20.200000000Z";
    ok(
        Signal::Logs,
        r#"{"key":"service.name","value":{"stringValue":"my shop"}}"#,
        r#"{"observedTimeUnixNano":"1700000000200000000","severityText":"notice",
            "eventName":"e.v"}"#,
        "22:13:20.200 notice \"my shop\" e.v",
        &format!(
            "{{\"time\":\"{time}\",\"observed_time\":\"{time}\",\
             \"resource\":{{\"service.name\":\"my shop\"}},{scope},\
             \"severity_text\":\"notice\",\"event_name\":\"e.v\",\"body\":null}}"
        ),
    );
}

#[test]
fn values_of_every_type() {
    let value = |value: &str, text: &str, json: &str| {
        let item = format!(r#"{{"body":{value},"attributes":[{{"key":"k","value":{value}}}]}}"#);
        let body = body(Signal::Logs, "", &item);
        let (line, _) = lines(Signal::Logs, &body, Format::Text);
        assert!(line.ends_with(&format!(" k={text}\n")), "{line}");
        let (line, _) = lines(Signal::Logs, &body, Format::Json);
        let expected = format!("\"body\":{json},\"attributes\":{{\"k\":{json}}}}}\n");
        assert!(line.ends_with(&expected), "{line}");
        Reader::from_bytes(line.as_bytes()).unwrap().skip().unwrap();
    };
    value(r#"{"stringValue":"x"}"#, "x", "\"x\"");
    value(r#"{"stringValue":""}"#, "\"\"", "\"\"");
    value(r#"{"stringValue":"a=b"}"#, "\"a=b\"", "\"a=b\"");
    value(
        r#"{"stringValue":"x\ty\u001b\u007f\u009b\u2028\u202eé"}"#,
        r#""x\ty\u001b\u007f\u009b\u2028\u202eé""#,
        r#""x\ty\u001b\u007f\u009b\u2028\u202eé""#,
    );
    value(r#"{"boolValue":true}"#, "true", "true");
    value(r#"{"intValue":"-9223372036854775808"}"#, "-9223372036854775808", "-9223372036854775808");
    value(r#"{"doubleValue":2}"#, "2", "2.0");
    value(r#"{"doubleValue":-1.5e300}"#, "-1.5e+300", "-1.5e300");
    value(r#"{"doubleValue":"NaN"}"#, "NaN", "\"NaN\"");
    value(r#"{"doubleValue":"Infinity"}"#, "+Inf", "\"+Inf\"");
    value(r#"{"bytesValue":"AP8="}"#, "AP8=", "\"AP8=\"");
    value("{}", "", "null");
    let array = r#"{"arrayValue":{"values":[{"stringValue":"a b"},{"intValue":1},{},
        {"doubleValue":0.5},{"arrayValue":{}}]}}"#;
    value(array, r#"["a b",1,null,0.5,[]]"#, r#"["a b",1,null,0.5,[]]"#);
    let map = r#"{"kvlistValue":{"values":[{"key":"b","value":{"boolValue":true}},
        {"key":"a","value":{"kvlistValue":{}}}]}}"#;
    value(map, r#"{"b":true,"a":{}}"#, r#"{"b":true,"a":{}}"#);
}

#[test]
fn durations() {
    let took = |ns: u64| {
        let end = 1 + ns;
        let item = format!(r#"{{"name":"n","startTimeUnixNano":"1","endTimeUnixNano":"{end}"}}"#);
        let (line, _) = lines(Signal::Traces, &body(Signal::Traces, "", &item), Format::Text);
        line.trim_end().rsplit(' ').next().unwrap().to_owned()
    };
    let cases = [
        (0, "0ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (12_345_678, "12.3ms"),
        (999_500_000, "1s"),
        (1_255_000_000, "1.26s"),
        (125_432_000_000, "125s"),
        (7_265_000_000_000, "7270s"),
    ];
    for (ns, expected) in cases {
        assert_eq!(took(ns), expected);
    }
    // A clock that went back took no time.
    let item = r#"{"name":"n","startTimeUnixNano":"9","endTimeUnixNano":"8"}"#;
    let (line, _) = lines(Signal::Traces, &body(Signal::Traces, "", item), Format::Text);
    assert!(line.ends_with(" 0ns\n"), "{line}");
}

/// Every line within its bound, JSON valid and marked where it was cut; returns the lines.
#[track_caller]
fn check(signal: Signal, body: &[u8], format: Format) -> String {
    let (text, items) = lines(signal, body, format);
    assert_eq!(text.lines().count() as u64, items);
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.split_inclusive('\n') {
        assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
        assert!(!line[..line.len() - 1].contains(char::is_control), "{line:?}");
        if format == Format::Json {
            let mut reader = Reader::from_bytes(line.as_bytes()).unwrap();
            reader.skip().and_then(|()| reader.end()).unwrap_or_else(|e| panic!("{e}: {line}"));
        }
    }
    text
}

#[test]
fn a_long_line_is_cut() {
    let attribute = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{value}}}"#);
    let text = |length: usize, of: &str| format!(r#"{{"stringValue":"{}"}}"#, of.repeat(length));
    let deep = |levels| {
        let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
        [open.repeat(levels), text(30_000, "x"), close.repeat(levels)].concat()
    };
    // Lengths around the bound, of characters of each width, so that every place is cut at.
    let mut values = vec![deep(9), format!(r#"{{"bytesValue":"{}"}}"#, "AP8A".repeat(9000))];
    values.extend((15_900..16_400).step_by(7).map(|length| text(length, "x")));
    values.extend(["é", "€", "😀", "\\n", "\\\"", "\\u001b"].map(|of| text(30_000, of)));
    for value in &values {
        let attributes = format!(r#""attributes":[{}]"#, attribute("k", value));
        let span = (Signal::Traces, format!("{{{attributes}}}"));
        let record = (Signal::Logs, format!(r#"{{"body":{value},{attributes}}}"#));
        for (signal, item) in [span, record] {
            let body = body(signal, CHECKOUT, &item);
            let text = check(signal, &body, Format::Text);
            let json = check(signal, &body, Format::Json);
            assert!(text.len() > 15_900 && json.len() > 15_900, "{}", text.len());
            let is_cut = text.ends_with("…\n");
            assert!(is_cut || value.len() < LINE_BYTES_MAX, "{} {}", text.len(), value.len());
            assert!(json.ends_with(",\"truncated\":true}\n") || !is_cut);
        }
    }
    let many: Vec<_> = (0..5000).map(|at| attribute(&format!("k{at}"), "{}")).collect();
    for signal in [Signal::Logs, Signal::Traces] {
        let item = format!(r#"{{"attributes":[{}]}}"#, many.join(","));
        for (resource, item) in [("", item.as_str()), (&many.join(","), "{},{},{}")] {
            let body = body(signal, resource, item);
            check(signal, &body, Format::Text);
            let lines = check(signal, &body, Format::Json);
            assert!(lines.ends_with(",\"truncated\":true}\n"), "{lines}");
        }
    }
}

#[test]
fn a_body_comes_in_pieces() {
    let body = body(Signal::Logs, CHECKOUT, &vec![r#"{"severityNumber":9}"#; 30_000].join(","));
    let mut lines = Lines::of_log_records(&body, Format::Json);
    let (mut items, mut pieces) = (0, 0);
    let mut out = String::new();
    while let Some(more) = lines.piece(&mut out) {
        assert!(out.len() < 64 * 1024 + LINE_BYTES_MAX);
        out.clear();
        (items, pieces) = (items + more, pieces + 1);
    }
    assert_eq!(items, 30_000);
    assert!(pieces > 30, "{pieces}");
}

#[test]
fn a_body_of_empty_resources_comes_in_pieces_too() {
    for format in [Format::Text, Format::Json] {
        let body = [0x0a, 0].repeat(100_000);
        let (mut lines, mut pieces) = (Lines::of_spans(&body, format), 0);
        while let Some(items) = lines.piece(&mut String::new()) {
            assert_eq!(items, 0);
            pieces += 1;
        }
        assert!(pieces > 90, "{pieces}");
    }
}

#[test]
fn whatever_is_valid_has_lines() {
    let everything = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","name":"n","kind":2,
        "startTimeUnixNano":"1","endTimeUnixNano":"2","status":{"code":2,"message":"m"},
        "attributes":[{"key":"k","value":{"arrayValue":{"values":[{"kvlistValue":{"values":[
          {"key":"a","value":{"bytesValue":"AP8="}}]}},{"doubleValue":1}]}}}],
        "events":[{"name":"e"}],"links":[{"traceState":"x"}]}"#;
    let record = r#"{"timeUnixNano":"5","severityNumber":14,"severityText":"warn",
        "body":{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"v"}}]}},
        "attributes":[{"key":"n","value":{"intValue":"7"}}],"eventName":"ev"}"#;
    for (signal, item) in [(Signal::Traces, everything), (Signal::Logs, record)] {
        let golden = body(signal, CHECKOUT, &[item, item].join(","));
        let mut valid = 0;
        for seed in 0..1000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = golden.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            let Ok(counts) = validate(signal, &mut damaged) else { continue };
            valid += 1;
            for format in [Format::Text, Format::Json] {
                let found = check(signal, &damaged, format).lines().count() as u64;
                assert_eq!(found, counts.items, "seed {seed}");
            }
        }
        assert!(valid > 100, "{valid}");
    }
}

#[test]
fn what_does_not_fit_is_dropped_by_signal() {
    let registry = Registry::new();
    let budget = Budget::new(1 << 20);
    let queues = Queues::new(Rc::clone(&budget));
    let stdout = Stdout::new(&Config::default(), "stdout", &registry, &queues, 14_000);
    let body = vec![0; 4000];
    for _ in 0..5 {
        stdout.relay(Signal::Traces, &body, 3);
    }
    stdout.relay(Signal::Logs, &body, 7);
    let queued = |signal| stdout.lane(signal).account.queued_items();
    assert_eq!([Signal::Metrics, Signal::Traces, Signal::Logs].map(queued), [0, 6, 7]);
    let mut text = String::new();
    registry.render(&mut text);
    for line in [
        "items_total{exporter=\"stdout\",destination=\"stdout\",signal=\"traces\"} 15",
        "signal=\"traces\",reason=\"queue_full\"} 9",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // The oldest comes first, whatever its signal; a body that never fits is counted at once.
    let oldest = stdout.take().expect("it was not empty");
    assert_eq!((oldest.0, oldest.1.items), (Signal::Traces, 3));
    stdout.relay(Signal::Logs, &vec![0; 15_000], 1);
    assert_eq!((queued(Signal::Traces), queued(Signal::Logs)), (6, 0), "the fullest gives way");
    assert_eq!(stdout.give_up(), 6);
    assert_eq!(queued(Signal::Traces), 0);
}
