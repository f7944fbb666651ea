//! OTLP/JSON against the same bodies in protobuf; disguises, refusals, truncation and damage.

use super::golden::{LOGS, METRICS, TRACES};
use super::json::SLACK_BYTES;
use super::*;

const METRICS_JSON: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
  {"key":"service.name","value":{"stringValue":"checkout"}},
  {"key":"host","value":{"intValue":"-7"}}]},
 "scopeMetrics":[{"scope":{"name":"lib","version":"1.2","attributes":[
   {"key":"a","value":{"boolValue":true}}]},"metrics":[
  {"name":"cpu","description":"CPU.","unit":"1","gauge":{"dataPoints":[
    {"timeUnixNano":"1700000000123456789","asDouble":0.5,
     "attributes":[{"key":"core","value":{"intValue":3}}]}]}},
  {"name":"requests","unit":"{request}","sum":{"dataPoints":[
    {"startTimeUnixNano":"1600000000000000000","timeUnixNano":"1700000000000000000",
     "exemplars":[{"timeUnixNano":"1699999999000000000","spanId":"0102030405060708",
       "traceId":"30313233343536373839616263646566","asInt":"5",
       "filteredAttributes":[{"key":"k","value":{"stringValue":"v"}}]}],
     "asInt":"-42","flags":1}],"aggregationTemporality":2,"isMonotonic":true}},
  {"name":"duration","unit":"s","histogram":{"dataPoints":[
    {"startTimeUnixNano":"1","timeUnixNano":"2","count":"6","sum":3.5,
     "bucketCounts":["1","2","3"],"explicitBounds":[0.1,1],"min":0.05,"max":2}],
   "aggregationTemporality":1}},
  {"name":"size","unit":"By","exponentialHistogram":{"dataPoints":[
    {"timeUnixNano":"2","count":"300","sum":9,"scale":-1,"zeroCount":"2",
     "positive":{"offset":-3,"bucketCounts":["1","0","296"]},
     "negative":{"offset":1,"bucketCounts":["1"]},"zeroThreshold":0.001}],
   "aggregationTemporality":2}},
  {"name":"latency","summary":{"dataPoints":[
    {"timeUnixNano":"2","count":"4","sum":8,"quantileValues":[
      {"quantile":0.5,"value":1.5},{"quantile":0.99,"value":3}]}]},
   "metadata":[{"key":"prometheus.type","value":{"stringValue":"summary"}}]}
  ],"schemaUrl":"u"}],"schemaUrl":"w"}]}"#;

const TRACES_JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":[
  {"key":"service.name","value":{"stringValue":"checkout"}}],"droppedAttributesCount":1},
 "scopeSpans":[{"scope":{"name":"lib"},"spans":[
  {"traceId":"30313233343536373839616263646566","spanId":"3031323334353637","traceState":"a=b",
   "parentSpanId":"3736353433323130","name":"GET /","kind":2,
   "startTimeUnixNano":"1544712660300000000","endTimeUnixNano":"1544712660600000000",
   "attributes":[
    {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x"},{"doubleValue":1.5},{}]}}},
    {"key":"m","value":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"AP8="}}]}}}],
   "droppedAttributesCount":300,"events":[{"timeUnixNano":"7","name":"e"}],
   "links":[{"traceId":"30313233343536373839616263646566","spanId":"3031323334353637",
     "flags":256}],
   "status":{"message":"bad","code":2},"flags":257}]}]}]}"#;

const LOGS_JSON: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
  {"timeUnixNano":"5","severityNumber":14,"severityText":"warn","body":{"stringValue":"h\u00e9llo"},
   "attributes":[{"key":"n","value":{"intValue":"9007199254740993"}}],"flags":1,
   "traceId":"30313233343536373839616263646566","spanId":"3031323334353637",
   "observedTimeUnixNano":"6","eventName":"ev"}]}]}]}"#;

const ALL: [(Signal, &str, &[u8]); 3] = [
    (Signal::Metrics, METRICS_JSON, METRICS),
    (Signal::Traces, TRACES_JSON, TRACES),
    (Signal::Logs, LOGS_JSON, LOGS),
];

fn protobuf(signal: Signal, json: &str) -> Result<Vec<u8>, String> {
    let mut body = json.as_bytes().to_vec();
    from_json(signal, &mut body).map(|(bytes, _)| bytes).map_err(|refusal| refusal.to_string())
}

/// One log record with these fields, in JSON, as in protobuf.
#[track_caller]
fn record(fields: &str, expected: &[u8]) {
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let length = expected.len() as u8;
    let head = [0x0a, length + 4, 0x12, length + 2, 0x12, length];
    assert_eq!(protobuf(Signal::Logs, &json), Ok([&head, expected].concat()), "{fields}");
}

