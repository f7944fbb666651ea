//! Documents and the spans they become, as text; bounds.

use super::span::split_url;
use super::{Segments, Summary, ATTRIBUTES_MAX, DEPTH_MAX, KEPT_BYTES_MAX, SPANS_MAX};
use crate::codec::otlp::{validate, AnyValue, Attributes, Signal};
use crate::codec::protobuf::{Fields, Wire};

/// The worked example of a fault in a shop.
pub(super) const CHECKOUT: &str = r#"{"name":"checkout","id":"1111111111111111",
 "trace_id":"1-67000000-abcdefabcdefabcdefabcdef",
 "start_time":1728053248.25,"end_time":1728053249.5,
 "aws":{"ecs":{"container":"ip-10-0-0-1"},"xray":{"sdk":"X-Ray for Go","sdk_version":"1.8.3"}},
 "http":{"request":{"method":"GET","url":"http://shop/x","client_ip":"10.0.0.9"},
 "response":{"status":502,"content_length":12}},
 "fault":true,"annotations":{"tier":3},
 "subsegments":[{"name":"DynamoDB","id":"2222222222222222","start_time":1728053248.5,
   "end_time":1728053249.0,"namespace":"aws",
   "aws":{"operation":"GetItem","region":"eu-west-1","table_name":"carts","retries":1}}]}"#;

/// What every root must have, and room for more.
pub(super) fn root(more: &str) -> String {
    format!(
        r#"{{"name":"n","id":"00000000000000aa","trace_id":"1-67000000-abcdefabcdefabcdefabcdef",
        "start_time":1,"end_time":2{more}}}"#
    )
}

fn translate(document: &str) -> (Summary, Vec<u8>) {
    let (mut segments, mut body) = (Segments::default(), Vec::new());
    let summary = segments.read(document.as_bytes()).unwrap_or_else(|e| panic!("{e}: {document}"));
    segments.write_spans(document.as_bytes(), &mut body);
    let counts = validate(Signal::Traces, &mut body).unwrap();
    assert_eq!((counts.items, counts.repaired_strings), (summary.spans, 0), "{document}");
    (summary, body)
}

fn show(value: AnyValue<'_>) -> String {
    match value {
        AnyValue::Text(text) => text.to_owned(),
        AnyValue::Array(_) => format!("{:?}", value.elements().map(show).collect::<Vec<_>>()),
        value => format!("{value:?}"),
    }
}

fn attributes(message: &[u8], number: u32) -> impl Iterator<Item = String> + '_ {
    Attributes::new(message, number).map(|own| format!("{}={}", own.key, show(own.value)))
}

/// A body as lines, indented by what is in what; attributes in the order of their keys.
fn lines(document: &str) -> Vec<String> {
    let (_, body) = translate(document);
    let mut lines = Vec::new();
    let (_, resource_spans) = Fields::new(&body).next().unwrap();
    for (number, part) in Fields::new(resource_spans.bytes()) {
        if number == 1 {
            let mut own: Vec<_> = attributes(part.bytes(), 1).collect();
            own.sort();
            lines.extend(own);
            continue;
        }
        for (_, span) in Fields::new(part.bytes()) {
            lines.push("span".to_owned());
            let mut own: Vec<_> =
                attributes(span.bytes(), 9).map(|line| format!(" {line}")).collect();
            own.sort();
            lines.extend(Fields::new(span.bytes()).filter_map(|(n, value)| field(n, value)));
            lines.extend(own);
        }
    }
    lines
}

fn field(number: u32, value: Wire<'_>) -> Option<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(match (number, value) {
        (1, id) => format!(" trace {}", hex(id.bytes())),
        (2, id) => format!(" id {}", hex(id.bytes())),
        (4, id) => format!(" parent {}", hex(id.bytes())),
        (5, name) => format!(" name {}", name.text()),
        (6, kind) => {
            format!(" kind {}", ["?", "INTERNAL", "SERVER", "CLIENT"][kind.number() as usize])
        }
        (7, time) => format!(" from {}", time.number()),
        (8, time) => format!(" to {}", time.number()),
        (9, _) => return None,
        (11, event) => {
            let name = Fields::new(event.bytes()).next().unwrap().1.text();
            let own: Vec<_> = attributes(event.bytes(), 3).collect();
            format!(" event {name} {own:?}")
        }
        (13, link) => {
            let ids: Vec<_> =
                Fields::new(link.bytes()).take(2).map(|(_, id)| hex(id.bytes())).collect();
            format!(" link {ids:?} {:?}", attributes(link.bytes(), 4).collect::<Vec<_>>())
        }
        (15, status) => {
            let text =
                Fields::new(status.bytes()).find(|(n, _)| *n == 2).map_or("", |(_, t)| t.text());
            let code = Fields::new(status.bytes()).find(|(n, _)| *n == 3).map(|(_, c)| c.number());
            assert_eq!(code, Some(2));
            format!(" status Error {text}").trim_end().to_owned()
        }
        other => format!(" {other:?}"),
    })
}

