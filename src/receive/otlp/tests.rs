//! Tests of both servers: raw HTTP/1 by hand, gRPC by this program's client.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::body::tests::gzip;
use super::*;
use crate::codec::base64;
use crate::codec::grpc::prefix;
use crate::net::http2::{Client, Request, Response};
use crate::net::{run, sleep, timeout, ClientConfig, Resolver, Url};

const DEADLINE: Duration = Duration::from_secs(20);
const BODY_BYTES_MAX: usize = 200_000;

type Seen = Rc<RefCell<Vec<(Signal, Encoding, Vec<u8>)>>>;

/// A receiver on free ports, and what its sink got.
struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    seen: Seen,
    registry: Rc<Registry>,
    budget: Rc<Budget>,
    stop: Notify,
    task: crate::net::Task<()>,
}

/// The sink does what the body says.
fn judge(body: &[u8]) -> Answer {
    let status = |code| Status::new(code, "the sink's \u{df} words");
    match body {
        b"partly" => Answer::Taken { rejected: 3, message: "old".to_owned() },
        b"bad" => Answer::Refused(status(Code::InvalidArgument)),
        b"later" => Answer::Refused(Status {
            retry_after: Some(Duration::from_millis(2500)),
            ..status(Code::Unavailable)
        }),
        b"no room" => Answer::Unheld(BodyError::NoRoom),
        b"never" => Answer::Unheld(BodyError::NeverFits),
        _ => Answer::taken(),
    }
}

fn start(signals: Signals, cors: &[&str]) -> Running {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let cors = cors.iter().map(|origin| origin.to_string()).collect();
    let config = Config { grpc: any, http: any, body_bytes_max: BODY_BYTES_MAX, cors };
    let (registry, budget) = (Registry::new(), Budget::new(1 << 20));
    let seen = Seen::default();
    let shared = Rc::clone(&seen);
    let sink = async move |export: Export| {
        let answer = judge(&export.body);
        shared.borrow_mut().push((export.signal, export.encoding, export.body));
        answer
    };
    let otlp = Otlp::open(&config, signals, &registry, &budget, sink).expect("open");
    let (grpc, http) = otlp.addresses();
    let stop = Notify::default();
    let task = spawn(otlp.run(stop.clone()));
    let (grpc, http) = (grpc.expect("grpc"), http.expect("http"));
    Running { grpc, http, seen, registry, budget, stop, task }
}

const ALL: Signals = Signals { metrics: true, traces: true, logs: true };

impl Running {
    /// Runs a blocking client on a thread of its own.
    async fn with<T: Send + 'static>(&self, client: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = std::thread::spawn(client);
        let finished = async {
            while !thread.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, finished).await.expect("in time");
        thread.join().expect("client")
    }

    /// Sends a request by HTTP and reads until the server closes.
    async fn http(&self, head: &str, body: &[u8]) -> String {
        let (addr, head, body) = (self.http, head.to_owned(), body.to_vec());
        self.with(move || {
            let mut socket = TcpStream::connect(addr).expect("connect");
            socket.set_read_timeout(Some(DEADLINE)).expect("deadline");
            let head = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).expect("head");
            let _ = socket.write_all(&body);
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).expect("answer");
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
    }

    /// A POST with a length; `lines` are further headers, each begun by CRLF.
    async fn post(&self, path: &str, content_type: &str, lines: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}{lines}"
        );
        self.http(&head, body).await
    }

    async fn call(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let url = Url::parse(&format!("http://{}", self.grpc)).expect("url");
        let resolver = Rc::new(Resolver::default());
        let mut client = Client::new(&url, &ClientConfig::default(), resolver).expect("client");
        let headers = [&[("te", "trailers"), ("content-type", "application/grpc")], headers];
        let headers = headers.concat();
        let request = Request { path, headers: &headers, body: &[body] };
        timeout(DEADLINE, client.send(&request)).await.expect("in time").expect("an answer")
    }

    fn errors(&self, reason: &str) -> u64 {
        let labels = [("receiver", "otlp"), ("reason", reason)];
        self.registry.counter("otlet_receiver_errors_total", &labels).get()
    }

    fn last_seen(&self) -> Option<(Signal, Encoding, Vec<u8>)> {
        self.seen.borrow_mut().pop()
    }
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

