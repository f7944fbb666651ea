//! X-Ray from outside: what the SDKs for Python and Node.js send arrives at X-Ray as it was, its
//! segments are the spans that the mapping says, and their sampling calls come back signed and
//! answered.

mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use otlet::translate::segment::Segments;
use support::aws::STATIC;
use support::otlet::Otlet;
use support::otlp::OtlpReceiver;
use support::peers::Peer;
use support::{http, program, python, repository, wait_for};

fn xray(arguments: &[&str]) -> Command {
    let mut command = python();
    command.arg(repository("tests/support/xray.py")).args(arguments);
    command
}

fn node(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("node"));
    command.env("NODE_PATH", repository("tests/.peers/node_modules")).arg("--no-warnings");
    command.arg(repository("tests/support/xray_clients.js")).args(arguments);
    command
}

/// A server that stands for X-Ray, an otlet before it, and where that listens.
fn start() -> (Peer, Otlet, SocketAddr) {
    let peer = Peer::start_announced(&mut xray(&["server"]));
    let url = peer.url("");
    let mut command = Otlet::command();
    command.envs(STATIC).env("AWS_EC2_METADATA_DISABLED", "true").args([
        format!("--from-xray=127.0.0.1:0 upstream={url} region=eu-west-1"),
        format!("--to-xray={url} region=eu-west-1 batch=50ms"),
        "--linger=0s".to_owned(),
        "--admin=127.0.0.1:0".to_owned(),
    ]);
    let otlet = Otlet::spawn(&mut command);
    let address = address(&otlet);
    (peer, otlet, address)
}

/// Where an otlet takes segments.
fn address(otlet: &Otlet) -> SocketAddr {
    let line = otlet.wait_log("xray: listening on ");
    let address = line.split("listening on ").nth(1).unwrap().split(' ').next().unwrap();
    address.parse().unwrap_or_else(|_| panic!("{line}"))
}

