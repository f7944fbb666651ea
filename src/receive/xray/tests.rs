//! The receiver over loopback: datagrams to the sink, and sampling requests to a server that stands
//! for X-Ray.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;
use crate::aws::environment::tests::environment;
use crate::codec::otlp::{validate, Signal};
use crate::net::http1::{Answer, Client, Incoming, Request};
use crate::net::{sleep, timeout, ClientConfig, Url};

const KEYS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIA1"),
    ("AWS_SECRET_ACCESS_KEY", "s3c"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// What the sink was given: the document, how long the body is in spans, the number of spans.
type Given = Rc<RefCell<Vec<(String, Option<u64>, u64)>>>;

struct Fixture {
    registry: Rc<Registry>,
    given: Given,
    address: SocketAddr,
    stop: Notify,
    task: crate::net::Task<()>,
}

impl Fixture {
    fn open(takes: Takes, variables: &[(&str, &str)], upstream: Option<Url>) -> Fixture {
        Fixture::within(4 << 20, takes, variables, upstream)
    }

    /// The same with another memory limit.
    fn within(
        budget_bytes: u64,
        takes: Takes,
        variables: &[(&str, &str)],
        upstream: Option<Url>,
    ) -> Fixture {
        let (registry, given) = (Registry::new(), Given::default());
        let (budget, resolver) = (Budget::new(budget_bytes), Rc::default());
        let aws = Aws::new(environment(variables), Rc::clone(&resolver));
        let spans = ReceiverAccount::new(&registry, "xray", "traces");
        let taken = Rc::clone(&given);
        let sink = move |document: &[u8], body: Option<&[u8]>, count: u64| {
            let spans = body.map(|body| {
                validate(Signal::Traces, &mut body.to_vec()).expect("a valid body").items
            });
            let text = String::from_utf8_lossy(document).into_owned();
            taken.borrow_mut().push((text, spans, count));
        };
        let address = "127.0.0.1:0".parse().unwrap();
        let config = Config { address, upstream, region: None };
        let around = Surroundings {
            registry: &registry,
            budget: &budget,
            aws: &aws,
            resolver: &resolver,
            spans,
            takes,
        };
        let mut receiver = Xray::open(&config, around, sink).unwrap();
        Rc::get_mut(&mut receiver.proxy).unwrap().exchange_max = Duration::from_millis(300);
        receiver.waits.head_ms_max = 50;
        receiver.waits.body_ms_max = 50;
        let (address, stop) = (receiver.address(), Notify::default());
        let task = spawn(receiver.run(stop.clone()));
        Fixture { registry, given, address, stop, task }
    }

    async fn send(&self, document: &str) {
        self.send_bytes(document.as_bytes()).await;
    }

    /// Sends each once the ones before were accepted.
    async fn send_in_turn(&self, documents: [&String; 3]) {
        for (count, document) in (1..).zip(documents) {
            self.send(document).await;
            self.shows(&accepted(count)).await;
        }
    }

    async fn send_bytes(&self, document: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        let mut datagram = b"{\"format\":\"json\",\"version\":1}\n".to_vec();
        datagram.extend_from_slice(document);
        socket.send(&datagram).unwrap();
    }

    /// Waits until the page of metrics has this line.
    async fn shows(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let mut page = String::new();
            self.registry.render(&mut page);
            if page.lines().any(|own| own == line) {
                return;
            }
            assert!(Instant::now() < deadline, "{line} not in\n{page}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) -> Vec<(String, Option<u64>, u64)> {
        self.stop.notify();
        self.task.await;
        self.given.take()
    }

    async fn post(&self, target: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let url = Url::parse(&format!("http://{}/", self.address)).unwrap();
        let mut client = Client::new(&url, &ClientConfig::default(), Rc::default()).unwrap();
        let pieces = [body];
        let request = Request { method: "POST", target, headers, body: Some(&pieces) };
        let answer = async {
            let mut response = client.send(&request).await.unwrap();
            let (mut body, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = response.read(&mut buffer).await {
                body.extend_from_slice(&buffer[..count]);
            }
            (response.status(), String::from_utf8_lossy(&body).into_owned())
        };
        timeout(Duration::from_secs(15), answer).await.expect("an answer")
    }
}

fn segment(id: u32, more: &str) -> String {
    format!(
        r#"{{"name":"n","id":"{id:016}","trace_id":"1-67000000-abcdefabcdefabcdefabcdef",
        "start_time":1{more}}}"#
    )
}

fn accepted(count: u64) -> String {
    format!(r#"otlet_receiver_accepted_items_total{{receiver="xray",signal="traces"}} {count}"#)
}

fn refused(reason: &str, count: u64) -> String {
    format!(
        "otlet_receiver_refused_items_total{{receiver=\"xray\",signal=\"traces\",\
         reason=\"{reason}\"}} {count}"
    )
}

#[test]
fn documents_reach_the_sink_with_their_spans() {
    net_run(async {
        let fixture = Fixture::open(Takes::Spans, &KEYS, None);
        let sub = r#"{"name":"s","id":"00000000000000ff","start_time":1}"#;
        let whole = segment(1, &format!(r#","end_time":2,"subsegments":[{sub},{{}}]"#));
        fixture.send(&whole).await;
        fixture.shows(&accepted(2)).await;
        fixture.shows(&refused("subsegment", 1)).await;
        fixture.send("").await;
        fixture.shows(&refused("empty", 1)).await;
        fixture.send("{").await;
        fixture.shows(&refused("malformed", 1)).await;
        fixture.send("{}").await;
        fixture.shows(&refused("invalid", 1)).await;
        let given = fixture.end().await;
        assert_eq!(given, [(whole, Some(2), 2)]);
    });
}

#[test]
fn without_an_exporter_of_spans_documents_pass_alone() {
    net_run(async {
        let fixture = Fixture::open(Takes::Documents, &KEYS, None);
        let open = segment(1, r#","in_progress":true"#);
        fixture.send(&open).await;
        fixture.shows(&accepted(1)).await;
        assert_eq!(fixture.end().await, [(open, None, 1)]);
    });
}

#[test]
fn without_any_exporter_documents_are_refused() {
    net_run(async {
        let fixture = Fixture::open(Takes::Nothing, &KEYS, None);
        fixture.send(&segment(1, "")).await;
        fixture.shows(&refused("no_exporter", 1)).await;
        assert_eq!(fixture.end().await, []);
    });
}

/// One document in progress gave way to its end.
const SUPERSEDED_ONE: &str = "otlet_pipeline_dropped_items_total{receiver=\"xray\",\
                              signal=\"traces\",reason=\"superseded\"} 1";

#[test]
fn a_segment_in_progress_waits_for_its_end() {
    net_run(async {
        let fixture = Fixture::open(Takes::Spans, &KEYS, None);
        let (open, done) = (segment(1, r#","in_progress":true"#), segment(1, r#","end_time":2"#));
        let left = segment(2, r#","in_progress":true"#);
        fixture.send_in_turn([&open, &left, &done]).await;
        fixture.shows(SUPERSEDED_ONE).await;
        // Documents go at once; spans when they are complete, and at the end.
        let given = fixture.end().await;
        let expected =
            [(open, None, 1), (left, None, 1), (done, Some(1), 1), (String::new(), Some(1), 1)];
        assert_eq!(given, expected);
    });
}

#[test]
fn a_segment_in_progress_that_its_end_overtook_is_no_second_span() {
    net_run(async {
        let fixture = Fixture::open(Takes::Spans, &KEYS, None);
        let (done, late) = (segment(1, r#","end_time":2"#), segment(1, r#","in_progress":true"#));
        let other = segment(2, r#","end_time":2"#);
        fixture.send_in_turn([&done, &late, &other]).await;
        fixture.shows(SUPERSEDED_ONE).await;
        // The document passes, since X-Ray itself knows which of the two is the later one.
        let expected = [(done, Some(1), 1), (late, None, 1), (other, Some(1), 1)];
        assert_eq!(fixture.end().await, expected);
    });
}

#[test]
fn text_that_is_no_utf8_is_repaired() {
    net_run(async {
        let fixture = Fixture::open(Takes::Spans, &KEYS, None);
        let mut bytes = segment(1, r#","user":"a#b#""#).into_bytes();
        bytes.iter_mut().filter(|byte| **byte == b'#').for_each(|byte| *byte = 0xff);
        fixture.send_bytes(&bytes).await;
        fixture.shows(&accepted(1)).await;
        fixture.shows("otlet_receiver_repaired_strings_total{receiver=\"xray\"} 2").await;
        let given = fixture.end().await;
        assert_eq!(given, [(segment(1, r#","user":"a?b?""#), Some(1), 1)]);
    });
}

#[test]
fn the_largest_datagram_passes_and_what_does_not_end_is_refused() {
    net_run(async {
        let fixture = Fixture::open(Takes::Spans, &KEYS, None);
        let room = 65_507 - "{\"format\":\"json\",\"version\":1}\n".len();
        let frame = segment(1, r#","user":"""#).len();
        let largest = segment(1, &format!(r#","user":"{}""#, "u".repeat(room - frame)));
        assert_eq!(largest.len(), room);
        fixture.send(&largest).await;
        fixture.shows(&accepted(1)).await;
        fixture.send(&largest[..room - 1]).await;
        fixture.shows(&refused("malformed", 1)).await;
        let deep = segment(1, &format!(r#","x":{}"#, "[".repeat(20_000)));
        fixture.send(&deep).await;
        fixture.shows(&refused("malformed", 2)).await;
        assert_eq!(fixture.end().await.len(), 1);
    });
}

#[test]
fn what_is_held_ends_with_the_memory() {
    net_run(async {
        let fixture = Fixture::within(4_000, Takes::Spans, &KEYS, None);
        for id in 1..=9 {
            let more = format!(r#","in_progress":true,"user":"{}""#, "u".repeat(800));
            fixture.send(&segment(id, &more)).await;
            fixture.shows(&accepted(id.into())).await;
        }
        fixture.shows("otlet_xray_released_segments_total{reason=\"memory\"} 5").await;
        fixture.shows("otlet_xray_held_segments 4").await;
        assert_eq!(fixture.end().await.iter().filter(|(_, body, _)| body.is_some()).count(), 9);
    });
}

/// A server that stands for X-Ray: shows the request, and answers what `answer` says.
fn upstream(answer: Answer) -> (Url, Rc<RefCell<Vec<String>>>, crate::net::Task<()>) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr())).unwrap();
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let log = Rc::clone(&seen);
    let handler = async move |incoming: &mut Incoming<'_>| {
        let mut body = Vec::new();
        incoming.read_body(&mut body, 1 << 21).await.unwrap();
        let head = incoming.head();
        let mut text = format!("{} {}\n", head.method, head.target);
        for (name, value) in head.fields.iter() {
            text.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase()));
        }
        text.push_str(&String::from_utf8_lossy(&body));
        log.borrow_mut().push(text);
        answer.clone()
    };
    (url, seen, spawn(http1::serve(listener, handler)))
}

#[test]
fn sampling_requests_are_signed_and_passed_on() {
    net_run(async {
        let rules = Answer {
            status: 200,
            content_type: "application/json",
            headers: "x-amzn-RequestId: r\r\nSet-Cookie: no\r\n".to_owned(),
            body: b"{\"SamplingRuleRecords\":[]}".to_vec(),
        };
        let (url, seen, _server) = upstream(rules);
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        let headers = "Content-Type: application/json\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\
                       Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAuthorization: Basic eDp5\r\n\
                       X-Amz-Date: never\r\nX-Amz-Security-Token: t\r\nAccept-Encoding: gzip\r\n";
        for _ in 0..2 {
            let (status, body) = fixture.post("/GetSamplingRules?a=1", headers, b"{}").await;
            assert_eq!((status, body.as_str()), (200, "{\"SamplingRuleRecords\":[]}"));
        }
        let seen = seen.take();
        assert_eq!(seen.len(), 2);
        let first = &seen[0];
        for line in
            ["POST /GetSamplingRules?a=1", "content-type: application/json", "x-own: 1", "{}"]
        {
            assert!(first.lines().any(|own| own == line), "{line} not in\n{first}");
        }
        let scope = "authorization: AWS4-HMAC-SHA256 Credential=AKIA1/";
        assert!(first.contains(scope) && first.contains("/eu-west-1/xray/aws4_request"), "{first}");
        for gone in ["x-hop", "keep-alive:", "basic", "never", "x-amz-security-token", "gzip"] {
            assert!(!first.to_ascii_lowercase().contains(gone), "{gone} in\n{first}");
        }
        drop(fixture.end().await);
    });
}

#[test]
fn what_cannot_be_passed_on_is_answered() {
    net_run(async {
        // No credentials anywhere.
        let nobody = [KEYS[2], KEYS[3]];
        let (url, seen, _server) = upstream(Answer::text(200, ""));
        let fixture = Fixture::open(Takes::Spans, &nobody, Some(url));
        let (status, body) = fixture.post("/SamplingTargets", "", b"{}").await;
        assert!(status == 503 && body.starts_with("{\"message\":\""), "{status} {body}");
        assert!(seen.borrow().is_empty());
        drop(fixture.end().await);
        // No region anywhere.
        let fixture = Fixture::open(Takes::Spans, &[KEYS[0], KEYS[1], KEYS[3]], None);
        let (status, body) = fixture.post("/SamplingTargets", "", b"{}").await;
        assert!(status == 503 && body.contains("region"), "{status} {body}");
        drop(fixture.end().await);
        // Nobody listens.
        let free = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr();
        let url = Url::parse(&format!("http://{free}/")).unwrap();
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        let (status, body) = fixture.post("/SamplingTargets", "", b"{}").await;
        assert!(status == 502 && body.starts_with("{\"message\":\""), "{status} {body}");
        fixture.shows("otlet_xray_proxy_failures_total 1").await;
        // Too long.
        let long = vec![b' '; proxy::REQUEST_BYTES_MAX + 1];
        assert_eq!(fixture.post("/SamplingTargets", "", &long).await.0, 413);
        drop(fixture.end().await);
        // A refusal of X-Ray passes as it is.
        let denied =
            Answer { status: 400, body: b"{\"Message\":\"x\"}".to_vec(), ..Answer::default() };
        let (url, seen, _server) = upstream(denied);
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        let (status, body) = fixture.post("/Anything", "", b"").await;
        assert_eq!((status, body.as_str()), (400, "{\"Message\":\"x\"}"));
        assert_eq!(seen.borrow().len(), 1);
        drop(fixture.end().await);
    });
}

#[test]
fn long_bodies_pass_as_far_as_there_is_memory() {
    net_run(async {
        let long = "x".repeat(proxy::REQUEST_BYTES_MAX);
        let answer = Answer { status: 200, body: long.clone().into(), ..Answer::default() };
        let (url, seen, _server) = upstream(answer);
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url.clone()));
        let (status, _) = fixture.post("/GetSamplingRules", "", long.as_bytes()).await;
        assert_eq!((status, seen.borrow().len()), (200, 1));
        assert!(seen.borrow()[0].ends_with(&long));
        drop(fixture.end().await);
        // Neither the request finds room nor, where that is short, the answer.
        let fixture = Fixture::within(100_000, Takes::Spans, &KEYS, Some(url));
        for body in [&long[..], "{}"] {
            let (status, text) = fixture.post("/GetSamplingRules", "", body.as_bytes()).await;
            assert!(status == 503 && text.contains("memory limit"), "{status} {text}");
        }
        assert_eq!(seen.borrow().len(), 2);
        drop(fixture.end().await);
    });
}

#[test]
fn a_body_of_unknown_length_has_the_same_bound() {
    net_run(async {
        let (url, seen, _server) = upstream(Answer::text(200, "{}"));
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        for (bytes, status) in [(proxy::REQUEST_BYTES_MAX, "200"), (1 + (1 << 20), "413")] {
            let address = fixture.address;
            let client = std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let head = "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
                            Transfer-Encoding: chunked\r\n\r\n";
                let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
                stream.write_all((head.to_owned() + &body).as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            while !client.is_finished() {
                sleep(Duration::from_millis(5)).await;
            }
            let answer = client.join().unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert_eq!(seen.borrow().len(), 1);
        drop(fixture.end().await);
    });
}

#[test]
fn a_client_that_never_finishes_costs_nobody_else() {
    net_run(async {
        let (url, seen, _server) = upstream(Answer::text(200, ""));
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        let parts = [
            "POST /Get",
            "POST /GetSamplingRules HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
        ];
        for part in parts {
            let mut client = TcpStream::connect(fixture.address).unwrap();
            client.write_all(part.as_bytes()).unwrap();
            client.set_nonblocking(true).unwrap();
            assert_eq!(fixture.post("/SamplingTargets", "", b"{}").await.0, 200);
            let (mut answer, deadline) = ([0; 256], Instant::now() + Duration::from_secs(10));
            let count = loop {
                match client.read(&mut answer) {
                    Ok(count) => break count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                assert!(Instant::now() < deadline, "no answer to {part}");
                sleep(Duration::from_millis(2)).await;
            };
            let answer = String::from_utf8_lossy(&answer[..count]);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        assert_eq!(seen.borrow().len(), 2);
        drop(fixture.end().await);
    });
}

#[test]
fn an_answer_that_never_comes_is_answered_for() {
    net_run(async {
        // Accepted by the kernel, and by nobody else.
        let silent = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = Url::parse(&format!("http://{}/", silent.local_addr())).unwrap();
        let fixture = Fixture::open(Takes::Spans, &KEYS, Some(url));
        let (status, body) = fixture.post("/GetSamplingRules", "", b"").await;
        assert!(status == 502 && body.contains("no answer within"), "{status} {body}");
        drop(fixture.end().await);
    });
}

/// Runs a test's future on the loop.
fn net_run(test: impl std::future::Future<Output = ()>) {
    crate::net::run(test);
}
