//! Validation, cursors and splicing, on bodies of the reference implementation.

use super::golden::{LOGS, METRICS, TRACES};
use super::*;
use crate::codec::protobuf::{push_bytes, push_message};

fn checked(signal: Signal, body: &[u8]) -> Result<(Counts, Vec<u8>), &'static str> {
    let mut body = body.to_vec();
    let refusal = |refusal: Refusal| refusal.reason;
    let mut in_pieces = Validation::new(signal, &body);
    let mut pieces = 0;
    let paused = loop {
        // At least one field is read in each.
        match in_pieces.piece(&mut body.clone(), 1) {
            Ok(true) => break Ok(in_pieces.counts().items),
            Err(why) => break Err(refusal(why)),
            Ok(false) => pieces += 1,
        }
        assert!(pieces <= body.len());
    };
    let counts = validate(signal, &mut body).map_err(refusal);
    assert_eq!(paused, counts.map(|counts| counts.items), "pauses change nothing");
    Ok((counts?, body))
}

#[track_caller]
fn items(signal: Signal, body: &[u8], items: u64) {
    let counts = Counts { items, repaired_strings: 0 };
    assert_eq!(checked(signal, body), Ok((counts, body.to_vec())));
}

/// A body around one attribute of a resource.
fn around(attribute: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| push_message(out, 1, |out| push_bytes(out, 1, attribute)));
    body
}

/// A body around one span's inside.
fn span(inside: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| push_message(out, 2, |out| push_bytes(out, 2, inside)));
    body
}

#[test]
fn good_bodies() {
    items(Signal::Metrics, METRICS, 5);
    items(Signal::Traces, TRACES, 1);
    items(Signal::Logs, LOGS, 1);
    items(Signal::Metrics, b"", 0);
    items(Signal::Traces, &[TRACES, TRACES].concat(), 2);
    // Unknown fields of every wire type, at the top and inside a span.
    let unknown = b"\xa0\x06\x01\xa1\x06\0\0\0\0\0\0\0\0\xa2\x06\x01\xff\xa5\x06\0\0\0\0\x0b\x0c";
    items(Signal::Logs, &unknown.as_slice()[..unknown.len() - 2], 0);
    items(Signal::Traces, &span(unknown), 1);
    // Attributes with a number: a bool, an int64 of one byte and of ten, a double.
    for value in [
        &b"\x10\x01"[..],
        b"\x18\x05",
        b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x21\0\0\0\0\0\0\0\xff",
    ] {
        let mut attribute = b"\x0a\x01k".to_vec();
        push_bytes(&mut attribute, 2, value);
        items(Signal::Metrics, &around(&attribute), 0);
        for end in 4..attribute.len() {
            assert!(
                checked(Signal::Metrics, &around(&attribute[..end])).is_err(),
                "{value:?} {end}"
            );
        }
    }
    // Ids may be empty.
    items(Signal::Traces, &span(b"\x0a\x00\x12\x00\x22\x00"), 1);
}

#[test]
fn bad_bodies() {
    let bad = |signal, body: &[u8], reason| assert_eq!(checked(signal, body), Err(reason));
    let wrong = "a field has the wrong wire type";
    bad(Signal::Metrics, b"\x08\x01", wrong);
    bad(Signal::Traces, &span(b"\x28\x01"), wrong);
    bad(Signal::Traces, &span(b"\x32\x00"), wrong);
    bad(Signal::Traces, &span(b"\x3d\0\0\0\0"), wrong);
    bad(Signal::Traces, &span(b"\x80\x01\x01"), wrong);
    bad(Signal::Traces, &span(b"\x0a\x01x"), "a trace or span id has the wrong length");
    let truncated = "a field reaches past the end of its message";
    bad(Signal::Logs, b"\x0a\x05", truncated);
    // The inner length reaches past its parent, and not past the body.
    bad(Signal::Logs, b"\x0a\x02\x0a\x05\x12\x03abc", truncated);
    bad(Signal::Logs, b"hello", "a wire type is unknown");
    bad(Signal::Logs, b"{}", truncated);
    bad(Signal::Metrics, b"\x0e", "a wire type is unknown");
    let mut refused = span(b"\x32\x00");
    let refusal = validate(Signal::Traces, &mut refused).unwrap_err();
    assert_eq!(refusal.to_string(), "a field has the wrong wire type at byte 8");
}

#[test]
fn bad_bodies_that_look_usual() {
    let truncated = "a field reaches past the end of its message";
    let bad = |body: &[u8], reason| assert_eq!(checked(Signal::Traces, body), Err(reason));
    // A fixed64 where a span's name belongs.
    bad(&span(b"\x29\0\0\0\0\0\0\0\0"), "a field has the wrong wire type");
    let attribute = |value: &[u8]| around(&[b"\x0a\x01k", value].concat());
    items(Signal::Traces, &attribute(b"\x12\x05\x0a\x03GET"), 0);
    // The text, then the value, longer and shorter than what is there.
    bad(&attribute(b"\x12\x05\x0a\x04GET"), truncated);
    bad(&attribute(b"\x12\x05\x0a\x02GET"), "a wire type is unknown");
    bad(&attribute(b"\x12\x06\x0a\x03GET"), truncated);
    bad(&attribute(b"\x12\x04\x0a\x03GET"), truncated);
    // A number of eleven bytes.
    let endless = b"\x12\x0c\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    bad(&attribute(endless), "a varint is too long");
}

