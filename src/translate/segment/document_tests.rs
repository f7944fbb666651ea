//! Spans and the documents they become.

use super::tests::{root, CHECKOUT};
use super::{documents, Documents, Out, Segments};
use crate::codec::otlp::{from_json, Signal};
use crate::codec::xray::DOCUMENT_BYTES_MAX;

const RESOURCE: &str = r#"{"key":"service.name","value":{"stringValue":"shop"}}"#;

/// The documents of a body in OTLP/JSON.
fn of_json(resource: &str, spans: &str) -> Vec<String> {
    let mut json = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{resource}]}},"scopeSpans":[{{
        "spans":[{spans}]}}]}}]}}"#
    );
    // No string in these tests is invalid, so its bytes stay UTF-8.
    let mut bytes = std::mem::take(&mut json).into_bytes();
    let (body, _) = from_json(Signal::Traces, &mut bytes).unwrap();
    of_body(&body)
}

fn of_body(body: &[u8]) -> Vec<String> {
    let (mut found, mut id) = (Vec::new(), 0);
    let mut random = || {
        id += 1;
        id
    };
    documents(body, &mut random, &mut |document| found.push(document.to_owned()));
    found
}

fn span(kind: u8, more: &str, attributes: &str) -> String {
    format!(
        r#"{{"traceId":"67000000abcdefabcdefabcdefabcdef","spanId":"1111111111111111",
        "name":"GET /x","kind":{kind},"startTimeUnixNano":"1728053248250000001",
        "endTimeUnixNano":"1728053249500000000"{more},"attributes":[{attributes}]}}"#
    )
}