#[test]
fn http_takes_three_signals_in_two_encodings() {
    run(async {
        let otlp = start(ALL, &[]);
        for (path, signal) in [
            ("/v1/metrics", Signal::Metrics),
            ("/v1/traces", Signal::Traces),
            ("/v1/logs", Signal::Logs),
        ] {
            for (content_type, encoding, full) in [
                (PROTOBUF, Encoding::Protobuf, ""),
                ("Application/JSON; charset=utf-8", Encoding::Json, "{}"),
            ] {
                let zip = "\r\nContent-Encoding: gzip";
                for (lines, body) in [("", b"some body".to_vec()), (zip, gzip(b"some body"))] {
                    let answer = otlp.post(path, content_type, lines, &body).await;
                    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                    assert!(answer.ends_with(&format!("\r\n\r\n{full}")), "{answer}");
                    let expected = (signal, encoding, b"some body".to_vec());
                    assert_eq!(otlp.last_seen(), Some(expected));
                }
            }
        }
        let chunks = "POST /v1/logs?x=y HTTP/1.1\r\nContent-Type: application/json\r\n\
                      Transfer-Encoding: chunked\r\nContent-Encoding: identity";
        otlp.http(chunks, b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n").await;
        assert_eq!(otlp.last_seen().expect("seen").2, b"abc");
        otlp.post("/v1/logs", PROTOBUF, "", b"").await;
        assert_eq!(otlp.last_seen().expect("an empty body is one").2, b"");
        assert_eq!(otlp.budget.bytes_used(), 0);
    });
}

#[test]
fn http_says_what_the_sink_says() {
    run(async {
        let otlp = start(ALL, &[]);
        let answer = otlp.post("/v1/metrics", PROTOBUF, "", b"partly").await;
        assert!(answer.contains("200 OK") && answer.ends_with("\x0a\x07\x08\x03\x12\x03old"));
        let answer = otlp.post("/v1/metrics", JSON, "", b"partly").await;
        let expected = r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}"#;
        assert!(answer.ends_with(expected), "{answer}");
        let answer = otlp.post("/v1/traces", JSON, "", b"bad").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("Retry-After"));
        assert!(answer.contains("Content-Type: application/json\r\n"), "{answer}");
        assert!(answer.ends_with("{\"code\":3,\"message\":\"the sink's ß words\"}"), "{answer}");
        let answer = otlp.post("/v1/traces", PROTOBUF, "", b"bad").await;
        assert!(answer.contains("Content-Type: application/x-protobuf\r\n"), "{answer}");
        assert!(answer.ends_with("\x08\x03\x12\x13the sink's ß words"), "{answer}");
        let answer = otlp.post("/v1/traces", JSON, "", b"later").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 3\r\n"));
        assert!(answer.contains("\"retryDelay\":\"2.500000000s\""), "{answer}");
    });
}

#[test]
fn http_refuses_what_it_cannot_take() {
    run(async {
        let otlp = start(Signals { logs: false, ..ALL }, &[]);
        let status = async |head: &str, expected: u16| {
            let answer = otlp.http(head, b"").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{head}: {answer}");
            answer
        };
        status("POST /v1/profiles HTTP/1.1\r\nContent-Type: application/json", 404).await;
        status("POST /v1/logs HTTP/1.1\r\nContent-Type: application/json", 404).await;
        for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
            let answer = status(&format!("{method} /v1/traces HTTP/1.1"), 405).await;
            assert!(answer.contains("Allow: POST\r\n"), "{answer}");
        }
        status("POST /v1/traces HTTP/1.1", 415).await;
        status("POST /v1/traces HTTP/1.1\r\nContent-Type: text/plain", 415).await;
        let answer = otlp.post("/v1/traces", JSON, "\r\nContent-Encoding: zstd", b"x").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("{\"code\":3"), "{answer}");
        let answer = otlp.post("/v1/traces", JSON, "\r\nContent-Encoding: gzip", b"plain").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("not gzip"), "{answer}");
        assert_eq!(otlp.last_seen(), None);
        let counted = ["unknown_path", "no_exporter", "bad_method", "bad_content_type"];
        assert_eq!(counted.map(|reason| otlp.errors(reason)), [1, 1, 4, 2]);
        assert_eq!((otlp.errors("bad_content_encoding"), otlp.errors("malformed")), (1, 1));
    });
}

#[test]
fn http_bodies_are_bounded_in_decompressed_bytes() {
    run(async {
        let otlp = start(ALL, &[]);
        let zip = "\r\nContent-Encoding: gzip";
        let exact = vec![b'x'; BODY_BYTES_MAX];
        for (lines, body) in [("", exact.clone()), (zip, gzip(&exact))] {
            let answer = otlp.post("/v1/traces", JSON, lines, &body).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(otlp.last_seen().is_some_and(|(_, _, body)| body == exact));
        }
        let over = vec![b'x'; BODY_BYTES_MAX + 1];
        let bomb = gzip(&vec![0; 64 << 20]);
        for (lines, body) in [("", &over), (zip, &gzip(&over)), (zip, &bomb)] {
            let answer = otlp.post("/v1/traces", JSON, lines, body).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            assert!(answer.contains("{\"code\":8,") && !answer.contains("Retry-After"), "{answer}");
        }
        // Told before it sends a byte.
        let head = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n\
                    Expect: 100-continue\r\nContent-Length: 200001";
        assert!(otlp.http(head, b"").await.starts_with("HTTP/1.1 413 "));
        assert_eq!((otlp.errors("too_large"), otlp.last_seen()), (4, None));
    });
}