#[test]
fn packed_fields() {
    let point = |data: u32, inside: &[u8]| {
        let mut body = Vec::new();
        push_message(&mut body, 1, |out| {
            push_message(out, 2, |out| {
                push_message(out, 2, |out| {
                    push_message(out, data, |out| push_bytes(out, 1, inside));
                });
            });
        });
        body
    };
    let (histogram, exponential) = (9, 10);
    items(Signal::Metrics, &point(histogram, b"\x32\x08\0\0\0\0\0\0\0\0\x31\0\0\0\0\0\0\0\0"), 1);
    let refused = checked(Signal::Metrics, &point(histogram, b"\x32\x07\0\0\0\0\0\0\0"));
    assert_eq!(refused, Err("a packed field has a wrong length"));
    items(Signal::Metrics, &point(exponential, b"\x42\x06\x12\x02\x96\x01\x10\x05"), 1);
    let refused = checked(Signal::Metrics, &point(exponential, b"\x42\x04\x12\x02\x01\x96"));
    assert_eq!(refused, Err("a field reaches past the end of its message"));
}

#[test]
fn bad_text_is_repaired_in_place() {
    // A continuation byte alone, a sequence cut short, and good text around them.
    let body = around(b"\x0a\x06k\x80\xc3\xa9\xe2\x82\x12\x03\x0a\x01\xff");
    let (counts, repaired) = checked(Signal::Metrics, &body).unwrap();
    assert_eq!(counts.repaired_strings, 2);
    assert_eq!(repaired, around(b"\x0a\x06k?\xc3\xa9??\x12\x03\x0a\x01?"));
    assert_eq!(checked(Signal::Metrics, &repaired).unwrap().0.repaired_strings, 0);
    // Bytes may hold anything.
    items(Signal::Metrics, &around(b"\x12\x03\x3a\x01\xff"), 0);
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| {
        let mut value = Vec::new();
        for _ in 0..levels {
            let mut array = Vec::new();
            push_message(&mut array, 5, |out| push_bytes(out, 1, &value));
            value = array;
        }
        let mut attribute = Vec::new();
        push_bytes(&mut attribute, 2, &value);
        around(&attribute)
    };
    // Request, ResourceMetrics, Resource, KeyValue, AnyValue: 5 levels, and 2 for each array.
    items(Signal::Metrics, &nested(29), 0);
    let refused = checked(Signal::Metrics, &nested(30));
    assert_eq!(refused, Err("messages are nested too deeply"));
    assert_eq!(checked(Signal::Metrics, &nested(10_000)), refused);
}

#[test]
fn only_the_elements_of_an_array_are_its_elements() {
    // Two elements, and between them what looks like one under a number that nobody knows; there
    // validation looks for no depth, so that nobody may go into it.
    let body = around(b"\x12\x0c\x2a\x0a\x0a\x02\x18\x07\x12\x00\x0a\x02\x10\x01");
    items(Signal::Metrics, &body, 0);
    let attribute = resource_metrics(&body).next().unwrap().attributes().next().unwrap();
    let shown: Vec<_> = attribute.value.elements().map(|e| format!("{e:?}")).collect();
    assert_eq!(shown, ["Int(7)", "Bool(true)"]);
}

/// Reads whatever a cursor can reach, valid or not.
fn walk(body: &[u8]) -> usize {
    let mut found = 0;
    for resource in resource_metrics(body) {
        found += resource.attributes().count();
        for scope in resource.scopes() {
            found += scope.attributes().count() + scope.name_and_version().0.len();
            for metric in scope.metrics() {
                let (mut numbers, mut histograms) = (metric.points(), metric.points());
                let (mut exponentials, mut summaries) = (metric.points(), metric.points());
                while let Some(point) = numbers.next_number() {
                    found += point.attributes().count() + point.exemplars().count();
                }
                while let Some(point) = histograms.next_histogram() {
                    found += point.bucket_counts().count() + point.bounds().count();
                }
                while let Some(point) = exponentials.next_exponential() {
                    found += point.positive().counts().count() + point.negative().counts().count();
                }
                while let Some(point) = summaries.next_summary() {
                    found += point.quantiles().count();
                }
            }
        }
    }
    found
}

