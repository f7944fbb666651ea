//! Tests of the server with hand-written clients, over loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::*;
use crate::net::http1::head::REQUEST_HEAD_BYTES_MAX;
use crate::net::{run, spawn, timeout};

const DEADLINE: Duration = Duration::from_secs(10);

/// Bodies above this are refused by [`echo`].
const BODY_BYTES_MAX: usize = 100_000;

/// `/echo` answers with the body, `/ignore` does not read it.
async fn echo(request: &mut Incoming<'_>) -> Answer {
    match (request.head().method.as_str(), request.head().path()) {
        ("POST", "/echo") => {
            let mut body = Vec::new();
            match request.read_body(&mut body, BODY_BYTES_MAX).await {
                Ok(()) => Answer { status: 200, body, ..Answer::default() },
                Err(answer) => answer,
            }
        }
        ("GET" | "HEAD", "/") => Answer::text(200, "fine"),
        ("POST", "/ignore") => Answer { status: 204, ..Answer::default() },
        (_, "/") => Answer::method_not_allowed("GET, HEAD"),
        _ => Answer::text(404, "no such page"),
    }
}

/// Runs `client` on a thread of its own while the server serves.
fn with_server<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    with_waits(Waits::default(), client)
}

fn with_waits<T: Send + 'static>(
    waits: Waits,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
        let addr = listener.local_addr();
        let _server = spawn(serve_until(listener, waits, Notify::default(), echo));
        let thread = std::thread::spawn(move || client(addr));
        let finished = async {
            while !thread.is_finished() {
                crate::net::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, finished).await.expect("in time");
        thread.join().expect("client")
    })
}

fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("connect");
    socket.set_read_timeout(Some(DEADLINE)).expect("deadline");
    socket
}

/// Sends `bytes` in pieces of `size`, then finishes; everything the server said.
fn talk(addr: SocketAddr, bytes: &[u8], size: usize) -> String {
    let mut socket = connect(addr);
    socket.set_nodelay(true).expect("nodelay");
    for piece in bytes.chunks(size) {
        if socket.write_all(piece).is_err() {
            break;
        }
    }
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("answer");
    String::from_utf8(answer).expect("text")
}

fn ok(request: &str, expected: &str) {
    let owned = request.to_owned();
    let answers =
        with_server(move |addr| [1, 3, owned.len()].map(|size| talk(addr, owned.as_bytes(), size)));
    for answer in answers {
        assert_eq!(answer, expected, "{request:?}");
    }
}

/// The status, and that the server closed.
fn bad(request: &str, status: u16) {
    let owned = request.to_owned();
    let answer = with_server(move |addr| talk(addr, owned.as_bytes(), 1 << 20));
    let begin: String = request.chars().take(80).collect();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begin:?}: {answer}");
    assert!(answer.contains("Connection: close\r\n"), "{begin:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{begin:?}: {answer}");
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Length: 5\r\n\r\nfine\n";

#[test]
fn requests_are_answered_in_order() {
    let head = FINE.trim_end_matches("fine\n");
    ok("GET / HTTP/1.1\r\nHost: x\r\n\r\n", FINE);
    ok("\r\nGET / HTTP/1.1\nhost: x\n\n", FINE);
    ok(
        "HEAD /?q HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &format!("{head}{FINE}"),
    );
    let echoed = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let length = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    let chunks = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                  1;y\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    ok(&format!("{length}{chunks}{length}"), &echoed.repeat(3));
    let ignored = length.replace("echo", "ignore") + &chunks.replace("echo", "ignore");
    ok(
        &format!("{ignored}{length}"),
        &format!("{}{echoed}", "HTTP/1.1 204 No Content\r\n\r\n".repeat(2)),
    );
    ok(
        "PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: 15\r\n\r\nonly GET, HEAD\n",
    );
}

#[test]
fn the_connection_ends_when_asked_to() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        bad(request, 200);
    }
}

