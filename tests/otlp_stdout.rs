//! Spans and log records from the real SDK, over gRPC and HTTP, to stdout: each is one line, once,
//! and all are accounted for.

mod support;

use support::json::Json;
use support::otlet::Otlet;
use support::{python, repository};

const FROM: &str = "--from-otlp=grpc=127.0.0.1:0 http=127.0.0.1:0";

/// Lets the SDK send to each port; what it says it sent, one line for each item.
fn send(otlet: &Otlet) -> Vec<Vec<String>> {
    let mut sent = Vec::new();
    for protocol in ["grpc", "http"] {
        let line = otlet.wait_log(&format!("otlp: listening for {protocol} on "));
        let url = format!("http://{}", line.rsplit(' ').next().unwrap());
        let mut command = python();
        command.arg(repository("tests/support/otlp_records.py"));
        let output = command.args([protocol, &url, &format!("py-{protocol}")]).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {words}");
        let said = String::from_utf8(output.stdout).unwrap();
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        sent.extend(said.lines().map(words).collect::<Vec<Vec<String>>>());
    }
    assert_eq!(sent.len(), 2 * 601);
    sent
}

/// Waits until everything was written, and checks that everything is accounted for.
fn settle(otlet: &Otlet) {
    for (signal, items) in [("traces", 602.0), ("logs", 600.0)] {
        let signal = [("signal", signal)];
        let sent = "otlet_exporter_sent_items_total";
        let metrics = otlet.wait_metrics("all to be sent", |m| m.sum(sent, &signal) >= items);
        let sum = |name| metrics.sum(name, &signal);
        assert_eq!(sum("otlet_receiver_accepted_items_total"), items);
        assert_eq!(sum("otlet_receiver_items_total"), items);
        assert_eq!(sum("otlet_exporter_items_total"), items);
        assert_eq!(sum(sent), items);
        assert_eq!(sum("otlet_exporter_dropped_items_total"), 0.0);
        assert_eq!(sum("otlet_exporter_queued_items"), 0.0);
    }
}

#[test]
fn a_person_sees_each_span_and_record_once() {
    let otlet = Otlet::start(&[FROM, "--linger=0s"]);
    let sent = send(&otlet);
    settle(&otlet);
    let lines = otlet.stop().stdout;
    assert_eq!(lines.len(), sent.len());
    for item in &sent {
        let (word, name, trace, span) = (&item[0], &item[1], &item[2], &item[3]);
        let ids = format!(" trace={trace} span={span}");
        let is_span = word == "span";
        let is_it = |line: &&String| line.contains(&ids) && line.contains(" SPAN  ") == is_span;
        let found: Vec<&String> = lines.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{item:?}");
        let line = found[0];
        assert_eq!(line.find(' '), Some("12:34:56.789".len()), "{line}");
        assert!(line.contains(" py-grpc ") || line.contains(" py-http "), "{line}");
        assert!(line.contains(name), "{line}");
        if is_span && name != "root" {
            assert!(line.contains(&format!(" client {name} ")), "{line}");
            assert!(line.contains(&format!("{ids} parent={} turn=", item[4])), "{line}");
            assert!(line.contains(r#" "odd text"="a \"b\"\n" "#), "{line}");
            assert_eq!(line.contains(" ERROR no stock "), line.ends_with(" events=1 links=1"));
        } else if !is_span {
            assert!(line.contains(" WARN  py-"), "{line}");
            assert!(line.ends_with(" ids=[1,2]"), "{line}");
        }
    }
}

#[test]
fn a_machine_reads_each_span_and_record_once() {
    let otlet = Otlet::start(&[FROM, "--to-stdout=format=json", "--linger=0s"]);
    let sent = send(&otlet);
    settle(&otlet);
    let lines = otlet.stop().stdout;
    assert_eq!(lines.len(), sent.len());
    let lines: Vec<Json> = lines.iter().map(|line| Json::parse(line)).collect();
    for item in &sent {
        let is_span = item[0] == "span";
        let key = if is_span { "kind" } else { "body" };
        let is_it = |line: &&Json| has(line, key) && line.get("span_id").text() == item[3];
        let found: Vec<&Json> = lines.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{item:?}");
        let line = found[0];
        assert_eq!(line.get("trace_id").text(), item[2]);
        assert_eq!(line.get("time").text().len(), "2023-11-14T22:13:20.123456789Z".len());
        let resource = line.get("resource");
        assert!(resource.get("service.name").text().starts_with("py-"));
        assert_eq!(resource.get("replicas").number(), 2.0);
        assert_eq!(resource.get("zones").list().len(), 2);
        assert_eq!(line.get("scope").get("version").text(), "1.2");
        if !is_span {
            let body = line.get("body");
            let is_text = matches!(body, Json::Text(_));
            let text = if is_text { body.text() } else { body.get("line").text() };
            assert_eq!(text.lines().next(), Some(item[1].as_str()));
            assert_eq!(line.get("severity_number").number(), 13.0);
            continue;
        }
        assert_eq!(line.get("name").text(), item[1]);
        assert!(line.get("duration_ns").number() > 0.0);
        if item[1] != "root" {
            assert_eq!(line.get("parent_span_id").text(), item[4]);
            assert_eq!(line.get("attributes").get("odd text").text(), "a \"b\"\n");
            assert_eq!(line.get("links").list().len(), 1);
            let is_bad = has(line, "status");
            assert_eq!(line.get("events").list().len(), usize::from(is_bad));
            assert!(!is_bad || line.get("events").list()[0].get("name").text() == "exception");
        }
    }
}

fn has(json: &Json, name: &str) -> bool {
    *json.get(name) != Json::Null
}
