//! Points to samples: what comes out, as text, for OTLP/JSON that goes in.

use super::*;
use crate::codec::otlp::{from_json, Signal};

/// A sample as Prometheus would write it, with type and exemplar, and the end of each family.
fn line(out: &Out<'_>) -> String {
    let sample = match out {
        Out::Sample(sample) => sample,
        Out::EndFamily(family) => {
            return format!(
                "{:?} {} [{}] {}",
                family.metric_type, family.name, family.unit, family.help
            )
        }
    };
    assert!(sample.labels.windows(2).all(|pair| pair[0].name < pair[1].name), "{sample:?}");
    assert!(sample.labels.iter().all(|label| !label.value.is_empty()), "{sample:?}");
    let labels = sample.labels.iter().filter(|label| label.name != "__name__");
    let pairs = |labels: &mut dyn Iterator<Item = &crate::model::Label<'_>>| {
        labels.map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(",")
    };
    let value = match sample.is_stale_marker() {
        true => "stale".to_owned(),
        false => sample.value.to_string(),
    };
    let mut line = format!(
        "{}{{{}}} {value} @{}",
        sample.name(),
        pairs(&mut labels.into_iter()),
        sample.timestamp_ms
    );
    if let Some(exemplar) = &sample.exemplar {
        let pairs = pairs(&mut exemplar.labels.iter());
        line += &format!(" # {{{pairs}}} {} {:?}", exemplar.value, exemplar.timestamp_ms);
    }
    if let Some(native) = sample.histogram {
        line += &format!(" {native:?}");
    }
    line
}

fn through(translator: &mut Translator, json: &str, now_s: u32) -> (Vec<String>, Report) {
    let (body, counts) = from_json(Signal::Metrics, &mut json.as_bytes().to_vec()).unwrap();
    let mut walk = Walk::new(&body);
    let (mut lines, mut samples) = (Vec::new(), 0);
    while !translator.piece(&mut walk, now_s, &mut |out| {
        samples += u64::from(matches!(out, Out::Sample(_)));
        lines.push(line(&out));
    }) {}
    assert_eq!((walk.report.points, walk.report.samples), (counts.items, samples));
    (lines, walk.report)
}

/// One resource with these attributes (JSON), one scope, these metrics.
fn request(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[
        {{"scope":{{"name":"lib","version":"1","attributes":[{}]}},"metrics":[{metrics}]}}]}}]}}"#,
        attribute("k.v", "x")
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

fn attributes(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>().join(",")
}

fn gauge(labels: &[(&str, &str)]) -> String {
    let labels = attributes(labels);
    format!(
        r#"{{"name":"g","gauge":{{"dataPoints":[{{"timeUnixNano":5999999,"asInt":1,
        "attributes":[{labels}]}}]}}}}"#
    )
}

#[track_caller]
fn ok(config: &Config, json: &str, expected: &[&str]) -> Report {
    let (lines, report) = through(&mut Translator::new(config, 1), json, 0);
    assert_eq!(lines, expected);
    report
}

const PROMETHEUS: Config = Config {
    names: Names::Prometheus,
    resource_labels: ResourceLabels::Only(Vec::new()),
    scope_labels: false,
    native_histograms: false,
    streams_max: 2,
    stale: std::time::Duration::from_secs(300),
};
const ADOT: Config = Config {
    names: Names::Adot,
    resource_labels: ResourceLabels::Only(Vec::new()),
    scope_labels: false,
    native_histograms: false,
    streams_max: 2,
    stale: std::time::Duration::from_secs(300),
};