#[test]
fn the_worked_example() {
    let (summary, _) = translate(CHECKOUT);
    assert_eq!((summary.spans, summary.skipped, summary.in_progress), (2, 0, false));
    assert_eq!(summary.span_id, [0x11; 8]);
    let expected = [
        "cloud.provider=aws",
        "container.name=ip-10-0-0-1",
        "service.name=checkout",
        "telemetry.sdk.language=Go",
        "telemetry.sdk.name=X-Ray for Go",
        "telemetry.sdk.version=1.8.3",
        "span",
        " trace 67000000abcdefabcdefabcdefabcdef",
        " id 1111111111111111",
        " name checkout",
        " kind SERVER",
        " from 1728053248250000000",
        " to 1728053249500000000",
        " status Error",
        " aws.xray.annotations=[\"tier\"]",
        " aws.xray.fault=Bool(true)",
        " http.client_ip=10.0.0.9",
        " http.method=GET",
        " http.response_content_length=Int(12)",
        " http.status_code=Int(502)",
        " http.url=http://shop/x",
        " tier=Double(3.0)",
        "span",
        " trace 67000000abcdefabcdefabcdefabcdef",
        " id 2222222222222222",
        " parent 1111111111111111",
        " name DynamoDB",
        " kind CLIENT",
        " from 1728053248500000000",
        " to 1728053249000000000",
        " aws.operation=GetItem",
        " aws.region=eu-west-1",
        " aws.service=DynamoDB",
        " aws.table_name=carts",
        " aws.xray.retries=Int(1)",
    ];
    assert_eq!(lines(CHECKOUT), expected);
}

/// A root with `more` has these lines, among others.
fn has(more: &str, expected: &[&str]) {
    let lines = lines(&root(more));
    for line in expected {
        assert!(lines.iter().any(|own| own == line), "{line:?} for {more}: {lines:#?}");
    }
}

/// A root with `more` has no line that begins so.
fn lacks(more: &str, beginning: &str) {
    let lines = lines(&root(more));
    assert!(lines.iter().all(|line| !line.starts_with(beginning)), "{beginning}: {lines:#?}");
}