#[test]
fn malformed_requests_are_refused() {
    bad("hello\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\n\r\n", 400);
    bad("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505);
    bad("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501);
    bad("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400);
    bad("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
    bad("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc", 400);
    let huge = "x".repeat(REQUEST_HEAD_BYTES_MAX);
    bad(&format!("GET / HTTP/1.1\r\nHost: {huge}\r\n\r\n"), 431);
    bad(&format!("GET / HTTP/1.1\r\nHost: {huge}"), 431);
    bad(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(64)), 431);
    let large = "x".repeat(BODY_BYTES_MAX + 1);
    let len = large.len();
    bad(&format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{large}"), 413);
    let chunk = format!("Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{large}\r\n0\r\n\r\n");
    bad(&format!("POST /echo HTTP/1.1\r\nHost: x\r\n{chunk}"), 413);
}

#[test]
fn a_body_declared_too_large_is_refused_before_it_is_sent() {
    let declared = format!("Expect: 100-continue\r\nContent-Length: {}", BODY_BYTES_MAX + 1);
    bad(&format!("POST /echo HTTP/1.1\r\nHost: x\r\n{declared}\r\n\r\n"), 413);
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    let body = "x".repeat(BODY_BYTES_MAX);
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX}\r\n\r\n");
    let request = format!("{head}{body}");
    let answer = with_server(move |addr| talk(addr, request.as_bytes(), 1 << 20));
    assert!(answer.ends_with(&body) && answer.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_client_that_waits_for_permission_gets_it() {
    let answer = with_server(|addr| {
        let mut socket = connect(addr);
        let head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                    Connection: close\r\nContent-Length: 3\r\n\r\n";
        socket.write_all(head.as_bytes()).expect("head");
        let mut interim = [0; 25];
        socket.read_exact(&mut interim).expect("permission");
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        socket.write_all(b"abc").expect("body");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("answer");
        answer
    });
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
}

#[test]
fn idle_connections_give_way_at_the_limit_and_busy_ones_do_not() {
    with_server(|addr| {
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut idle: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(addr)).collect();
        for socket in &mut idle {
            socket.write_all(request).expect("request");
            socket.read_exact(&mut vec![0; FINE.len()]).expect("answer");
        }
        assert_eq!(talk(addr, request, 99), FINE);
        let mut end = Vec::new();
        idle[0].read_to_end(&mut end).expect("the oldest is closed");
        for socket in &mut idle {
            socket.shutdown(Shutdown::Write).expect("shutdown");
            socket.read_to_end(&mut end).expect("the server closes too");
        }
        // Bodies that never come keep their connections busy.
        let waiting =
            b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
        let mut busy: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(addr)).collect();
        for socket in &mut busy {
            socket.write_all(waiting).expect("request");
            socket.read_exact(&mut [0; 25]).expect("permission");
        }
        assert!(talk(addr, b"", 1).starts_with("HTTP/1.1 503 "));
        busy.truncate(1);
        busy[0].write_all(b"y").expect("body");
        let mut answer = [0; 15];
        busy[0].read_exact(&mut answer).expect("answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    });
}

#[test]
fn slow_clients_are_not_waited_for() {
    let waits = Waits { idle_ms_max: 50, head_ms_max: 50, body_ms_max: 50, write_ms_max: 50 };
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    for (sent, expected) in [
        ("", ""),
        ("\r\n", ""),
        ("GET / HTTP/1.1\r\nHo", "HTTP/1.1 408 "),
        (head, "HTTP/1.1 408 "),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", FINE),
    ] {
        let answer = with_waits(waits, move |addr| {
            let mut socket = connect(addr);
            socket.write_all(sent.as_bytes()).expect("request");
            let mut answer = String::new();
            socket.read_to_string(&mut answer).expect("the server closes");
            answer
        });
        assert!(answer.starts_with(expected), "{sent:?}: {answer}");
        assert_eq!(answer.is_empty(), expected.is_empty(), "{sent:?}: {answer}");
    }
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let waits = Waits { write_ms_max: 50, ..Waits::default() };
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX}\r\n\r\n");
    let request = format!("{head}{}", "x".repeat(BODY_BYTES_MAX));
    let sent = with_waits(waits, move |addr| {
        let mut socket = connect(addr);
        socket.set_write_timeout(Some(DEADLINE)).expect("deadline");
        (0..1000).take_while(|_| socket.write_all(request.as_bytes()).is_ok()).count()
    });
    assert!(sent < 1000, "100 MB of answers went nowhere");
}

#[test]
fn a_request_under_way_is_answered_when_the_server_stops() {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
        let addr = listener.local_addr();
        let stop = Notify::default();
        let server = spawn(serve_until(listener, Waits::default(), stop.clone(), echo));
        let (told, is_busy) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || {
            let mut idle = connect(addr);
            let mut busy = connect(addr);
            let head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                        Content-Length: 3\r\n\r\n";
            busy.write_all(head.as_bytes()).expect("head");
            busy.read_exact(&mut [0; 25]).expect("permission");
            told.send(()).expect("told");
            let mut answer = String::new();
            idle.read_to_string(&mut answer).expect("the idle one is closed");
            assert_eq!(answer, "");
            busy.write_all(b"abc").expect("body");
            busy.read_to_string(&mut answer).expect("answer");
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
            assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
        });
        while is_busy.try_recv().is_err() {
            crate::net::sleep(Duration::from_millis(1)).await;
        }
        stop.notify();
        timeout(DEADLINE, server).await.expect("in time");
        client.join().expect("client");
    });
}

#[test]
fn a_request_that_is_here_when_the_server_stops_is_answered() {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
        let mut client = connect(listener.local_addr());
        let stop = Notify::default();
        let server = spawn(serve_until(listener, Waits::default(), stop.clone(), echo));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("first");
        // Answered, and the connection is idle.
        crate::net::sleep(Duration::from_millis(50)).await;
        // In the same turn: the system has the request, the loop does not know.
        client.write_all(b"POST /ignore HTTP/1.1\r\nHost: x\r\n\r\n").expect("second");
        stop.notify();
        timeout(DEADLINE, server).await.expect("in time");
        let mut answers = String::new();
        client.read_to_string(&mut answers).expect("answers");
        assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
        assert!(answers.contains("HTTP/1.1 204 "), "{answers}");
    });
}