#[test]
fn target_and_job() {
    let metric = gauge(&[]);
    let all = [
        ("service.namespace", "shop"),
        ("service.name", "checkout"),
        ("service.instance.id", "i"),
        ("host..name", "h"),
    ];
    let target = "target_info{host__name=h,instance=i,job=shop/checkout} 1 @5";
    let end = "Gauge target_info [] Target metadata";
    let sample = "g{instance=i,job=shop/checkout} 1 @5";
    let expected = [sample, "Gauge g [] ", target, end];
    ok(&PROMETHEUS, &request(&attributes(&all), &metric), &expected);
    ok(&ADOT, &request(&attributes(&all), &metric), &expected);
    // Nothing else is known of the resource: no target_info. Nothing identifies it: none either.
    ok(&PROMETHEUS, &request(&attributes(&all[..3]), &metric), &expected[..2]);
    ok(&PROMETHEUS, &request(&attributes(&all[3..]), &metric), &["g{} 1 @5", "Gauge g [] "]);
    // An empty namespace is none; a namespace alone is no job.
    let plain = ["g{job=a} 1 @5", "Gauge g [] "];
    let empty = [("service.namespace", ""), ("service.name", "a")];
    ok(&PROMETHEUS, &request(&attributes(&empty), &metric), &plain);
    let alone = [("service.namespace", "a")];
    ok(&PROMETHEUS, &request(&attributes(&alone), &metric), &["g{} 1 @5", "Gauge g [] "]);
    // The task's id stands in for an instance that does not say its own.
    let mut translator = Translator::new(&PROMETHEUS, 1);
    translator.set_instance("task");
    let (lines, _) = through(&mut translator, &request(&attributes(&all[1..2]), &metric), 0);
    assert_eq!(lines[0], "g{instance=task,job=checkout} 1 @5");
}

#[test]
fn point_labels() {
    let f = |config: &Config, labels: &[(&str, &str)], expected: &str| {
        ok(config, &request("", &gauge(labels)), &[expected, "Gauge g [] "]);
    };
    f(&PROMETHEUS, &[("http.method", "GET"), ("a..b", "1")], "g{a__b=1,http_method=GET} 1 @5");
    f(&ADOT, &[("http.method", "GET"), ("a..b", "1")], "g{a_b=1,http_method=GET} 1 @5");
    f(&ADOT, &[("__x", "1"), ("_y", "2"), ("9", "3")], "g{key_9=3,key_x=1,key_y=2} 1 @5");
    // Names that fall together are joined in the order of their keys.
    f(&PROMETHEUS, &[("a_b", "2"), ("a.b", "1"), ("a-b", "0")], "g{a_b=0;1;2} 1 @5");
    f(&PROMETHEUS, &[("a_b", "1"), ("a.b", "1")], "g{a_b=1;1} 1 @5");
    f(&ADOT, &[("a_b", "1"), ("a.b", "1")], "g{a_b=1} 1 @5");
    f(&PROMETHEUS, &[("a", ""), ("__name__", "x"), ("b", "y")], "g{b=y} 1 @5");
    let report = ok(&PROMETHEUS, &request("", &gauge(&[("é", "1")])), &[]);
    assert_eq!(report.dropped().collect::<Vec<_>>(), [("name", 1)]);
}

#[test]
fn resource_and_scope_labels() {
    let resource = attributes(&[("service.name", "s"), ("a.b", "resource"), ("c", "1")]);
    let only = ResourceLabels::Only(vec!["a.b".to_owned()]);
    let all = ResourceLabels::All;
    let f = |config: &Config, labels: &[(&str, &str)], expected: &str| {
        let (lines, _) =
            through(&mut Translator::new(config, 1), &request(&resource, &gauge(labels)), 0);
        assert_eq!(lines[0], expected);
    };
    let config = Config { resource_labels: only.clone(), ..PROMETHEUS };
    f(&config, &[], "g{a_b=resource,job=s} 1 @5");
    f(&config, &[("a_b", "point"), ("job", "no")], "g{a_b=point,job=s} 1 @5");
    let config = Config { resource_labels: only, ..ADOT };
    f(&config, &[("a.b", "point")], "g{a_b=resource,job=s} 1 @5");
    f(&config, &[("a_b", "point")], "g{a_b=resource;point,job=s} 1 @5");
    let config = Config { resource_labels: all, ..PROMETHEUS };
    f(&config, &[], "g{a_b=resource,c=1,job=s,service_name=s} 1 @5");
    let config = Config { scope_labels: true, ..PROMETHEUS };
    let scope = "otel_scope_k_v=x,otel_scope_name=lib,otel_scope_version=1";
    f(&config, &[("otel_scope_name", "no")], &format!("g{{job=s,{scope}}} 1 @5"));
    // Scope labels are not the target's.
    let (lines, _) = through(&mut Translator::new(&config, 1), &request(&resource, &gauge(&[])), 0);
    assert_eq!(lines[2], "target_info{a_b=resource,c=1,job=s} 1 @5");
}