#[test]
fn members_of_the_segment() {
    has(r#","user":"ann""#, &[" enduser.id=ann", "cloud.provider=unknown", "service.name=n"]);
    has(r#","resource_arn":"arn:x""#, &["aws.xray.resource_arn=arn:x"]);
    has(r#","traced":true"#, &[" aws.xray.traced=Bool(true)"]);
    has(r#","in_progress":false"#, &[" aws.xray.inprogress=Bool(false)"]);
    has(r#","name":"caf\u00e9""#, &[" name café", "service.name=café"]);
    has(
        r#","metadata":{"a":{ "b" : [1, "x y\" {"] },"c d":3}"#,
        &[r#" aws.xray.metadata.a={"b":[1,"x y\" {"]}"#, " aws.xray.metadata.c d=3"],
    );
    has(
        r#","annotations":{"b":true,"a":"x","o":{},"l":[],"n":null,"i":124,"f":1.5}"#,
        &[
            r#" aws.xray.annotations=["a", "b", "f", "i", "l", "n", "o"]"#,
            " a=x",
            " b=Bool(true)",
            " i=Double(124.0)",
            " f=Double(1.5)",
        ],
    );
    lacks(r#","annotations":{"o":{},"n":null}"#, " o=");
    lacks(r#","annotations":{}"#, " aws.xray.annotations");
    lacks(r#","user":5,"http":7,"aws":[],"sql":"","annotations":"","metadata":1,"links":2"#, " a");
    // An annotation counts more than another member, wherever it stands.
    let (http, annotation) =
        (r#","http":{"request":{"method":"GET"}}"#, r#","annotations":{"http.method":"PUT"}"#);
    for more in [format!("{http}{annotation}"), format!("{annotation}{http}")] {
        has(&more, &[" http.method=PUT"]);
        lacks(&more, " http.method=GET");
    }
    let links = r#","links":[{"trace_id":"1-67000000-abcdefabcdefabcdefabcdef",
        "id":"00000000000000bb","attributes":{"k":"v","n":1,"b":false,"o":{}}},{"id":"x"},7]"#;
    has(
        links,
        &[concat!(
            r#" link ["67000000abcdefabcdefabcdefabcdef", "00000000000000bb"] "#,
            r#"["k=v", "n=Double(1.0)", "b=Bool(false)"]"#
        )],
    );
}

#[test]
fn http_and_sql() {
    has(
        r#","http":{"request":{"user_agent":"curl","x_forwarded_for":true}}"#,
        &[" http.user_agent=curl", " aws.xray.x_forwarded_for=Bool(true)"],
    );
    has(r#","http":{"response":{"content_length":"-1"}}"#, &[" http.response_content_length=-1"]);
    has(
        r#","http":{"response":{"content_length":-1}}"#,
        &[" http.response_content_length=Int(-1)"],
    );
    has(
        r#","sql":{"url":"mysql://h/db","database_type":"MySQL","sanitized_query":"SELECT ?",
        "user":"u","preparation":"call"}"#,
        &[
            " db.connection_string=mysql://h",
            " db.name=db",
            " db.system=MySQL",
            " db.statement=SELECT ?",
            " db.user=u",
        ],
    );
    has(r#","sql":{"url":"nothing"}"#, &[" db.connection_string=nothing"]);
    let split = |url, expected| assert_eq!(split_url(url), expected, "{url}");
    let postgres = "jdbc:postgresql://h.example:5432/ebdb?ssl=1";
    split(postgres, Some(("jdbc:postgresql://h.example:5432", "ebdb")));
    split("jdbc:oracle:thin:@h:1521:sid", Some(("jdbc:oracle:thin:@h:1521:", "sid")));
    split("mysql://h", None);
    split("mysql://h/", None);
    split("mysql://h/?x=1", None);
    split("/h:x", None);
    split("", None);
}

#[test]
fn statuses() {
    let bad = [" status Error"];
    for status in [99, 399, 400, 429, 500, -1] {
        has(&format!(r#","http":{{"response":{{"status":{status}}}}}"#), &bad);
    }
    for status in [100, 200, 302, 398] {
        let more = format!(r#","fault":true,"http":{{"response":{{"status":{status}}}}}"#);
        lacks(&more, " status");
        has(&more, &[" aws.xray.fault=Bool(true)"]);
    }
    for flag in ["fault", "error", "throttle"] {
        has(&format!(r#","{flag}":true"#), &bad);
        lacks(&format!(r#","{flag}":false"#), " status");
    }
    has(r#","cause":"0123456789abcdef""#, &[" status Error 0123456789abcdef"]);
    has(r#","cause":{}"#, &bad);
    lacks(r#","cause":null"#, " status");
}

#[test]
fn exceptions() {
    let cause = r#","aws":{"xray":{"sdk":"X-Ray for Python"}},"cause":{"working_directory":"/",
        "exceptions":[{"id":"00000000000000e1","type":"ValueError","message":"bad","remote":true,
        "truncated":2,"skipped":1,"cause":"00000000000000e0",
        "stack":[{"path":"app.py","line":12,"label":"handler"},{"label":"x"}]},{}]}"#;
    has(
        cause,
        &[
            "telemetry.sdk.language=java",
            concat!(
                r#" event exception ["aws.xray.exception.id=00000000000000e1", "#,
                r#""exception.type=ValueError", "exception.message=bad", "#,
                r#""aws.xray.exception.remote=Bool(true)", "#,
                r#""aws.xray.exception.truncated=Int(2)", "#,
                r#""aws.xray.exception.skipped=Int(1)", "#,
                r#""aws.xray.exception.cause=00000000000000e0", "#,
                r#""exception.stacktrace=ValueError: bad\n\tat handler(app.py: 12)\n"#,
                r#"\tat x(: <unknown>)\n"]"#
            ),
            " event exception []",
            " status Error",
        ],
    );
}

#[test]
fn where_it_ran() {
    let aws = |inside: &str, expected: &[&str]| has(&format!(r#","aws":{{{inside}}}"#), expected);
    aws("", &["cloud.provider=aws"]);
    aws(r#""account_id":"1""#, &["cloud.account.id=1", " aws.account_id=1"]);
    aws(r#""request_id":"r","queue_url":"q""#, &[" aws.request_id=r", " aws.queue_url=q"]);
    aws(
        r#""cloudwatch_logs":[{"log_group":"g","arn":"a"},{"log_group":"h"}]"#,
        &[r#"aws.log.group.arns=["a"]"#, r#"aws.log.group.names=["g", "h"]"#],
    );
    aws(
        r#""ecs":{"container":"c","container_id":"i","container_arn":"ca","task_arn":"ta",
        "task_family":"f","cluster_arn":"cl","availability_zone":"z1","launch_type":"FARGATE"},
        "ec2":{"instance_id":"e","instance_size":"s","ami_id":"m","availability_zone":"z2"},
        "eks":{"cluster_name":"k","pod":"p","container_id":"i2"}"#,
        &[
            "container.name=c",
            "container.id=i2",
            "aws.ecs.container.arn=ca",
            "aws.ecs.task.arn=ta",
            "aws.ecs.task.family=f",
            "aws.ecs.cluster.arn=cl",
            "aws.ecs.launchtype=fargate",
            "cloud.availability_zone=z1",
            "host.id=e",
            "host.type=s",
            "host.image.id=m",
            "k8s.cluster.name=k",
            "k8s.pod.name=p",
        ],
    );
    let beanstalk = r#""elastic_beanstalk":{"environment_name":"e","deployment_id":7,
        "version_label":"v1"}"#;
    aws(beanstalk, &["service.namespace=e", "service.instance.id=7", "service.version=v1"]);
    has(
        &format!(r#","service":{{"version":"v2"}},"aws":{{{beanstalk}}}"#),
        &["service.version=v2"],
    );
    for (origin, platform) in super::span::PLATFORMS {
        let expected = format!("cloud.platform={platform}");
        has(&format!(r#","origin":"{origin}""#), &[expected.as_str()]);
    }
    lacks(r#","origin":"AWS::Elsewhere""#, "cloud.platform");
}

#[test]
fn kinds_and_times() {
    let independent = r#","type":"Subsegment","parent_id":"00000000000000bb""#;
    let with = |more: &str| format!("{independent}{more}");
    has("", &[" kind SERVER"]);
    has(r#","namespace":"remote""#, &[" kind SERVER"]);
    has(r#","parent_id":"00000000000000bb""#, &[" kind SERVER", " parent 00000000000000bb"]);
    has(r#","type":"subsegment""#, &[" kind SERVER"]);
    has(independent, &[" kind INTERNAL"]);
    has(&with(r#","namespace":"local""#), &[" kind INTERNAL"]);
    has(&with(r#","namespace":null"#), &[" kind INTERNAL"]);
    has(&with(r#","namespace":"remote""#), &[" kind CLIENT"]);
    has(&with(r#","namespace":"aws""#), &[" kind CLIENT", " aws.service=n"]);
    has(&with(r#","http":{"request":{"client_ip":"::1"}}"#), &[" kind SERVER"]);
    for none in ["\"0000000000000000\"", "\"\"", "null"] {
        lacks(&format!(r#","parent_id":{none}"#), " parent");
    }
    // No end yet: the beginning.
    let open = root(r#","in_progress":true"#).replace(r#""end_time":2,"#, "");
    assert!(translate(&open).0.in_progress);
    let lines = lines(&open);
    assert!(lines.contains(&" to 1000000000".to_owned()), "{lines:?}");
    assert!(lines.contains(&" aws.xray.inprogress=Bool(true)".to_owned()), "{lines:?}");
}

/// Names of the spans in the order they are written, with their parents' ids; and how many are
/// skipped.
fn family(more: &str) -> (Vec<String>, u64) {
    let document = root(more);
    let lines = lines(&document);
    let wanted = |line: &&String| line.starts_with(" name") || line.starts_with(" parent");
    let found = lines.iter().filter(wanted).map(|line| line.trim().to_owned()).collect();
    (found, translate(&document).0.skipped)
}

#[test]
fn subsegments_come_depth_first_and_bad_ones_cost_themselves() {
    let sub = |id: u32, more: &str| {
        format!(r#"{{"name":"s{id}","id":"{id:016}","start_time":1,"end_time":2{more}}}"#)
    };
    let with = |subsegments: &str| family(&format!(r#","subsegments":[{subsegments}]"#));
    // The parent's id comes after what is in it.
    let nested = format!(r#"{{"subsegments":[{}],{}"#, sub(3, ""), &sub(2, "")[1..]);
    let (found, skipped) = with(&format!("{nested},{}", sub(4, "")));
    assert_eq!(skipped, 0);
    assert_eq!(
        found,
        [
            "name n",
            "parent 00000000000000aa",
            "name s2",
            "parent 0000000000000002",
            "name s3",
            "parent 00000000000000aa",
            "name s4",
        ]
    );
    for bad in [
        "7",
        "null",
        "{}",
        r#"{"name":"x","id":"0000000000000009"}"#,
        r#"{"id":"0000000000000009","start_time":1}"#,
        r#"{"name":"x","start_time":1}"#,
        &sub(9, r#","id":"9""#),
        &sub(9, r#","start_time":-1"#),
        &sub(9, r#","namespace":"mine""#),
        &sub(9, r#","cause":5"#),
        &sub(9, r#","trace_id":"1-2-3""#),
    ] {
        let (found, skipped) = with(&format!("{},{bad},{}", sub(2, ""), sub(4, "")));
        assert_eq!((found.len(), skipped), (5, 1), "{bad}");
    }
    // What is in a bad one has no parent left.
    let bad = format!(r#"{{"subsegments":[{},{}]}}"#, sub(3, ""), sub(4, ""));
    assert_eq!(with(&format!("{bad},{}", sub(5, ""))).1, 3);
    assert_eq!(with(r#"{"subsegments":7}"#).1, 1);
    // The second array of two counts like the first.
    let twice = format!(r#","subsegments":[{}],"subsegments":[{}]"#, sub(2, ""), sub(3, ""));
    assert_eq!(family(&twice).0.len(), 5);
    // An own trace id is kept.
    let own = r#","trace_id":"00000000000000000000000000000001""#;
    let document = root(&format!(r#","subsegments":[{}]"#, sub(2, own)));
    assert!(lines(&document).contains(&format!(" trace {:032}", 1)));
}

#[test]
fn depth_is_bounded() {
    for levels in [DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 1000] {
        let mut document = String::new();
        for level in 0..levels {
            document +=
                &format!(r#","subsegments":[{{"name":"s","id":"{:016}","start_time":1"#, level + 1);
        }
        document += &"}]".repeat(levels);
        let (summary, _) = translate(&root(&document));
        assert_eq!(summary.spans, levels.min(DEPTH_MAX) as u64 + 1);
        assert_eq!(summary.skipped, u64::from(levels > DEPTH_MAX));
    }
}

#[test]
fn room_for_spans_is_given_back() {
    // The most that a document grows: a frame of nothing becomes a line.
    let frames = "{},".repeat(20_000);
    let cause = format!(r#","cause":{{"exceptions":[{{"stack":[{frames}{{}}]}}]}}"#);
    let (mut segments, mut body) = (Segments::default(), Vec::new());
    let document = root(&cause);
    segments.read(document.as_bytes()).unwrap();
    segments.write_spans(document.as_bytes(), &mut body);
    assert!(body.len() > KEPT_BYTES_MAX, "{}", body.len());
    assert!(segments.spans.capacity() <= KEPT_BYTES_MAX);
}

#[test]
fn numbers_of_spans_and_attributes_are_bounded() {
    let sub = r#"{"name":"s","id":"0000000000000001","start_time":1},"#.repeat(SPANS_MAX);
    let (summary, _) =
        translate(&root(&format!(r#","subsegments":[{}]"#, sub.trim_end_matches(','))));
    assert_eq!((summary.spans, summary.skipped), (SPANS_MAX as u64, 1));
    let all: Vec<_> = (0..=ATTRIBUTES_MAX).map(|n| format!(r#""k{n}":true"#)).collect();
    // One does not fit, and neither does the list of their names.
    has(&format!(r#","annotations":{{{}}}"#, all.join(",")), &[" (10, Varint(2))"]);
}