#[test]
fn without_memory_both_say_when_to_come_back() {
    run(async {
        let otlp = start(ALL, &[]);
        let mut full = otlp.budget.reservation();
        full.resize(otlp.budget.bytes_max() - 150_000);
        let head = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n\
                    Expect: 100-continue\r\nContent-Length: 199999";
        let answer = otlp.http(head, b"").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"));
        let body = [&prefix(false, 199_999)[..], &[0; 100]].concat();
        let response = otlp.call(TRACES, &[], &body).await;
        assert_eq!(response.trailer("grpc-status"), Some("14"));
        let details = response.trailer("grpc-status-details-bin").and_then(base64::decode);
        let status = details.and_then(|bytes| Status::from_protobuf(&bytes).ok()).expect("details");
        assert_eq!((status.code, status.retry_after), (Code::Unavailable, Some(DELAY)));
        assert_eq!((otlp.errors("no_room"), otlp.last_seen()), (2, None));
        drop(full);
        // Nor has what a body is turned into.
        let answer = otlp.post("/v1/traces", JSON, "", b"no room").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"));
        let response = otlp.call(TRACES, &[], &message(false, b"no room")).await;
        assert_eq!((response.trailer("grpc-status"), otlp.errors("no_room")), (Some("14"), 4));
        let answer = otlp.post("/v1/traces", JSON, "", b"never").await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("--memory-limit"));
        let response = otlp.call(TRACES, &[], &message(false, b"never")).await;
        assert_eq!((response.trailer("grpc-status"), otlp.errors("too_large")), (Some("8"), 2));
        assert!(otlp.post("/v1/traces", JSON, "", b"x").await.starts_with("HTTP/1.1 200 "));
    });
}

const DELAY: Duration = NO_ROOM_RETRY_AFTER;

#[test]
fn browsers_are_let_in_when_asked_for() {
    run(async {
        let otlp = start(ALL, &["https://*.example"]);
        let ask = "OPTIONS /v1/traces HTTP/1.1\r\nOrigin: https://a.example\r\n\
                   Access-Control-Request-Method: POST";
        let answer = otlp.http(ask, b"").await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let allowed = "Access-Control-Allow-Origin: https://a.example\r\n";
        assert!(answer.contains(allowed), "{answer}");
        for (body, status) in [("x", "200"), ("bad", "400")] {
            let origin = "\r\nOrigin: https://a.example";
            let answer = otlp.post("/v1/traces", JSON, origin, body.as_bytes()).await;
            assert!(answer.contains(status) && answer.contains(allowed), "{answer}");
        }
        let answer = otlp.post("/v1/traces", JSON, "\r\nOrigin: https://b.test", b"x").await;
        assert!(answer.contains("200") && !answer.contains("Allow-Origin"), "{answer}");
    });
}

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

fn message(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    [&prefix(is_compressed, message.len() as u32), message].concat()
}

/// Status and message of an error, which must be trailers alone.
fn trailers_only(response: &Response) -> (&str, &str) {
    assert_eq!((response.status, response.body.len()), (200, 0));
    let field = |name| response.header(name).unwrap_or_default();
    assert_eq!(field("content-type"), "application/grpc");
    (field("grpc-status"), field("grpc-message"))
}

#[test]
fn grpc_takes_three_signals() {
    run(async {
        let otlp = start(ALL, &[]);
        let zip = [("grpc-encoding", "gzip")];
        for (path, signal) in
            [(METRICS, Signal::Metrics), (TRACES, Signal::Traces), (LOGS, Signal::Logs)]
        {
            for (headers, body) in [
                (&[][..], message(false, b"some body")),
                (&zip, message(true, &gzip(b"some body"))),
                (&zip, message(false, b"some body")),
                (
                    &[("grpc-encoding", "identity"), ("grpc-timeout", "9S")],
                    message(false, b"some body"),
                ),
            ] {
                let response = otlp.call(path, headers, &body).await;
                assert_eq!((response.status, response.body.as_slice()), (200, &[0; 5][..]));
                assert_eq!(response.trailer("grpc-status"), Some("0"));
                let expected = (signal, Encoding::Protobuf, b"some body".to_vec());
                assert_eq!(otlp.last_seen(), Some(expected));
            }
        }
        let response = otlp.call(LOGS, &[], &message(false, b"")).await;
        assert_eq!(response.trailer("grpc-status"), Some("0"));
        assert_eq!(otlp.last_seen().expect("an empty message is one").2, b"");
    });
}