#[test]
fn sums_and_gauges() {
    let sum = |temporality: u32, is_monotonic: bool, point: &str| {
        request(
            "",
            &format!(
                r#"{{"name":"hits","unit":"By","description":"D.","sum":{{"dataPoints":[{point}],
            "aggregationTemporality":{temporality},"isMonotonic":{is_monotonic}}}}}"#
            ),
        )
    };
    let point = r#"{"timeUnixNano":1700000000123999999,"asDouble":1.5}"#;
    let end = "Counter hits_bytes_total [bytes] D.";
    ok(&PROMETHEUS, &sum(2, true, point), &["hits_bytes_total{} 1.5 @1700000000123", end]);
    let gauge = ["hits_bytes{} 1.5 @1700000000123", "Gauge hits_bytes [bytes] D."];
    ok(&PROMETHEUS, &sum(2, false, point), &gauge);
    let stale = r#"{"timeUnixNano":5000000,"flags":1}"#;
    ok(&PROMETHEUS, &sum(2, true, stale), &["hits_bytes_total{} stale @5", end]);
    let dropped = |json: &str| ok(&PROMETHEUS, json, &[]).dropped().collect::<Vec<_>>();
    assert_eq!(dropped(&sum(0, true, point)), [("temporality", 1)]);
    assert_eq!(dropped(&sum(2, true, r#"{"timeUnixNano":1}"#)), [("no_value", 1)]);
    assert_eq!(
        dropped(&request("", r#"{"name":"","gauge":{"dataPoints":[{},{}]}}"#)),
        [("name", 2)]
    );
    assert_eq!(dropped(&sum(2, true, "")), []);
    let exemplar = r#"{"timeUnixNano":5000000,"asInt":7,"exemplars":[{"timeUnixNano":4000000,
        "asInt":3,"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0001020304050607",
        "filteredAttributes":[{"key":"a.b","value":{"intValue":1}}]}]}"#;
    let ids = "span_id=0001020304050607,trace_id=000102030405060708090a0b0c0d0e0f";
    let expected = format!("hits_bytes_total{{}} 7 @5 # {{a.b=1,{ids}}} 3 Some(4)");
    ok(&PROMETHEUS, &sum(2, true, exemplar), &[&expected, end]);
    // Attributes of more than 128 characters in all leave the ids alone.
    let long = exemplar.replace("a.b", &"a".repeat(70));
    let expected = format!("hits_bytes_total{{}} 7 @5 # {{{ids}}} 3 Some(4)");
    ok(&PROMETHEUS, &sum(2, true, &long), &[&expected, end]);
}

#[test]
fn types_of_before() {
    let f = |data: &str, before: &str, expected: &str| {
        let metadata = attribute("prometheus.type", before);
        let json = request("", &format!(r#"{{"name":"a",{data},"metadata":[{metadata}]}}"#));
        let (lines, _) = through(&mut Translator::new(&PROMETHEUS, 1), &json, 0);
        assert_eq!(lines.last().map(String::as_str), Some(expected));
    };
    let gauge = r#""gauge":{"dataPoints":[{"asInt":1}]}"#;
    let sum = r#""sum":{"dataPoints":[{"asInt":1}],"aggregationTemporality":2}"#;
    f(gauge, "unknown", "Unknown a [] ");
    f(gauge, "gauge", "Gauge a [] ");
    f(sum, "info", "Info a [] ");
    f(sum, "stateset", "StateSet a [] ");
    f(sum, "", "Gauge a [] ");
}

fn histogram(temporality: u32, points: &str) -> String {
    request(
        "",
        &format!(
            r#"{{"name":"d","unit":"s","histogram":{{"dataPoints":[{points}],
        "aggregationTemporality":{temporality}}}}}"#
        ),
    )
}