#[test]
fn every_prefix_and_any_damage_ends() {
    for (signal, body) in
        [(Signal::Metrics, METRICS), (Signal::Traces, TRACES), (Signal::Logs, LOGS)]
    {
        // The one top-level field is cut: no prefix but the empty one is a request.
        for end in 1..body.len() {
            assert!(checked(signal, &body[..end]).is_err(), "{signal:?} {end}");
            walk(&body[..end]);
        }
        for seed in 0..3000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = body.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            walk(&damaged);
            if let Ok((_, repaired)) = checked(signal, &damaged) {
                let again = checked(signal, &repaired).map(|(counts, _)| counts.repaired_strings);
                assert_eq!((again, repaired.len()), (Ok(0), body.len()), "seed {seed}");
            }
        }
    }
}

#[test]
fn cursors_read_what_is_there() {
    let resource = resource_metrics(METRICS).next().unwrap();
    let shown: Vec<_> = resource.attributes().map(|a| format!("{}={:?}", a.key, a.value)).collect();
    assert_eq!(shown, ["service.name=Text(\"checkout\")", "host=Int(-7)"]);
    let scope = resource.scopes().next().unwrap();
    assert_eq!((scope.name_and_version(), scope.schema_url()), (("lib", "1.2"), "u"));
    let metrics: Vec<Metric> = scope.metrics().collect();
    let names: Vec<_> = metrics.iter().map(|m| (m.name, m.unit, m.points().count())).collect();
    let units = [("cpu", "1"), ("requests", "{request}"), ("duration", "s"), ("size", "By")];
    assert_eq!(names[..4], units.map(|(name, unit)| (name, unit, 1)));
    assert_eq!(metrics[0].description, "CPU.");
    let temporality = Temporality::Cumulative;
    assert_eq!(metrics[1].data, Data::Sum { temporality, is_monotonic: true });
    assert_eq!(metrics[2].data, Data::Histogram(Temporality::Delta));
    assert_eq!(metrics[4].metadata().next().unwrap().key, "prometheus.type");

    let point = metrics[0].points().next_number().unwrap();
    assert_eq!(
        (point.time_ns, point.value),
        (1_700_000_000_123_456_789, Some(Number::Double(0.5)))
    );
    let point = metrics[1].points().next_number().unwrap();
    assert_eq!((point.value, point.flags), (Some(Number::Int(-42)), NO_RECORDED_VALUE));
    let exemplar = point.exemplars().next().unwrap();
    assert_eq!((exemplar.trace_id, exemplar.span_id[7]), (b"0123456789abcdef".as_slice(), 8));
    assert_eq!(exemplar.attributes().count(), 1);

    let point = metrics[2].points().next_histogram().unwrap();
    assert_eq!(
        (point.count, point.sum, point.min, point.max),
        (6, Some(3.5), Some(0.05), Some(2.0))
    );
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(point.bounds().collect::<Vec<_>>(), [0.1, 1.0]);
    let point = metrics[3].points().next_exponential().unwrap();
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-1, 2, 0.001));
    assert_eq!(point.positive().offset(), -3);
    assert_eq!(point.positive().counts().collect::<Vec<_>>(), [1, 0, 296]);
    assert_eq!((point.negative().offset(), point.negative().counts().count()), (1, 1));
    let point = metrics[4].points().next_summary().unwrap();
    assert_eq!(point.quantiles().collect::<Vec<_>>(), [(0.5, 1.5), (0.99, 3.0)]);
}

#[test]
fn attributes_are_spliced_in_where_absent() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let attributes = [pair("service.name", "other"), pair("cloud.region", "eu-west-1")];
    for (signal, body) in
        [(Signal::Metrics, METRICS), (Signal::Traces, TRACES), (Signal::Logs, LOGS)]
    {
        let mut out = b"before".to_vec();
        splice_resource(&[body, body].concat(), &attributes, &mut out);
        let spliced = &out[b"before".len()..];
        let items = checked(signal, body).unwrap().0.items;
        assert_eq!(checked(signal, spliced).unwrap().0.items, 2 * items);
        let keys: Vec<_> = resource_metrics(spliced)
            .map(|r| r.attributes().map(|a| a.key).collect::<Vec<_>>().join(" "))
            .collect();
        let expected = match signal {
            Signal::Metrics => "service.name host cloud.region",
            Signal::Traces => "service.name cloud.region",
            Signal::Logs => "service.name cloud.region",
        };
        assert_eq!(keys, [expected, expected]);
        // A second time there is nothing to add, and nothing changes.
        let mut again = Vec::new();
        splice_resource(spliced, &attributes, &mut again);
        assert_eq!(again, spliced);
    }
    let mut out = Vec::new();
    splice_resource(b"", &attributes, &mut out);
    assert!(out.is_empty());
    // Of a resource in pieces, the last is the one that all readers keep.
    splice_resource(b"\x0a\x06\x0a\x00\x12\x00\x0a\x00", &attributes[1..], &mut out);
    let resource = around(b"\x0a\x0ccloud.region\x12\x0b\x0a\x09eu-west-1");
    assert_eq!(out, [b"\x0a\x23\x0a\x00\x12\x00".as_slice(), &resource[2..]].concat());
}