fn text(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

fn int(key: &str, value: i64) -> String {
    format!(r#"{{"key":"{key}","value":{{"intValue":"{value}"}}}}"#)
}

const PARENT: &str = r#","parentSpanId":"2222222222222222""#;

/// The one document of a span has this text in it, and is JSON.
fn has(kind: u8, more: &str, attributes: &[String], expected: &str) {
    let documents = of_json(RESOURCE, &span(kind, more, &attributes.join(",")));
    let [document] = &documents[..] else { panic!("{documents:?}") };
    assert!(super::Segments::default().read(document.as_bytes()).is_ok(), "{document}");
    assert!(document.contains(expected), "{expected}\n{document}");
}

#[test]
fn a_server_span_whole() {
    let attributes = [
        text("http.method", "GET"),
        text("http.scheme", "https"),
        text("http.host", "shop.example"),
        text("http.target", "/x"),
        int("http.status_code", 429),
        text("http.client_ip", "10.0.0.9"),
        text("tier", "a\\\"b"),
        text("other", "o"),
        r#"{"key":"aws.xray.annotations",
            "value":{"arrayValue":{"values":[{"stringValue":"tier"}]}}}"#
            .to_owned(),
        text("aws.xray.metadata.mine", r#"{\"k\":[1]}"#),
        text("aws.xray.metadata.bad", "{no"),
    ];
    let resource = [
        RESOURCE.to_owned(),
        text("cloud.provider", "aws"),
        text("cloud.platform", "aws_ecs"),
        text("aws.ecs.launchtype", "fargate"),
        text("container.name", "web"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "go"),
        text("telemetry.sdk.version", "1.2"),
        text("service.version", "v1"),
    ];
    let found = of_json(&resource.join(","), &span(2, "", &attributes.join(",")));
    let expected = concat!(
        r#"{"name":"shop","id":"1111111111111111","#,
        r#""trace_id":"1-67000000-abcdefabcdefabcdefabcdef","#,
        r#""start_time":1728053248.250000001,"end_time":1728053249.500000000,"#,
        r#""service":{"version":"v1"},"origin":"AWS::ECS::Fargate","#,
        r#""http":{"request":{"method":"GET","url":"https://shop.example/x","#,
        r#""client_ip":"10.0.0.9","x_forwarded_for":true},"response":{"status":429}},"#,
        r#""fault":false,"error":true,"throttle":true,"#,
        r#""aws":{"ecs":{"container":"web","launch_type":"fargate"},"#,
        r#""xray":{"sdk":"opentelemetry for go","sdk_version":"1.2","#,
        r#""auto_instrumentation":false}},"annotations":{"tier":"a\"b"},"#,
        r#""metadata":{"default":{"other":"o","aws.xray.metadata.bad":"{no","#,
        r#""otel.resource.service.name":"shop","otel.resource.cloud.provider":"aws","#,
        r#""otel.resource.cloud.platform":"aws_ecs","otel.resource.aws.ecs.launchtype":"fargate","#,
        r#""otel.resource.container.name":"web","#,
        r#""otel.resource.telemetry.sdk.name":"opentelemetry","#,
        r#""otel.resource.telemetry.sdk.language":"go","#,
        r#""otel.resource.telemetry.sdk.version":"1.2","otel.resource.service.version":"v1"},"#,
        r#""mine":{"k":[1]}}}"#,
    );
    assert_eq!(found, [expected]);
}

#[test]
fn names_and_namespaces() {
    let named = |kind, more, attributes: &[String], name: &str| {
        has(kind, more, attributes, &format!(r#"{{"name":"{name}","id""#));
    };
    named(2, "", &[], "shop");
    named(2, PARENT, &[text("aws.local.service", "mine")], "mine");
    named(3, PARENT, &[], "GET /x");
    named(3, PARENT, &[text("peer.service", "peer")], "peer");
    named(3, PARENT, &[text("aws.service", "S3")], "S3");
    let aws = [text("rpc.system", "aws-api"), text("aws.remote.service", "AWS.SDK.S3")];
    named(3, PARENT, &aws, "S3");
    let db = [text("db.name", "d"), text("db.connection_string", "mysql://u@h:1/")];
    named(3, PARENT, &db, "d@h");
    named(3, PARENT, &[text("db.name", "d")], "d");
    named(3, PARENT, &[text("net.peer.name", "h")], "h");
    named(3, PARENT, &[text("peer.service", "a!{b}")], "ab");
    named(3, PARENT, &[text("peer.service", "{!}")], "span");
    named(3, PARENT, &[text("peer.service", &"é".repeat(150))], &"é".repeat(100));
    has(3, PARENT, &[], r#""type":"subsegment","namespace":"remote""#);
    has(3, PARENT, &aws, r#""type":"subsegment","namespace":"aws""#);
    has(1, PARENT, &[], r#""type":"subsegment","fault""#);
}

#[test]
fn flags_and_causes() {
    let status = |code| [int("http.status_code", code)];
    let error = r#","status":{"code":2,"message":"it broke"}"#;
    has(2, "", &[], r#""fault":false,"error":false,"throttle":false"#);
    has(2, "", &status(404), r#""fault":false,"error":true,"throttle":false"#);
    has(2, "", &status(503), r#""fault":true,"error":false,"throttle":false"#);
    has(2, error, &[], r#""fault":true,"error":false,"throttle":false"#);
    has(
        2,
        error,
        &[],
        r#""cause":{"exceptions":[{"id":"0000000000000001","message":"it broke"}]}"#,
    );
    has(
        2,
        r#","status":{"code":2,"message":"0123456789abcdef"}"#,
        &[],
        r#""cause":"0123456789abcdef""#,
    );
    let event = format!(
        r#","events":[{{"name":"other"}},{{"name":"exception","attributes":[{},{},{}]}}]"#,
        text("exception.type", "E"),
        text("exception.message", "m"),
        text("exception.stacktrace", r#"E: m\n  File \"a.py\", line 3, in f\n"#),
    );
    has(
        2,
        &event,
        &[],
        concat!(
            r#""cause":{"exceptions":[{"id":"0000000000000001","message":"m","type":"E","#,
            r#""remote":false,"stack":[{"path":"a.py","label":"f","line":3}]}]}"#
        ),
    );
}

#[test]
fn blocks_of_subsegments() {
    let sql = [
        text("db.system", "MySQL"),
        text("db.name", "d"),
        text("db.statement", "SELECT ?"),
        text("db.user", "u"),
    ];
    has(
        3,
        PARENT,
        &sql,
        concat!(
            r#""sql":{"url":"GET /x","connection_string":"localhost/d","database_type":"MySQL","#,
            r#""user":"u","sanitized_query":"SELECT ?"}"#
        ),
    );
    // Not SQL: nothing is lost.
    let redis = [text("db.system", "redis"), text("db.statement", "GET k")];
    has(3, PARENT, &redis, r#""default":{"db.system":"redis","db.statement":"GET k"}"#);
    let call = [
        text("rpc.system", "aws-api"),
        text("rpc.method", "GetItem"),
        text("aws.region", "eu-west-1"),
        text("aws.request_id", "r"),
        text("aws.table_name", "t"),
        int("aws.xray.retries", 2),
    ];
    has(
        3,
        PARENT,
        &call,
        concat!(
            r#""aws":{"operation":"GetItem","region":"eu-west-1","request_id":"r","#,
            r#""retries":2,"table_name":"t","#
        ),
    );
}

#[test]
fn urls_links_and_values() {
    let link = r#","links":[{"traceId":"67000000abcdefabcdefabcdefabcdef",
        "spanId":"00000000000000bb","attributes":[{"key":"k","value":{"boolValue":true}}]}]"#;
    has(
        3,
        link,
        &[],
        concat!(
            r#""links":[{"trace_id":"1-67000000-abcdefabcdefabcdefabcdef","#,
            r#""id":"00000000000000bb","attributes":{"k":true}}]"#
        ),
    );
    let progress = [r#"{"key":"aws.xray.inprogress","value":{"boolValue":true}}"#.to_owned()];
    has(2, "", &progress, r#""start_time":1728053248.250000001,"in_progress":true,"#);
    let values = [
        r#"{"key":"d","value":{"doubleValue":"NaN"}}"#.to_owned(),
        r#"{"key":"b","value":{"bytesValue":"AP8="}}"#.to_owned(),
        r#"{"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"arrayValue":{
        "values":[{"intValue":1},{"doubleValue":0.5}]}}}]}}}"#
            .to_owned(),
    ];
    has(3, PARENT, &values, r#""default":{"d":"NaN","b":"AP8=","m":{"x":[1,0.5]}}"#);
    let other = text("cloud.provider", "gcp");
    let found = of_json(&other, &span(3, PARENT, ""));
    assert!(!found[0].contains(r#""aws""#), "{found:?}");
}

#[test]
fn urls_are_assembled_by_the_side_that_tells() {
    let url = |kind, attributes: &[String], expected: &str| {
        has(kind, PARENT, attributes, &format!(r#""url":"{expected}""#));
    };
    let both = [
        text("http.target", "/p"),
        text("net.host.name", "own"),
        int("net.host.port", 8080),
        text("net.peer.name", "other"),
        int("net.peer.port", 9090),
    ];
    url(2, &both, "http://own:8080/p");
    url(3, &both, "http://other:9090/p");
    let host = [text("http.host", "h:1"), text("http.method", "GET"), int("net.peer.port", 9090)];
    url(3, &host, "http://h:1/");
    let modern = [
        text("url.scheme", "https"),
        text("server.address", "::1"),
        int("server.port", 443),
        text("url.path", "/p"),
        text("url.query", "a=1"),
    ];
    url(2, &modern, "https://[::1]/p?a=1");
    url(3, &[text("http.method", "GET"), text("net.peer.ip", "10.0.0.1")], "http://10.0.0.1/");
    // Nothing of another protocol is lost.
    let other =
        [text("net.peer.ip", "10.0.0.1"), text("server.address", "h"), int("server.port", 1)];
    let kept = r#""default":{"net.peer.ip":"10.0.0.1","server.address":"h","server.port":1}"#;
    has(3, PARENT, &other, kept);
    let client = [text("http.method", "GET"), text("client.address", "unix")];
    has(2, "", &client, r#""client.address":"unix""#);
    let client = [text("http.method", "GET"), text("client.address", "::1")];
    has(2, "", &client, r#""client_ip":"::1","x_forwarded_for":true"#);
}

#[test]
fn a_local_root_that_calls_out_is_two_segments() {
    let attributes = [
        text("aws.span.kind", "LOCAL_ROOT"),
        text("aws.local.service", "shop"),
        text("aws.remote.service", "AWS::SQS"),
        text("aws.remote.operation", "Send"),
        text("rpc.system", "aws-api"),
        text("rpc.method", "SendMessage"),
        text("messaging.url", "https://q"),
        text("http.method", "POST"),
        int("http.status_code", 500),
        r#"{"key":"aws.xray.annotations","value":{"arrayValue":{"values":[
            {"stringValue":"aws.remote.service"},{"stringValue":"aws.local.service"}]}}}"#
            .to_owned(),
    ];
    let link = r#","links":[{"traceId":"67000000abcdefabcdefabcdefabcdef",
        "spanId":"00000000000000bb"},{"traceId":"","spanId":""}]"#;
    let documents = |kind, more: &str| of_json(RESOURCE, &span(kind, more, &attributes.join(",")));
    let both = documents(4, &format!("{PARENT}{link}"));
    assert_eq!(both.len(), 2, "{both:?}");
    let has = |document: &str, part: &str| assert!(document.contains(part), "{part}\n{document}");
    let lacks =
        |document: &str, part: &str| assert!(!document.contains(part), "{part}\n{document}");
    let (call, service) = (&both[0], &both[1]);
    has(call, r#"{"name":"SQS","id":"1111111111111111","#);
    has(call, r#""parent_id":"0000000000000001","#);
    has(call, r#""type":"subsegment","namespace":"aws","http":{"request":{"method":"POST"}"#);
    has(call, r#""operation":"SendMessage","queue_url":"https://q""#);
    has(call, r#""links":[{"trace_id""#);
    lacks(call, "otel.resource");
    has(call, r#""aws_remote_service"#.replace('_', ".").as_str());
    has(service, r#"{"name":"shop","id":"0000000000000001","#);
    has(service, r#""parent_id":"2222222222222222","#);
    has(service, r#""fault":true"#);
    has(service, r#""annotations":{"aws.local.service":"shop"}"#);
    has(service, r#""metadata":{"default":{"otel.resource.service.name":"shop"}}"#);
    for gone in ["subsegment", "namespace", "http", "operation", "queue_url", "links", "remote"] {
        lacks(service, &format!("\"{gone}"));
    }
    // Of what a consumer takes in, its service tells the links.
    let both = documents(5, link);
    lacks(&both[0], r#""links""#);
    has(
        &both[1],
        r#""links":[{"trace_id":"1-67000000-abcdefabcdefabcdefabcdef","id":"00000000000000bb"}]"#,
    );
    // What calls nobody is one segment, whatever its parent.
    for kind in [1, 2] {
        let one = documents(kind, PARENT);
        assert_eq!(one.len(), 1, "{one:?}");
        has(&one[0], r#"{"name":"shop","id":"1111111111111111","#);
        has(&one[0], r#""parent_id":"2222222222222222","#);
        has(&one[0], r#""otel.resource.service.name":"shop""#);
        lacks(&one[0], r#""type":"subsegment""#);
        lacks(&one[0], r#""namespace""#);
    }
}

#[test]
fn spans_without_ids_are_told_apart() {
    let mut left_out = 0;
    for (trace, id) in [("", "1111111111111111"), ("67000000abcdefabcdefabcdefabcdef", "")] {
        let mut json = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}",
            "spanId":"{id}","name":"n"}}]}}]}}]}}"#
        )
        .into_bytes();
        let (body, _) = from_json(Signal::Traces, &mut json).unwrap();
        let mut documents = Documents::new(&body);
        let mut visit = |out: Out<'_>| match out {
            Out::NoIds => left_out += 1,
            Out::Document(text, _) => panic!("{text}"),
        };
        while documents.next(&mut || 1, &mut visit).is_some() {}
    }
    assert_eq!(left_out, 2);
}

#[test]
fn what_is_too_long_ends_there() {
    let large = text("k", &"v".repeat(70_000));
    let others: Vec<_> = (0..100).map(|n| text(&format!("k{n}"), "v")).collect();
    let found = of_json(&large, &span(2, "", &others.join(",")));
    let over = found[0].len() - DOCUMENT_BYTES_MAX;
    assert!((1..4_000).contains(&over), "{over}");
}

#[test]
fn what_else_is_kept() {
    let default = [text("aws.xray.metadata.Default", r#"{\"k\":1 }"#), text("o", "p")];
    has(3, PARENT, &default, r#""metadata":{"default":{"k":1,"o":"p"}}"#);
    has(3, PARENT, &[text("aws.xray.metadata.default", "{}")], r#""metadata":{"default":{}}"#);
    let tables = |names: &str| {
        let values = format!(r#"{{"arrayValue":{{"values":[{names}]}}}}"#);
        [format!(r#"{{"key":"aws.dynamodb.table_names","value":{values}}}"#)]
    };
    let (a, b) = (r#"{"stringValue":"a"}"#, r#"{"stringValue":"b"}"#);
    has(3, PARENT, &tables(a), r#""table_name":"a""#);
    has(3, PARENT, &tables(&format!("{a},{b}")), r#""table_names":["a","b"]"#);
    let arn = text("aws.log.group.arns", "arn:aws:logs:eu-west-1:1:log-group:/ecs/web:*");
    let found = of_json(&arn, &span(2, "", ""));
    assert!(found[0].contains(r#""log_group":"/ecs/web"}]"#), "{found:?}");
    let indexed = r#"{"key":"aws.xray.annotations","value":{"arrayValue":{"values":[
        {"stringValue":"otel.resource.service.name"}]}}}"#;
    has(2, "", &[indexed.to_owned()], r#""annotations":{"otel.resource.service.name":"shop"}"#);
    let trace = r#"E: m\n\tat a.B.c(B.java:1)\nCaused by: F: why\n\tat a.B.d(B.java:2)"#;
    let event = format!(
        r#","events":[{{"name":"exception","attributes":[{},{}]}}]"#,
        text("exception.type", "E"),
        text("exception.stacktrace", trace),
    );
    has(
        3,
        &event,
        &[],
        concat!(
            r#""cause":{"exceptions":[{"id":"0000000000000001","type":"E","remote":true,"#,
            r#""cause":"0000000000000002","stack":[{"path":"B.java","label":"a.B.c","line":1}]},"#,
            r#"{"id":"0000000000000002","message":"why","type":"F","remote":true,"#,
            r#""stack":[{"path":"B.java","label":"a.B.d","line":2}]}]}"#
        ),
    );
}

/// A document, as spans, as documents again: what the API shows is the same.
#[test]
fn there_and_back() {
    let back = |document: &str| {
        let (mut segments, mut body) = (Segments::default(), Vec::new());
        segments.read(document.as_bytes()).unwrap();
        segments.write_spans(document.as_bytes(), &mut body);
        of_body(&body)
    };
    let found = back(CHECKOUT);
    assert_eq!(found.len(), 2);
    for part in [
        r#"{"name":"checkout","id":"1111111111111111","#,
        r#""start_time":1728053248.250000000,"end_time":1728053249.500000000,"#,
        r#""response":{"status":502,"content_length":12}},"fault":true,"error":false"#,
        r#""sdk":"X-Ray for Go","sdk_version":"1.8.3""#,
        r#""annotations":{"tier":3}"#,
    ] {
        assert!(found[0].contains(part), "{part}\n{}", found[0]);
    }
    for part in [
        r#"{"name":"DynamoDB","id":"2222222222222222","#,
        r#""parent_id":"1111111111111111","#,
        r#""type":"subsegment","namespace":"aws","#,
        r#""operation":"GetItem","region":"eu-west-1","retries":1,"table_name":"carts""#,
    ] {
        assert!(found[1].contains(part), "{part}\n{}", found[1]);
    }
    let cause = concat!(
        r#""cause":{"exceptions":[{"id":"00000000000000e1","message":"m","type":"T","#,
        r#""remote":true,"cause":"00000000000000e0","stack":[{"path":"p","label":"l","line":1}]}]}"#
    );
    let flagged = back(&root(&format!(r#","error":true,{cause}"#)));
    assert!(flagged[0].contains(cause), "{flagged:?}");
    assert!(flagged[0].contains(r#""fault":false,"error":true"#), "{flagged:?}");
}

#[test]
fn a_large_resource_costs_its_spans_no_more_than_a_document() {
    let long = "v".repeat(1 << 20);
    let list = vec![r#"{"intValue":"7"}"#; 100_000].join(",");
    let map = vec![r#"{"key":"k","value":{}}"#; 100_000].join(",");
    let many: Vec<_> = (0..20_000).map(|number| int("k", number)).collect();
    for resource in [
        text("k", &long),
        text(&long, "v"),
        text("service.version", &long),
        format!(r#"{{"key":"k","value":{{"bytesValue":"{}"}}}}"#, "AAAA".repeat(1 << 18)),
        format!(r#"{{"key":"k","value":{{"arrayValue":{{"values":[{list}]}}}}}}"#),
        format!(r#"{{"key":"k","value":{{"kvlistValue":{{"values":[{map}]}}}}}}"#),
        many.join(","),
    ] {
        let found = of_json(&resource, &span(2, "", ""));
        assert!(found[0].len() < 2 * DOCUMENT_BYTES_MAX, "{}", found[0].len());
    }
    let found = of_json(&many.join(","), &span(2, "", ""));
    assert_eq!(found[0].matches("otel.resource.k").count(), 1024);
}