#[test]
fn histograms() {
    let point = r#"{"timeUnixNano":5000000,"count":7,"sum":3.5,"bucketCounts":[1,2,3],
        "explicitBounds":[0.0000001,100000]}"#;
    let end = "Histogram d_seconds [seconds] ";
    let expected = [
        "d_seconds_sum{} 3.5 @5",
        "d_seconds_count{} 7 @5",
        "d_seconds_bucket{le=0.0000001} 1 @5",
        "d_seconds_bucket{le=100000} 3 @5",
        "d_seconds_bucket{le=+Inf} 7 @5",
        end,
    ];
    ok(&PROMETHEUS, &histogram(2, point), &expected);
    // No bounds, no sum; a bound of +Inf is not written twice.
    let plain = r#"{"timeUnixNano":5000000,"count":7}"#;
    let expected = ["d_seconds_count{} 7 @5", "d_seconds_bucket{le=+Inf} 7 @5", end];
    ok(&PROMETHEUS, &histogram(2, plain), &expected);
    let infinite = r#"{"timeUnixNano":5000000,"count":7,"bucketCounts":[7,0],
        "explicitBounds":["Infinity"]}"#;
    ok(&PROMETHEUS, &histogram(2, infinite), &expected);
    let stale = point.replace("count", r#"flags":1,"count"#);
    let (lines, _) = through(&mut Translator::new(&PROMETHEUS, 1), &histogram(2, &stale), 0);
    assert_eq!(lines.iter().filter(|line| line.ends_with("stale @5")).count(), 5);
    let with_exemplars = point.replace(
        r#""count""#,
        r#""exemplars":[{"asDouble":100000},{"asInt":100001},{"asInt":5}],"count""#,
    );
    let (lines, _) =
        through(&mut Translator::new(&PROMETHEUS, 1), &histogram(2, &with_exemplars), 0);
    assert_eq!(lines[2], "d_seconds_bucket{le=0.0000001} 1 @5");
    assert_eq!(lines[3], "d_seconds_bucket{le=100000} 3 @5 # {} 5 None");
    assert_eq!(lines[4], "d_seconds_bucket{le=+Inf} 7 @5 # {} 100001 None");
    let many = "1,".repeat(2049);
    let many = format!(r#"{{"explicitBounds":[{}]}}"#, many.trim_end_matches(','));
    let report = ok(&PROMETHEUS, &histogram(2, &many), &[]);
    assert_eq!(report.dropped().collect::<Vec<_>>(), [("buckets", 1)]);
}

#[test]
fn summaries() {
    let json = request(
        "",
        r#"{"name":"s","summary":{"dataPoints":[{"timeUnixNano":5000000,"count":4,
        "sum":8,"quantileValues":[{"quantile":0.5,"value":1},{"quantile":1,"value":3}],
        "attributes":[{"key":"quantile","value":{"stringValue":"x"}}]}]}}"#,
    );
    let expected = [
        "s_sum{quantile=x} 8 @5",
        "s_count{quantile=x} 4 @5",
        "s{quantile=0.5} 1 @5",
        "s{quantile=1} 3 @5",
        "Summary s [] ",
    ];
    ok(&PROMETHEUS, &json, &expected);
}

fn exponential(temporality: u32, point: &str) -> String {
    request(
        "",
        &format!(
            r#"{{"name":"e","exponentialHistogram":{{"dataPoints":[{point}],
        "aggregationTemporality":{temporality}}}}}"#
        ),
    )
}

const EXPONENTIAL: &str = r#"{"timeUnixNano":5000000,"count":38,"sum":9.5,"scale":0,"zeroCount":1,
    "positive":{"offset":3,"bucketCounts":[10,0,0,20,5,2]}}"#;