fn output(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What a client sends arrives unchanged, translates, and is counted. Returns it as it was sent.
fn arrives_and_translates(client: fn(&[&str]) -> Command) -> String {
    let (peer, otlet, address) = start();
    let all = output(&mut client(&["segments", &address.to_string()]), "");
    let mut sent: Vec<&str> = all.lines().collect();
    assert!(sent.len() > 2, "subsegments are streamed: {sent:?}");
    let arrived = wait_for("all documents", || {
        let page = http::get(peer.address, "/_documents").unwrap().text();
        (page.lines().count() == sent.len()).then_some(page)
    });
    let mut arrived: Vec<&str> = arrived.lines().collect();
    let mut lines = String::new();
    let (mut segments, mut spans) = (Segments::default(), 0);
    for document in &sent {
        let summary = segments.read(document.as_bytes()).unwrap();
        assert_eq!(summary.skipped, 0, "{document}");
        let mut body = Vec::new();
        segments.write_spans(document.as_bytes(), &mut body);
        spans += summary.spans;
        write!(lines, "{document}\t").unwrap();
        body.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
        lines.push('\n');
    }
    assert_eq!(output(&mut xray(&["compare"]), &lines).trim(), spans.to_string());
    sent.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(sent, arrived);
    let metrics = otlet.wait_metrics("all sent", |metrics| {
        metrics.sum("otlet_exporter_sent_items_total", &[("exporter", "xray")]) == spans as f64
    });
    let accepted = metrics.sum("otlet_receiver_accepted_items_total", &[("receiver", "xray")]);
    assert_eq!(accepted, spans as f64);
    all
}

#[test]
fn segments_of_the_python_sdk_arrive_unchanged_and_translate() {
    arrives_and_translates(xray);
}

#[test]
fn segments_of_the_node_sdk_arrive_unchanged_and_translate() {
    let sent = arrives_and_translates(node);
    for part in [
        r#""url":"http://127.0.0.1/stock""#,
        r#""operation":"GetItem""#,
        r#""table_name":"carts""#,
        r#""url":"mysql://127.0.0.1:"#,
        r#""type":"TypeError""#,
        r#""annotations":{"tier":3"#,
        r#""metadata":{"shop""#,
        r#""throttle":true"#,
    ] {
        assert!(sent.contains(part), "{part} not in\n{sent}");
    }
}

/// Rules and targets come through; the server has checked every signature.
fn samples(client: fn(&[&str]) -> Command) -> String {
    let (_peer, otlet, address) = start();
    let answer = output(&mut client(&["sampling", &address.to_string()]), "");
    assert!(answer.replace(' ', "").contains(r#"["half",0.5]"#), "{answer}");
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_xray_proxy_requests_total", &[]), 2.0);
    assert_eq!(metrics.sum("otlet_xray_proxy_failures_total", &[]), 0.0);
    answer
}

#[test]
fn sampling_calls_of_the_python_sdk_are_signed_and_answered() {
    let answer = samples(xray);
    assert!(answer.contains(r#""rate": 0.25"#) && answer.contains(r#""quota": 3"#), "{answer}");
}

#[test]
fn sampling_calls_of_the_node_sdk_are_signed_and_answered() {
    let answer = samples(node);
    assert!(answer.contains(r#""rate":0.25"#), "{answer}");
    assert!(answer.contains(r#""quota":3"#), "{answer}");
}

#[test]
fn without_an_exporter_of_traces_segments_are_refused_and_it_is_said_once() {
    let otlet = Otlet::start(&[
        "--from-xray=127.0.0.1:0 region=eu-west-1",
        "--to-remote-write=http://127.0.0.1:9",
        "--linger=0s",
    ]);
    let address = address(&otlet);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let document = r#"{"name":"n","id":"1111111111111111","start_time":1,"end_time":2,
        "trace_id":"1-67000000-abcdefabcdefabcdefabcdef"}"#;
    for _ in 0..3 {
        let datagram = format!("{{\"format\":\"json\",\"version\":1}}\n{document}");
        sender.send_to(datagram.as_bytes(), address).unwrap();
    }
    otlet.wait_metrics("three refused", |metrics| {
        let labels = [("receiver", "xray"), ("reason", "no_exporter")];
        metrics.sum("otlet_receiver_refused_items_total", &labels) == 3.0
    });
    let said = |line: &&String| line.contains("no exporter takes traces");
    assert_eq!(otlet.stop().stderr.iter().filter(said).count(), 1);
}

/// What a client sends arrives at an OTLP destination and, decoded there with opentelemetry-proto,
/// is field by field what the mapping says.
fn is_exported(client: fn(&[&str]) -> Command, protocol: &str) {
    let receiver = OtlpReceiver::start(16 << 20);
    let destination = if protocol == "grpc" { receiver.grpc } else { receiver.http };
    let otlet = Otlet::start(&[
        "--from-xray=127.0.0.1:0 region=eu-west-1",
        &format!("--to-otlp=http://{destination} protocol={protocol} batch=50ms"),
        "--linger=0s",
    ]);
    let sent = output(&mut client(&["segments", &address(&otlet).to_string()]), "");
    let (mut segments, mut spans) = (Segments::default(), 0);
    let mut lines = String::new();
    for document in sent.lines() {
        spans += segments.read(document.as_bytes()).unwrap().spans;
        writeln!(lines, "document\t{document}").unwrap();
    }
    otlet.wait_metrics("all sent", |metrics| {
        let labels = [("exporter", "otlp"), ("signal", "traces")];
        metrics.sum("otlet_exporter_sent_items_total", &labels) == spans as f64
    });
    for (_, _, body) in receiver.rest() {
        lines.push_str("body\t");
        body.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
        lines.push('\n');
    }
    assert_eq!(output(&mut xray(&["exported"]), &lines).trim(), spans.to_string());
}

#[test]
fn the_python_sdks_segments_are_spans_at_an_otlp_destination() {
    is_exported(xray, "http");
}

#[test]
fn the_node_sdks_segments_are_spans_at_an_otlp_destination() {
    is_exported(node, "grpc");
}
