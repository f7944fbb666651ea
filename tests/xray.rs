//! X-Ray from outside: what the SDK for Python sends arrives at X-Ray as it was, its segments are
//! the spans that the mapping says, and its sampling calls come back signed and answered.

mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use otlet::translate::segment::Segments;
use support::aws::STATIC;
use support::otlet::Otlet;
use support::peers::Peer;
use support::{http, python, repository, wait_for};

fn xray(arguments: &[&str]) -> std::process::Command {
    let mut command = python();
    command.arg(repository("tests/support/xray.py")).args(arguments);
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
    let line = otlet.wait_log("xray: listening on ");
    let address = line.split("listening on ").nth(1).unwrap().split(' ').next().unwrap();
    let address = address.parse().unwrap_or_else(|_| panic!("{line}"));
    (peer, otlet, address)
}

fn output(command: &mut std::process::Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn segments_of_the_python_sdk_arrive_unchanged_and_translate() {
    let (peer, otlet, address) = start();
    let sent = output(&mut xray(&["segments", &address.to_string()]), "");
    let mut sent: Vec<&str> = sent.lines().collect();
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
}

#[test]
fn sampling_calls_of_the_python_sdk_are_signed_and_answered() {
    let (_peer, otlet, address) = start();
    let answer = output(&mut xray(&["sampling", &address.to_string()]), "");
    assert!(answer.contains(r#"["half", 0.5]"#), "{answer}");
    assert!(answer.contains(r#""rate": 0.25"#) && answer.contains(r#""quota": 3"#), "{answer}");
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_xray_proxy_requests_total", &[]), 2.0);
    assert_eq!(metrics.sum("otlet_xray_proxy_failures_total", &[]), 0.0);
}