#[test]
fn exponential_histograms() {
    let expected = [
        "e_sum{} 9.5 @5",
        "e_count{} 38 @5",
        "e_bucket{le=0} 1 @5",
        "e_bucket{le=8} 1 @5",
        "e_bucket{le=16} 11 @5",
        "e_bucket{le=32} 11 @5",
        "e_bucket{le=64} 11 @5",
        "e_bucket{le=128} 31 @5",
        "e_bucket{le=256} 36 @5",
        "e_bucket{le=512} 38 @5",
        "e_bucket{le=+Inf} 38 @5",
        "Histogram e [] ",
    ];
    ok(&PROMETHEUS, &exponential(2, EXPONENTIAL), &expected);
    let native = Config { native_histograms: true, ..PROMETHEUS };
    let shown = "e{} 38 @5 NativeHistogram { count: 38, sum: 9.5, schema: 0, \
        zero_threshold: 1e-128, zero_count: 1, \
        negative: NativeBuckets { spans: [], deltas: [] }, positive: NativeBuckets { \
        spans: [BucketSpan { offset: 4, length: 1 }, BucketSpan { offset: 2, length: 3 }], \
        deltas: [10, 10, -15, -3] } }";
    ok(&native, &exponential(2, EXPONENTIAL), &[shown, "Histogram e [] "]);
    let stale = EXPONENTIAL.replace(r#""count""#, r#""flags":1,"count""#);
    let (lines, _) = through(&mut Translator::new(&native, 1), &exponential(2, &stale), 0);
    assert!(lines[0].starts_with("e{} stale @5 NativeHistogram { count: 0, sum: NaN"), "{lines:?}");
    let coarse = EXPONENTIAL.replace(r#""scale":0"#, r#""scale":-5"#);
    let report = ok(&native, &exponential(2, &coarse), &[]);
    assert_eq!(report.dropped().collect::<Vec<_>>(), [("buckets", 1)]);
}

/// Scales beyond any use, whose arithmetic would overflow; found by the fuzz target.
#[test]
fn impossible_scales_are_dropped() {
    for scale in [i32::MIN, -33, 65, i32::MAX] {
        for native_histograms in [false, true] {
            let config = Config { native_histograms, ..Config::default() };
            let point = format!(
                r#"{{"timeUnixNano":"5000000","count":"1","scale":{scale},
                "positive":{{"offset":2147483647,"bucketCounts":["1","2"]}}}}"#
            );
            let mut translator = Translator::new(&config, 1);
            let (lines, report) = through(&mut translator, &exponential(2, &point), 0);
            assert_eq!(report.dropped().collect::<Vec<_>>(), [("buckets", 1)], "{scale}");
            assert!(lines.is_empty(), "{scale}: {lines:?}");
        }
    }
}

#[test]
fn deltas_add_up() {
    let mut translator = Translator::new(&PROMETHEUS, 1);
    let sum = |start: u64, time: u64, label: &str| {
        request(
            "",
            &format!(
                r#"{{"name":"h","sum":{{"dataPoints":[{{"startTimeUnixNano":{start}000000,
            "timeUnixNano":{time}000000,"asInt":2,"attributes":[{}]}}],
            "aggregationTemporality":1,"isMonotonic":true}}}}"#,
                attributes(&[("a", label), ("b", "1")])
            ),
        )
    };
    let mut f = |json: &str, now_s| through(&mut translator, json, now_s);
    let (lines, _) = f(&sum(10, 20, "x"), 0);
    assert_eq!(lines[..2], ["h_total{a=x,b=1} 0 @10", "h_total{a=x,b=1} 2 @20"]);
    assert_eq!(f(&sum(20, 30, "x"), 1).0[0], "h_total{a=x,b=1} 4 @30");
    let (lines, report) = f(&sum(20, 30, "x"), 1);
    assert_eq!((lines.len(), report.dropped().next()), (0, Some(("out_of_order", 1))));
    f(&sum(10, 20, "y"), 1);
    assert_eq!(f(&sum(10, 20, "z"), 1).1.dropped().next(), Some(("streams_max", 1)));
    // Forgotten after five minutes; what comes then begins anew, after the last point.
    let (lines, _) = f(&sum(15, 40, "x"), 400);
    assert_eq!(lines[..2], ["h_total{a=x,b=1} 0 @31", "h_total{a=x,b=1} 2 @40"]);

    let mut translator = Translator::new(&PROMETHEUS, 1);
    let point = r#"{"startTimeUnixNano":10000000,"timeUnixNano":20000000,"count":3,"sum":1,
        "bucketCounts":[1,2],"explicitBounds":[1]}"#;
    let (lines, _) = through(&mut translator, &histogram(1, point), 0);
    let shown = ["d_seconds_bucket{le=1} 0 @10", "d_seconds_bucket{le=1} 1 @20"];
    assert_eq!([&lines[2], &lines[6]], shown);
    let next = point.replace("20000000", "30000000");
    let (lines, _) = through(&mut translator, &histogram(1, &next), 0);
    assert_eq!(lines[..2], ["d_seconds_sum{} 2 @30", "d_seconds_count{} 6 @30"]);

    let native = Config { native_histograms: true, ..PROMETHEUS };
    let mut translator = Translator::new(&native, 1);
    let (lines, _) = through(&mut translator, &exponential(1, EXPONENTIAL), 0);
    assert!(lines[0].starts_with("e{} 0 @4 ") && lines[1].starts_with("e{} 38 @5 "), "{lines:?}");
    let next = EXPONENTIAL.replace("5000000", "6000000");
    let (lines, _) = through(&mut translator, &exponential(1, &next), 0);
    assert!(lines[0].starts_with("e{} 76 @6 ") && lines[0].contains("[20, 20, -30, -6]"));
}

