//! The tests' own tools work: without this, a test that finds nothing may have looked nowhere.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use support::http::{get, Message};
use support::json::Json;
use support::otlet::{Metrics, Otlet};
use support::prometheus::Prometheus;
use support::remote_write::RemoteWrite;
use support::scripted::{page, scripted, Answer, HttpServer, Step};
use support::tls::{tls_in_front_of, Authority};
use support::*;

#[test]
fn a_process_is_heard_and_ends() {
    let script = "echo one; echo 'x admin: listening on 127.0.0.1:4242' >&2; kill -STOP $$; exit 3";
    let otlet = Otlet::spawn(Command::new("sh").args(["-c", script]));
    assert_eq!(otlet.admin(), "127.0.0.1:4242".parse().unwrap());
    assert_eq!(otlet.wait_stdout("on"), "one");
    assert_eq!(otlet.status("Threads"), 1);
    otlet.signal(rustix::process::Signal::CONT);
    let exit = otlet.wait();
    assert_eq!((exit.status.code(), exit.stdout.len(), exit.stderr.len()), (Some(3), 1, 1));
}

#[test]
#[should_panic(expected = "no line with \"never\"")]
fn a_line_that_never_comes() {
    Otlet::spawn(Command::new("true").arg("")).wait_log("never");
}

#[test]
#[should_panic(expected = "in vain for rain")]
fn a_condition_that_never_holds() {
    wait_within(Duration::from_millis(20), "rain", || None::<()>);
}

#[test]
fn metrics_are_found_by_labels() {
    let page = "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{xx=\"1\"} 4\nb 1.5e3\n\na{y=\"2\",x=\"1\"} 1\n";
    let metrics = Metrics::parse(page);
    assert_eq!(metrics.sum("a", &[("x", "1"), ("y", "2")]), 4.0);
    assert_eq!(metrics.sum("a", &[]), 8.0);
    assert_eq!((metrics.0["b"], metrics.sum("c", &[])), (1500.0, 0.0));
}

#[test]
fn json() {
    let text = r#" {"a": [1, -2.5e3, "x\n\"\u00e9\ud83d\ude00"], "b": {}, "c": [true, null, []]} "#;
    let json = Json::parse(text);
    assert_eq!(json.get("a").list()[1].number(), -2500.0);
    assert_eq!(json.get("a").list()[2].text(), "x\n\"é😀");
    assert_eq!(json.get("c").list(), [Json::Bool(true), Json::Null, Json::List(vec![])]);
    assert_eq!(*json.get("z"), Json::Null);
}

#[test]
fn scripts_send_stall_drip_flood_and_reset() {
    let answer = b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec();
    let server = scripted(vec![
        vec![Step::Request, Step::Send(answer.clone())],
        vec![Step::Request, Step::Drip(answer, Duration::from_millis(1))],
        vec![Step::Flood(vec![b'x'; 1000], 100_000)],
        vec![Step::Send(b"a".to_vec()), Step::Reset],
        vec![Step::Stall],
    ]);
    assert_eq!(get(server.address, "/").unwrap().text(), "hello");
    assert_eq!(get(server.address, "/").unwrap().text(), "hello");
    let mut stream = TcpStream::connect(server.address).unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 100_000);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(server.connections(), 5);
}

#[test]
fn an_http_server_answers_as_told() {
    let server = HttpServer::page("a 1\n");
    let busy = Message::response(429, "later").with("Retry-After", "2");
    server.next([Answer::Response(busy), Answer::Close, Answer::Reset]);
    let answer = get(server.server.address, "/one").unwrap();
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("2")));
    assert!(get(server.server.address, "/").is_err() && get(server.server.address, "/").is_err());
    assert_eq!(get(server.server.address, "/").unwrap().text(), "a 1\n");
    server.otherwise(page("a 2\n"));
    assert_eq!(get(server.server.address, "/").unwrap().text(), "a 2\n");
    assert_eq!(server.requests()[0].target(), "/one");
}

/// A label, a sample and an exemplar written by hand from the .proto file, and metadata.
#[rustfmt::skip]
const WRITE_REQUEST: &[u8] = &[
    0x0a, 57,
    0x0a, 14, 0x0a, 8, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_', 0x12, 2, b'u', b'p',
    0x0a, 6, 0x0a, 1, b'x', 0x12, 1, b'y',
    0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xe8, 0x07,
    0x1a, 17, 0x0a, 6, 0x0a, 1, b'i', 0x12, 1, b'd', 0x11, 0, 0, 0, 0, 0, 0, 0, 0x40,
    0x1a, 14, 0x08, 2, 0x12, 2, b'u', b'p', 0x22, 3, b'U', b'p', b'.', 0x2a, 1, b's',
];

