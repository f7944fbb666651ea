//! The exporter against a server that stands for X-Ray.

use std::time::Duration;

use super::*;
use crate::aws::environment::tests::environment;
use crate::aws::Aws;
use crate::codec::json::Reader;
use crate::net::http1::{self, Answer, Incoming};
use crate::net::{spawn, timeout, Listener, Task, Url};
use crate::observe::Budget;

const KEYS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIA1"),
    ("AWS_SECRET_ACCESS_KEY", "s3c"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

type Seen = Rc<RefCell<Vec<Vec<String>>>>;

/// Answers with `answers` in turn, the last for ever; keeps the documents of each request.
fn server(answers: Vec<(u16, &'static str)>) -> (Url, Seen, Task<()>) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr())).unwrap();
    let seen = Seen::default();
    let log = Rc::clone(&seen);
    let handler = async move |incoming: &mut Incoming<'_>| {
        let mut body = Vec::new();
        incoming.read_body(&mut body, 1 << 23).await.unwrap();
        assert_eq!(incoming.head().target, "/TraceSegments");
        let authorization = incoming.head().header("authorization").unwrap();
        assert!(authorization.contains("/eu-west-1/xray/aws4_request"), "{authorization}");
        let turn = log.borrow().len().min(answers.len() - 1);
        log.borrow_mut().push(documents_of(&body));
        let (status, text) = answers[turn];
        Answer { status, body: text.into(), ..Answer::default() }
    };
    (url, seen, spawn(http1::serve(listener, handler)))
}

fn documents_of(body: &[u8]) -> Vec<String> {
    let mut reader = Reader::from_bytes(body).unwrap();
    let mut documents = Vec::new();
    assert!(reader.object().unwrap());
    assert_eq!(reader.key().unwrap().unwrap().as_written(), "TraceSegmentDocuments");
    assert!(reader.array().unwrap());
    while reader.element().unwrap() {
        documents.push(reader.string().unwrap().unwrap().decode().into_owned());
    }
    assert!(reader.key().unwrap().is_none());
    reader.end().unwrap();
    documents
}

/// Gives `documents` to an exporter that is then stopped, and waits for its end. Returns what the
/// server saw and the page of metrics.
fn run(
    answers: Vec<(u16, &'static str)>,
    retry_for: Duration,
    give: impl Fn(&Xray) + 'static,
) -> (Vec<Vec<String>>, String) {
    crate::net::run(async move {
        let (registry, queues) = (Registry::new(), Queues::new(Budget::new(1 << 24)));
        let (endpoint, seen, _server) = server(answers);
        let mut config = Config::for_endpoint(endpoint);
        config.pace.retry_for = retry_for;
        let exporter = Xray::new(config, "d", &registry, &queues, 1 << 23);
        let aws = Aws::new(environment(&KEYS), Rc::default());
        let sender = Sender::new(Rc::clone(&exporter), &Rc::default(), &aws).unwrap();
        let task = spawn(sender.run());
        give(&exporter);
        exporter.stop();
        timeout(Duration::from_secs(20), task).await.expect("an end");
        let mut page = String::new();
        registry.render(&mut page);
        (seen.take(), page)
    })
}

fn shows(page: &str, metric: &str, reason: &str, value: u64) {
    let line = page.lines().find(|line| {
        line.starts_with(metric) && (reason.is_empty() || line.contains(&format!("\"{reason}\"")))
    });
    assert!(
        line.is_some_and(|line| line.ends_with(&format!(" {value}"))),
        "{metric} {reason}\n{page}"
    );
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn documents_travel_unchanged_fifty_at_a_time() {
    let (seen, page) = run(vec![(200, "{}")], DAY, |exporter| {
        for number in 0..120 {
            exporter.take(format!("{{\"q\":\"a\\\"\\u00e9\\né\",\"n\":{number}}}\n").as_bytes(), 2);
        }
    });
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(seen[2][19], "{\"q\":\"a\\\"\\u00e9\\né\",\"n\":119}");
    shows(&page, "otlet_exporter_sent_items_total", "", 240);
    shows(&page, "otlet_exporter_queued_items", "", 0);
    shows(&page, "otlet_exporter_queue_bytes", "", 0);
}

#[test]
fn one_bad_document_costs_only_itself() {
    // Three together, the first half, the second, and its halves.
    let answers = vec![(400, "{}"), (200, "{}"), (400, "{}"), (400, "{}"), (200, "{}")];
    let (seen, page) = run(answers, DAY, |exporter| {
        for number in 1..=3 {
            exporter.take(format!("{{\"n\":{number}}}").as_bytes(), number);
        }
    });
    let numbers = |documents: &Vec<String>| documents.concat().replace(['{', '}', '"'], "");
    let seen: Vec<_> = seen.iter().map(numbers).collect();
    assert_eq!(seen, ["n:1n:2n:3", "n:1", "n:2n:3", "n:2", "n:3"]);
    shows(&page, "otlet_exporter_sent_items_total", "", 4);
    shows(&page, "otlet_exporter_dropped_items_total", "refused", 2);
    shows(&page, "otlet_exporter_queue_bytes", "", 0);
}

#[test]
fn spans_become_documents() {
    let (seen, page) = run(vec![(200, "{}")], DAY, |exporter| {
        let mut body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"n",
            "traceId":"67000000abcdefabcdefabcdefabcdef","spanId":"1111111111111111"}]}]}]}"#
            .to_vec();
        let (body, counts) = crate::codec::otlp::from_json(Signal::Traces, &mut body).unwrap();
        exporter.relay(Signal::Traces, &body, counts.items);
    });
    assert!(seen[0][0].contains(r#""trace_id":"1-67000000-abcdefabcdefabcdefabcdef""#), "{seen:?}");
    shows(&page, "otlet_exporter_sent_items_total", "", 1);
}

/// A body of spans with the given ids, of 16 digits or none.
fn body_of(ids: impl Iterator<Item = String>) -> (Vec<u8>, u64) {
    let trace = "67000000abcdefabcdefabcdefabcdef";
    let spans = ids.map(|id| format!(r#"{{"name":"n","traceId":"{trace}","spanId":"{id}"}}"#));
    let spans = spans.collect::<Vec<_>>().join(",");
    let mut body =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#).into_bytes();
    let (body, counts) = crate::codec::otlp::from_json(Signal::Traces, &mut body).unwrap();
    (body, counts.items)
}

#[test]
fn large_bodies_are_translated_in_pieces() {
    let (seen, page) = run(vec![(200, "{}")], DAY, |exporter| {
        let ids = (0..2000).map(|n| if n == 7 { String::new() } else { format!("{:016}", n + 1) });
        let (body, items) = body_of(ids);
        exporter.relay(Signal::Traces, &body, items);
        assert_eq!(exporter.open.borrow().pieces.len(), 0, "whoever gives it does not wait");
    });
    assert_eq!(seen.iter().map(Vec::len).sum::<usize>(), 1999);
    assert!(seen.iter().all(|documents| documents.len() <= DOCUMENTS_MAX));
    shows(&page, "otlet_exporter_items_total", "", 2000);
    shows(&page, "otlet_exporter_sent_items_total", "", 1999);
    shows(&page, "otlet_exporter_dropped_items_total", "no_ids", 1);
    shows(&page, "otlet_exporter_queue_bytes", "", 0);
}

#[test]
fn bodies_have_the_bound_of_the_queue() {
    let registry = Registry::new();
    let queues = Queues::new(Budget::new(1 << 24));
    let endpoint = Url::parse("http://127.0.0.1:9/").unwrap();
    let exporter = Xray::new(Config::for_endpoint(endpoint), "d", &registry, &queues, 8_000);
    let (body, items) = body_of((1..101).map(|id| format!("{id:016}")));
    assert!(body.len() < 4_000 && body.len() > 2_700, "{}", body.len());
    (0..4).for_each(|_| exporter.relay(Signal::Traces, &body, items));
    let mut page = String::new();
    registry.render(&mut page);
    shows(&page, "otlet_exporter_dropped_items_total", "queue_full", 200);
    shows(&page, "otlet_exporter_queued_items", "", 200);
    assert_eq!(exporter.give_up(), 200);
}

#[test]
fn what_is_not_taken_is_counted() {
    let unprocessed = r#"{"UnprocessedTraceSegments":[{"ErrorCode":"x"},{"ErrorCode":"y"}]}"#;
    let (seen, page) = run(vec![(200, unprocessed)], DAY, |exporter| {
        (0..5).for_each(|_| exporter.take(b"{}", 1));
        exporter.take(&vec![b' '; DOCUMENT_BYTES_MAX + 1], 1);
        exporter.take(&vec![b'1'; DOCUMENT_BYTES_MAX + 1], 7);
        exporter.take(b"\xff", 3);
    });
    assert_eq!(seen.len(), 1);
    shows(&page, "otlet_exporter_items_total", "", 16);
    shows(&page, "otlet_exporter_sent_items_total", "", 4);
    shows(&page, "otlet_exporter_dropped_items_total", "rejected", 2);
    shows(&page, "otlet_exporter_dropped_items_total", "too_large", 7);
    shows(&page, "otlet_exporter_dropped_items_total", "malformed", 3);
}

#[test]
fn refusals() {
    let throttled = r#"{"__type":"ThrottledException"}"#;
    let one = |exporter: &Xray| exporter.take(b"{}", 1);
    for (status, text) in
        [(429, ""), (500, ""), (400, throttled), (400, "{\"__type\":\"Throttling\"}")]
    {
        let (seen, page) = run(vec![(status, text), (200, "{}")], DAY, one);
        assert_eq!(seen.len(), 2, "{status} {text}");
        shows(&page, "otlet_exporter_sent_items_total", "", 1);
        shows(&page, "otlet_exporter_retries_total", "", 1);
    }
    for (status, reason) in [(400, "refused"), (413, "too_large"), (403, "unauthorized")] {
        let (_, page) = run(vec![(status, "{}")], DAY, one);
        shows(&page, "otlet_exporter_dropped_items_total", reason, 1);
        shows(&page, "otlet_exporter_queued_items", "", 0);
    }
    let (_, page) = run(vec![(500, "")], Duration::ZERO, one);
    shows(&page, "otlet_exporter_dropped_items_total", "expired", 1);
}