#[test]
fn grpc_says_what_the_sink_says() {
    run(async {
        let otlp = start(ALL, &[]);
        let response = otlp.call(LOGS, &[], &message(false, b"partly")).await;
        assert_eq!(response.body, message(false, b"\x0a\x07\x08\x03\x12\x03old"));
        assert_eq!(response.trailer("grpc-status"), Some("0"));
        let response = otlp.call(LOGS, &[], &message(false, b"bad")).await;
        assert_eq!(trailers_only(&response), ("3", "the sink's %C3%9F words"));
        assert_eq!(response.header("grpc-status-details-bin"), None);
        let response = otlp.call(LOGS, &[], &message(false, b"later")).await;
        assert_eq!(trailers_only(&response).0, "14");
        let details = response.header("grpc-status-details-bin").and_then(base64::decode);
        let status = details.and_then(|bytes| Status::from_protobuf(&bytes).ok());
        assert_eq!(status.and_then(|s| s.retry_after), Some(Duration::from_millis(2500)));
    });
}

#[test]
fn grpc_refuses_what_it_cannot_take() {
    run(async {
        let otlp = start(Signals { logs: false, ..ALL }, &[]);
        let refused = async |path: &str, headers: &[(&str, &str)], body: &[u8], code: &str| {
            let response = otlp.call(path, headers, body).await;
            assert_eq!(trailers_only(&response).0, code, "{path} {headers:?} {body:?}");
            response
        };
        let good = message(false, b"x");
        refused("/x.Y/Export", &[], &good, "12").await;
        refused("/opentelemetry.proto.collector.trace.v1.TraceService/export", &[], &good, "12")
            .await;
        refused(LOGS, &[], &good, "12").await;
        let response = refused(TRACES, &[("grpc-encoding", "snappy")], &good, "12").await;
        assert_eq!(response.header("grpc-accept-encoding"), Some("identity,gzip"));
        refused(TRACES, &[("grpc-timeout", "soon")], &good, "13").await;
        refused(TRACES, &[], &message(true, &gzip(b"x")), "13").await;
        refused(TRACES, &[("grpc-encoding", "gzip")], &message(true, b"x"), "3").await;
        refused(TRACES, &[], b"\x07\0\0\0\0", "13").await;
        refused(TRACES, &[], b"", "12").await;
        refused(TRACES, &[], &[&good[..], &good].concat(), "12").await;
        refused(TRACES, &[], &good[..5], "13").await;
        let over = message(false, &vec![0; BODY_BYTES_MAX + 1]);
        let response = refused(TRACES, &[], &over, "8").await;
        assert_eq!(response.header("grpc-status-details-bin"), None, "not to be tried again");
        let bomb = message(true, &gzip(&vec![0; 64 << 20]));
        refused(TRACES, &[("grpc-encoding", "gzip")], &bomb, "8").await;
        assert_eq!(otlp.last_seen(), None);
        let exact = message(false, &vec![0; BODY_BYTES_MAX]);
        assert_eq!(otlp.call(TRACES, &[], &exact).await.trailer("grpc-status"), Some("0"));
    });
}

#[test]
fn other_content_types_on_the_grpc_port_are_told_in_http() {
    run(async {
        let otlp = start(ALL, &[]);
        let url = Url::parse(&format!("http://{}", otlp.grpc)).expect("url");
        let resolver = Rc::new(Resolver::default());
        let mut client = Client::new(&url, &ClientConfig::default(), resolver).expect("client");
        for content_type in ["application/json", "application/grpc-web"] {
            let headers = [("content-type", content_type)];
            let request = Request { path: TRACES, headers: &headers, body: &[b"{}"] };
            let answer = timeout(DEADLINE, client.send(&request)).await.expect("in time");
            assert_eq!(answer.expect("an answer").status, 415);
        }
    });
}

#[test]
fn a_deadline_the_client_set_cancels_the_call() {
    run(async {
        let otlp = start(ALL, &[]);
        let url = Url::parse(&format!("http://{}", otlp.grpc)).expect("url");
        let resolver = Rc::new(Resolver::default());
        let mut client = Client::new(&url, &ClientConfig::default(), resolver).expect("client");
        let headers = [("content-type", "application/grpc"), ("grpc-timeout", "0n")];
        let request = Request { path: TRACES, headers: &headers, body: &[&[0; 5]] };
        let error = timeout(DEADLINE, client.send(&request)).await.expect("in time").unwrap_err();
        assert!(error.to_string().contains("CANCEL"), "{error}");
        assert_eq!(otlp.errors("cut_short"), 1);
    });
}

#[test]
fn it_stops_when_told_to() {
    run(async {
        let Running { stop, task, grpc, http, .. } = start(ALL, &[]);
        stop.notify();
        timeout(DEADLINE, task).await.expect("in time");
        for address in [grpc, http] {
            assert!(TcpStream::connect(address).is_err(), "{address}");
        }
    });
}