fn post(address: std::net::SocketAddr, body: &[u8], version: &str) -> Message {
    let request =
        Message { start: String::from("POST /api/v1/write HTTP/1.1"), ..Message::default() }
            .with("host", "x")
            .with("content-type", "application/x-protobuf")
            .with("content-encoding", "snappy")
            .with("x-prometheus-remote-write-version", version);
    let body = snap::raw::Encoder::new().compress_vec(body).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    Message { body, ..request }.write(&mut stream).unwrap();
    Message::read(&mut std::io::BufReader::new(stream)).unwrap().unwrap()
}

#[test]
fn a_fake_receiver_decodes() {
    let receiver = RemoteWrite::start();
    assert_eq!(post(receiver.http.server.address, WRITE_REQUEST, "0.1.0").status(), 204);
    let request = &receiver.requests()[0];
    assert_eq!(request.series[0].samples, [(1000, 1.5)]);
    assert_eq!(request.series[0].exemplars, [(labels(&[("i", "d")]), 0, 2.0)]);
    let metadata = &request.metadata[0];
    assert_eq!((metadata.metric_type, metadata.family.as_str()), (2, "up"));
    assert_eq!((metadata.help.as_str(), metadata.unit.as_str()), ("Up.", "s"));
    let samples = receiver.wait_samples("a sample", |samples| !samples.is_empty());
    assert_eq!(samples[&labels(&[("__name__", "up"), ("x", "y")])], [(1000, 1.5)]);
}

#[test]
fn a_fake_receiver_finds_what_is_wrong() {
    let swapped = [&[0x0a, 12], &[0x0a, 4, 0x0a, 0, 0x12, 0][..], &WRITE_REQUEST[18..24]].concat();
    for (body, version) in
        [(WRITE_REQUEST, "2.0.0"), (&WRITE_REQUEST[..20], "0.1.0"), (&swapped, "0.1.0")]
    {
        let receiver = RemoteWrite::start();
        post(receiver.http.server.address, body, version);
        let request = &receiver.http.requests()[0];
        assert!(remote_write::decode(request).is_err(), "{body:?}");
    }
}

#[test]
fn prometheus_receives_and_answers() {
    let prometheus = Prometheus::start("");
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    // The sample of WRITE_REQUEST without its exemplar, at this time: a varint of six bytes.
    let time: Vec<u8> = (0..6)
        .map(|at| (now_ms >> (7 * at)) as u8 & 0x7f | if at < 5 { 0x80 } else { 0 })
        .collect();
    let body = [&[0x0a, 42][..], &WRITE_REQUEST[2..26], &[0x12, 16], &WRITE_REQUEST[28..38], &time];
    let answer = post(prometheus.address, &body.concat(), "0.1.0");
    assert_eq!(answer.status(), 204, "{}", answer.text());
    let up = labels(&[("__name__", "up"), ("x", "y")]);
    let found = wait_for("the sample", || prometheus.query("up{x=\"y\"}").get(&up).copied());
    assert_eq!(found, 1.5);
    assert_eq!(prometheus.samples("up[5m]")[&up], [(now_ms as f64 / 1000.0, 1.5)]);
}

#[test]
fn real_pages() {
    let text = get(peers::node_exporter().address, "/metrics").unwrap().text();
    assert!(text.contains("node_cpu_seconds_total{"), "{text}");
    let text = get(peers::python_page().address, "/metrics").unwrap().text();
    assert!(text.contains("requests_total{") && text.contains("\\n"), "{text}");
}

#[test]
fn tls_with_an_own_authority() {
    let authority = Authority::new();
    let server = HttpServer::page("a 1\n");
    let key = "rsa:2048";
    let identity = authority.issue("rsa", "DNS:localhost", key);
    let client = authority.issue("client", "DNS:client", key);
    let ca = authority.certificate();
    let flags = ["--version", "1.2", "--client-ca", ca.to_str().unwrap()];
    let front = tls_in_front_of(server.server.address, &identity, &flags);
    let fetch = |more: &[&str]| {
        let mut command = Command::new(program("openssl"));
        command.args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost"]);
        command.arg("-connect").arg(front.address.to_string()).arg("-CAfile").arg(&ca).args(more);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let request = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        // A server that refuses may have closed already.
        let _ = child.stdin.take().unwrap().write_all(request);
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let (certificate, key) = (client.certificate.to_str().unwrap(), client.key.to_str().unwrap());
    assert!(fetch(&["-cert", certificate, "-key", key]).ends_with("a 1\n"));
    assert_eq!(fetch(&[]), "");
    assert_eq!(fetch(&["-cert", certificate, "-key", key, "-tls1_3"]), "");
}

#[test]
fn a_name_server_answers() {
    if !is_root() {
        return eprintln!("skipped: port 53 needs root");
    }
    let server = peers::dnsmasq([127, 0, 0, 77].into(), &["--address=/web.test/127.0.0.9"]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    // RFC 1035, section 4.2.2: two bytes of length, then a query for the address of web.test.
    let query = b"\0\x1a\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\x04test\0\0\x01\0\x01";
    stream.write_all(query).unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(answer))];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(&[127, 0, 0, 9]), "{answer:?}");
}
