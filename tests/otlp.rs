//! OTLP from outside: the exporters of the Python and JavaScript SDKs, and gRPC's own client for
//! what those never send.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use otlet::receive::otlp::{Encoding, Signal};
use support::http2::*;
use support::otlp::{OtlpReceiver, BODY_BYTES_MAX};
use support::{http, program, python, repository};

const BUDGET_BYTES: u64 = 64 << 20;

/// Runs a client to its end; it must succeed.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
}

/// The three exports of one client: each has its resource and what belongs to the signal.
fn expect(otlp: &OtlpReceiver, what: &str, encoding: Encoding, service: &str, names: [&str; 3]) {
    let mut exports = otlp.rest();
    let signals = [Signal::Traces, Signal::Metrics, Signal::Logs];
    for (signal, name) in signals.into_iter().zip(names) {
        let at = exports.iter().position(|export| export.0 == signal);
        let (_, sent_as, body) =
            exports.swap_remove(at.unwrap_or_else(|| panic!("{what}: {signal:?}")));
        assert_eq!(sent_as, encoding, "{what}");
        let text = String::from_utf8_lossy(&body);
        for word in [service, name] {
            assert!(text.contains(word), "{what}: no {word} in {text}");
        }
        match encoding {
            Encoding::Json => assert!(text.starts_with("{\"resource"), "{what}: {text}"),
            Encoding::Protobuf => assert_eq!(body[0], 0x0a, "{what}"),
        }
    }
}

#[test]
fn python_exporters_deliver() {
    let otlp = OtlpReceiver::start(BUDGET_BYTES);
    for (protocol, address) in [("grpc", otlp.grpc), ("http", otlp.http)] {
        for compression in ["none", "gzip"] {
            let script = repository("tests/support/otlp_clients.py");
            let url = format!("http://{address}");
            run(python().arg(script).args([protocol, &url, compression]));
            let what = format!("{protocol} {compression}");
            let names = ["py-span", "py.orders", "py-line"];
            expect(&otlp, &what, Encoding::Protobuf, "py-shop", names);
        }
    }
}

#[test]
fn javascript_exporters_deliver() {
    let otlp = OtlpReceiver::start(BUDGET_BYTES);
    for (protocol, encoding) in
        [("http", Encoding::Json), ("proto", Encoding::Protobuf), ("grpc", Encoding::Protobuf)]
    {
        let address = if protocol == "grpc" { otlp.grpc } else { otlp.http };
        for compression in ["none", "gzip"] {
            let mut node = Command::new(program("node"));
            node.env("NODE_PATH", repository("tests/.peers/node_modules"));
            node.arg(repository("tests/support/otlp_clients.js"));
            run(node.args([protocol, &format!("http://{address}"), compression]));
            let what = format!("{protocol} {compression}");
            expect(&otlp, &what, encoding, "js-shop", ["js-span", "js.orders", "js-line"]);
        }
    }
}

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// gRPC's own client.
struct Grpc {
    process: support::Process,
    answers: BufReader<std::process::ChildStdout>,
}