#[test]
fn attribute_order_does_not_split_streams() {
    let sum = |time: u64, pairs: &[(&str, &str)]| {
        request(
            "",
            &format!(
                r#"{{"name":"h","sum":{{"dataPoints":[{{"timeUnixNano":{time}000000,"asInt":2,
            "attributes":[{}]}}],"aggregationTemporality":1}}}}"#,
                attributes(pairs)
            ),
        )
    };
    let mut translator = Translator::new(&PROMETHEUS, 1);
    through(&mut translator, &sum(5, &[("a", "1"), ("b", "2")]), 0);
    let (lines, _) = through(&mut translator, &sum(6, &[("b", "2"), ("a", "1")]), 0);
    assert_eq!((lines[0].as_str(), translator.streams()), ("h{a=1,b=2} 4 @6", 1));
}

#[test]
fn workers_that_share_a_resource_are_found() {
    let sum = |start: u64, resource: &str| {
        request(
            resource,
            &format!(
                r#"{{"name":"h","sum":{{"dataPoints":[{{"startTimeUnixNano":{start},
            "timeUnixNano":9,"asInt":2}}],"aggregationTemporality":2,"isMonotonic":true}}}}"#
            ),
        )
    };
    let found = |resource: &str, starts: &[u64]| {
        let mut translator = Translator::new(&PROMETHEUS, 1);
        let reports = starts.iter().map(|at| through(&mut translator, &sum(*at, resource), 0).1);
        reports.filter(|report| report.found_shared_resource).count()
    };
    assert_eq!(found("", &[1, 2, 1, 2, 1, 2, 1]), 1);
    assert_eq!(found("", &[1, 1, 2, 2, 3, 4]), 0);
    assert_eq!(found(&attribute("service.instance.id", "i"), &[1, 2, 1, 2, 1, 2]), 0);
}

#[test]
fn pieces_are_bounded() {
    let points = r#"{"timeUnixNano":5000000,"asInt":1},"#.repeat(5000);
    let points = points.trim_end_matches(',');
    let json = request("", &format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#));
    let (body, _) = from_json(Signal::Metrics, &mut json.into_bytes()).unwrap();
    let (mut walk, mut translator) = (Walk::new(&body), Translator::new(&PROMETHEUS, 1));
    let mut pieces = Vec::new();
    loop {
        let mut samples = 0;
        let is_done = translator.piece(&mut walk, 0, &mut |_| samples += 1);
        pieces.push(samples);
        if is_done {
            break;
        }
    }
    assert_eq!(pieces, [1024, 1024, 1024, 1024, 905]);
}

#[test]
fn pieces_without_samples_are_bounded_too() {
    let body = [0x0a, 0].repeat(100_000);
    let (mut translator, mut walk) = (Translator::new(&Config::default(), 1), Walk::new(&body));
    let mut pieces = 1;
    while !translator.piece(&mut walk, 0, &mut |_| panic!("nothing is there to say")) {
        pieces += 1;
    }
    assert!(pieces > 20, "{pieces}");
}