#[test]
fn same_as_protobuf() {
    for (signal, json, expected) in ALL {
        let bytes = protobuf(signal, json).unwrap();
        assert!(bytes == expected, "{signal:?}\n{bytes:x?}\n{expected:x?}");
    }
}

#[test]
fn snake_case_and_keys_in_any_order() {
    let renamed = LOGS_JSON.replace("timeUnixNano", "time_unix_nano");
    let renamed = renamed.replace("resourceLogs", "resource_logs").replace("traceId", "trace_id");
    let renamed = renamed.replace("observedTimeUnixNano", "observed_time_unix_nano");
    assert_eq!(protobuf(Signal::Logs, &renamed).as_deref(), Ok(LOGS));
    record(r#""severity_text":"a","TimeUnixNano":"1","time_unixNano":"1""#, b"\x1a\x01a");
}

#[test]
fn disguises() {
    record(r#""timeUnixNano":5"#, b"\x09\x05\0\0\0\0\0\0\0");
    let list = |values: &str| format!(r#""body":{{"kvlistValue":{values}}}"#);
    let values = r#"[{"key":"k","value":{"arrayValue":[{"boolValue":true}]}}]"#;
    let expected = b"\x2a\x0f\x32\x0d\x0a\x0b\x0a\x01k\x12\x06\x2a\x04\x0a\x02\x10\x01";
    record(&list(values), expected);
    record(&list(&format!(r#"{{"values":{values}}}"#)), expected);
    record(r#""timeUnixNano":5e0"#, b"\x09\x05\0\0\0\0\0\0\0");
    record(r#""timeUnixNano":"5.0""#, b"\x09\x05\0\0\0\0\0\0\0");
    record(r#""timeUnixNano":18446744073709551615"#, b"\x09\xff\xff\xff\xff\xff\xff\xff\xff");
    record(r#""timeUnixNano":null,"body":null,"attributes":null"#, b"");
    record(r#""severityNumber":"SEVERITY_NUMBER_INFO""#, b"\x10\x09");
    record(r#""severityNumber":"9""#, b"\x10\x09");
    record(r#""flags":"1""#, b"\x45\x01\0\0\0");
    record(
        r#""traceId":"","spanId":"ABCDEFabcdef0123""#,
        b"J\0R\x08\xab\xcd\xef\xab\xcd\xef\x01\x23",
    );
    record(r#""body":{}"#, b"\x2a\x00");
    record(r#""body":{"intValue":-1}"#, b"\x2a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    record(r#""body":{"doubleValue":"NaN"}"#, b"\x2a\x09\x21\0\0\0\0\0\0\xf8\x7f");
    record(r#""body":{"doubleValue":"-Infinity"}"#, b"\x2a\x09\x21\0\0\0\0\0\0\xf0\xff");
    record(r#""body":{"doubleValue":"1.5"}"#, b"\x2a\x09\x21\0\0\0\0\0\0\xf8\x3f");
    record(r#""body":{"boolValue":false}"#, b"\x2a\x02\x10\x00");
    record(r#""body":{"boolValue":"true"}"#, b"\x2a\x02\x10\x01");
    record(r#""body":{"bytesValue":"-_8"}"#, b"\x2a\x04\x3a\x02\xfb\xff");
    record(r#""body":{"arrayValue":{"values":[null]}}"#, b"\x2a\x04\x2a\x02\x0a\x00");
    record(r#""body":{"stringValue":"\ud83d\ude00\n"}"#, b"\x2a\x07\x0a\x05\xf0\x9f\x98\x80\n");
    record(r#""what":{"a":[1,{"b":null}]},"eventName":"e","4":true"#, b"\x62\x01e");
    assert_eq!(protobuf(Signal::Traces, "{}"), Ok(Vec::new()));
    assert_eq!(protobuf(Signal::Traces, r#" {"resourceSpans":[]} "#), Ok(Vec::new()));
}

#[test]
fn refusals() {
    let bad = |fields: &str, reason: &str| {
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{fields}]}}]}}]}}"#);
        let refused = protobuf(Signal::Logs, &json).unwrap_err();
        assert!(refused.starts_with(reason), "{fields}: {refused}");
    };
    bad("1", "expected an object");
    bad(r#"{"timeUnixNano":-1}"#, "expected an unsigned integer");
    bad(r#"{"timeUnixNano":1.5}"#, "expected an unsigned integer");
    bad(r#"{"timeUnixNano":18446744073709551616}"#, "expected an unsigned integer");
    bad(r#"{"timeUnixNano":true}"#, "expected a number");
    bad(r#"{"body":{"intValue":"9223372036854775808"}}"#, "expected an integer");
    bad(r#"{"body":{"doubleValue":"inf"}}"#, "expected a number");
    bad(r#"{"body":{"doubleValue":""}}"#, "expected a number");
    bad(r#"{"body":{"boolValue":1}}"#, "expected a string");
    bad(r#"{"body":{"bytesValue":"?"}}"#, "expected base64");
    bad(r#"{"body":"text"}"#, "expected an object");
    bad(r#"{"attributes":{}}"#, "expected an array");
    bad(r#"{"severityText":5}"#, "expected a string");
    bad(r#"{"severityNumber":"INFO"}"#, "unknown name of an enum");
    bad(r#"{"traceId":"xy"}"#, "expected a hexadecimal id");
    bad(r#"{"traceId":"abc"}"#, "expected a hexadecimal id");
    bad(r#"{"traceId":"abcd"}"#, "a trace or span id has the wrong length");
    bad("{},", "expected a value");
    for json in ["", "[]", "null", "1", "{", r#"{"resourceSpans":{}}"#, "{}{}"] {
        assert!(protobuf(Signal::Traces, json).is_err(), "{json}");
    }
    let deep = r#"{"arrayValue":{"values":["#.repeat(30);
    bad(&format!(r#"{{"body":{deep}"#), "nested too deeply");
}

#[test]
fn bad_text_is_repaired() {
    let mut json = LOGS_JSON.replace("warn", "w@rn").into_bytes();
    let at = json.iter().position(|byte| *byte == b'@').unwrap();
    json[at] = 0xff;
    let (bytes, counts) = from_json(Signal::Logs, &mut json).unwrap();
    assert_eq!(counts, Counts { items: 1, repaired_strings: 1 });
    assert!(bytes.windows(4).any(|window| window == b"w?rn"));
}

#[test]
fn every_prefix_and_any_damage_ends() {
    for (signal, json, _) in ALL {
        for end in 0..json.len() {
            assert!(from_json(signal, &mut json.as_bytes()[..end].to_vec()).is_err(), "{end}");
        }
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = json.as_bytes().to_vec();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            if let Ok((mut bytes, counts)) = from_json(signal, &mut damaged) {
                let again = validate(signal, &mut bytes).unwrap();
                assert_eq!(again.items, counts.items, "seed {seed}");
            }
        }
    }
}

#[test]
fn pieces_of_any_size_come_to_the_same() {
    for (signal, json, expected) in ALL {
        for bytes_max in [0, 1, 7, 50, 200] {
            let room_bytes = Conversion::room_usual(json.as_bytes());
            let mut conversion = Conversion::new(signal, json.as_bytes(), room_bytes).unwrap();
            let mut pieces = 1;
            while !conversion.piece(bytes_max).unwrap() {
                pieces += 1;
            }
            assert!(pieces > 1 && pieces <= json.len(), "{pieces} pieces of {bytes_max} bytes");
            assert_eq!(conversion.finish(), expected);
        }
    }
    // The points of one metric are items, as spans and records are.
    let points = vec!["{}"; 100].join(",");
    let metric = format!(r#"{{"gauge":{{"dataPoints":[{points}]}}}}"#);
    let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
    let mut conversion = Conversion::new(Signal::Metrics, json.as_bytes(), 2000).unwrap();
    let pieces = std::iter::repeat_with(|| conversion.piece(1).unwrap());
    assert!(pieces.take_while(|is_done| !is_done).count() > 100);
}

#[test]
fn what_comes_out_never_outgrows_its_room() {
    for (signal, json, expected) in ALL {
        for room_bytes in 0..expected.len() + 2 * SLACK_BYTES {
            let mut conversion = Conversion::new(signal, json.as_bytes(), room_bytes).unwrap();
            match conversion.piece(usize::MAX) {
                Ok(is_done) => assert!(is_done && room_bytes > SLACK_BYTES),
                Err(stop) => {
                    assert_eq!(stop, Stop::NoRoom);
                    assert!(room_bytes < expected.len() + SLACK_BYTES);
                }
            }
            assert!(conversion.finish().capacity() <= room_bytes);
        }
    }
    // Nothing but ends: each level's length is written when all is there.
    let deep = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(15), "]}}".repeat(15));
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    let json = format!("{body}}}]}}]}}]}}");
    let long = json.replace("[]", &format!(r#"[{{"stringValue":"{}"}}]"#, "x".repeat(20_000)));
    for room_bytes in 19_000..22_000 {
        let mut conversion = Conversion::new(Signal::Logs, long.as_bytes(), room_bytes).unwrap();
        let _ = conversion.piece(usize::MAX);
        assert!(conversion.finish().capacity() <= room_bytes);
    }
}