impl Grpc {
    fn start(address: std::net::SocketAddr) -> Grpc {
        let mut command = python();
        command.arg(repository("tests/support/grpc_client.py")).arg(address.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Grpc { process: support::Process(child), answers }
    }

    /// Makes calls at once; their answers, see the script.
    fn calls(&mut self, count: usize, method: &str, compression: &str, body: &[u8]) -> Vec<String> {
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = if hex.is_empty() { "-" } else { &hex };
        let line = format!("{method} {compression} 20 {count} {hex}\n");
        self.process.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut answer = || {
            let mut line = String::new();
            self.answers.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        (0..count).map(|_| answer()).collect()
    }

    fn call(&mut self, method: &str, compression: &str, body: &[u8]) -> String {
        self.calls(1, method, compression, body).remove(0)
    }
}

#[test]
fn grpc_takes_what_is_odd_and_explains_what_it_refuses() {
    let otlp = OtlpReceiver::start(BUDGET_BYTES);
    let mut grpc = Grpc::start(otlp.grpc);
    for compression in ["NoCompression", "Gzip"] {
        for body in [&b""[..], b"x", &vec![b'y'; 3 << 20], &vec![b'z'; BODY_BYTES_MAX]] {
            assert_eq!(grpc.call(TRACES, compression, body), "OK - - -");
            assert!(otlp.next() == (Signal::Traces, Encoding::Protobuf, body.to_vec()));
        }
        let over = vec![b'x'; BODY_BYTES_MAX + 1];
        let answer = grpc.call(TRACES, compression, &over);
        assert!(answer.starts_with("RESOURCE_EXHAUSTED - - the body is larger"), "{answer}");
    }
    let answer = grpc.call(TRACES, "Deflate", b"x");
    assert!(answer.starts_with("UNIMPLEMENTED - - "), "{answer}");
    for method in ["/x.Y/Export", "/opentelemetry.proto.collector.trace.v1.TraceService/export"] {
        assert!(grpc.call(method, "Gzip", b"x").starts_with("UNIMPLEMENTED - - unknown"));
    }
    assert_eq!(grpc.call(LOGS, "Gzip", b"partly"), "OK 0a0b08011207746f6f206f6c64 - -");
    assert_eq!(grpc.call(LOGS, "Gzip", b"bad"), "INVALID_ARGUMENT - - wei\u{df} nicht");
    let answer = grpc.call(LOGS, "Gzip", b"later");
    assert!(answer.starts_with("UNAVAILABLE - 080e120466756c6c1a"), "{answer}");
    let answers = grpc.calls(500, LOGS, "Gzip", &vec![b'p'; 10_000]);
    assert!(answers.iter().all(|answer| answer == "OK - - -"), "{answers:?}");
}

#[test]
fn a_call_that_does_not_go_on_ends_at_its_own_deadline() {
    let otlp = OtlpReceiver::start(BUDGET_BYTES);
    let mut raw = Raw::connect(otlp.grpc, &[]);
    let timeout = b"\x00\x0cgrpc-timeout\x0350m";
    let head = frame(HEADERS, END_HEADERS, 1, &[&call(TRACES), &timeout[..]].concat());
    raw.send(&[head, frame(DATA, 0, 1, b"\0\0\0\0\x09half")].concat()).unwrap();
    let reset = raw.read_until(RST_STREAM).expect("a reset");
    // RFC 9113 §7: CANCEL.
    assert_eq!((reset.stream, reset.payload.as_slice()), (1, &[0, 0, 0, 8][..]));
    // The connection goes on.
    let head = frame(HEADERS, END_HEADERS, 3, &call(TRACES));
    raw.send(&[head, frame(DATA, END_STREAM, 3, b"\0\0\0\0\x04body")].concat()).unwrap();
    assert_eq!(raw.read_until(DATA).expect("an answer").stream, 3);
    assert_eq!(otlp.next().2, b"body");
    assert!(otlp.rest().is_empty());
}

#[test]
fn a_receiver_without_memory_keeps_serving_what_fits() {
    let otlp = OtlpReceiver::start(2 << 20);
    let mut grpc = Grpc::start(otlp.grpc);
    // More than half of it could never be sure of its room.
    let answer = grpc.call(TRACES, "NoCompression", &vec![0; (1 << 20) + 1]);
    assert!(answer.starts_with("RESOURCE_EXHAUSTED - - "), "{answer}");
    assert_eq!(grpc.call(TRACES, "NoCompression", &vec![7; 1 << 20]), "OK - - -");
    // Twenty at once do not fit; those that are let in are taken whole.
    let answers = grpc.calls(20, LOGS, "NoCompression", &vec![7; 500_000]);
    let taken = answers.iter().filter(|answer| *answer == "OK - - -").count();
    assert!((1..=20).contains(&taken), "{answers:?}");
    assert!(answers.iter().all(|a| a == "OK - - -" || a.starts_with("UNAVAILABLE - 080e")));
    assert_eq!(otlp.rest().len(), 1 + taken);
    let page = http::get(otlp.http, "/v1/traces").unwrap();
    assert_eq!(page.status(), 405);
}
