//! Tests of the client against servers that follow a script, over loopback.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;
use crate::net::http1::response::DRAIN_BYTES_MAX;
use crate::net::{run, timeout};

const DEADLINE: Duration = Duration::from_secs(10);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Serves one connection after another: for each reply of its list, reads a request and sends the
/// reply in pieces of `size`; then closes. Returns the requests.
fn script(size: usize, connections: &[&[&str]]) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    let connections: Vec<Vec<String>> =
        connections.iter().map(|c| c.iter().map(|r| (*r).to_owned()).collect()).collect();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for replies in connections {
            let (mut socket, _) = listener.accept().expect("accept");
            socket.set_read_timeout(Some(DEADLINE)).expect("deadline");
            socket.set_nodelay(true).expect("nodelay");
            for reply in replies {
                let Some(request) = read_request(&mut socket) else { break };
                requests.push(request);
                for piece in reply.as_bytes().chunks(size) {
                    if socket.write_all(piece).is_err() {
                        break;
                    }
                }
            }
        }
        requests
    });
    (Url::parse(&url).expect("url"), server)
}

fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(len) = head_len(&bytes, 0) {
            let head = crate::net::http1::RequestHead::parse(&bytes[..len]).expect("head");
            let body = head.header("content-length").map_or(0, |n| n.parse().expect("length"));
            if bytes.len() >= len + body {
                return String::from_utf8(bytes).ok();
            }
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer) {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

fn client(url: &Url) -> Client {
    Client::new(url, &ClientConfig::default(), Rc::default()).expect("client")
}

const GET: Request<'_> = Request { method: "GET", target: "/m", headers: "A: b\r\n", body: None };

async fn fetch(client: &mut Client, request: &Request<'_>) -> Result<(u16, String), Error> {
    let exchange = async {
        let mut response = client.send(request).await?;
        let mut body = Vec::new();
        let mut buffer = [0; 7];
        loop {
            match response.read(&mut buffer).await? {
                0 => return Ok((response.status(), String::from_utf8_lossy(&body).into_owned())),
                count => body.extend_from_slice(&buffer[..count]),
            }
        }
    };
    timeout(DEADLINE, exchange).await.expect("in time")
}

fn ok(reply: &str, status: u16, body: &str, is_kept: bool) {
    for size in [1, 2, 5, reply.len()] {
        let (url, server) = script(size, &[&[reply]]);
        let mut client = client(&url);
        let result = run(fetch(&mut client, &GET));
        assert_eq!(result, Ok((status, body.to_owned())), "{reply:?} by {size}");
        assert_eq!(client.is_idle_connection(), is_kept, "{reply:?} by {size}");
        server.join().expect("server");
    }
}

fn bad(reply: &str, kind: ErrorKind, message: &str) {
    for size in [100, reply.len().max(1)] {
        let (url, server) = script(size, &[&[reply]]);
        let mut client = client(&url);
        let error = run(fetch(&mut client, &GET)).expect_err(message);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.to_string().starts_with(client.authority()), "{error}");
        assert!(!client.is_idle_connection());
        drop(client);
        server.join().expect("server");
    }
}

#[test]
fn good_answers() {
    ok(OK, 200, "hi", true);
    ok("HTTP/1.1 200\ncontent-length: 2\n\nhi", 200, "hi", true);
    ok("HTTP/1.1 204 No\r\n\r\n", 204, "", true);
    ok("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false);
    ok("HTTP/1.0 200 OK\r\n\r\nall of it", 200, "all of it", false);
    ok("HTTP/1.1 200 OK\r\n\r\n", 200, "", false);
    ok("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n", 204, "", true);
    let chunked = "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;x\r\nabc\r\n14\r\n01234567890123456789\r\n0\r\nT: x\r\n\r\n";
    ok(chunked, 404, "abc01234567890123456789", true);
}

#[test]
fn bytes_after_the_answer_end_the_connection() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!",
        "HTTP/1.1 204 N\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
    ] {
        let (url, server) = script(4096, &[&[reply]]);
        let mut client = client(&url);
        assert!(run(fetch(&mut client, &GET)).is_ok());
        assert!(!client.is_idle_connection());
        server.join().expect("server");
    }
}

#[test]
fn bad_answers() {
    use ErrorKind::{Closed, Protocol};
    bad("", Closed, "without an answer");
    bad("HTTP/1.1 2", Closed, "after 10 bytes of the response head");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", Closed, "before the body's end");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    bad(&format!("{chunked}3\r\nabc\r\n"), Closed, "before the body's end");
    bad(&format!("{chunked}3\r\nabc\r\n0\r\n"), Closed, "before the body's end");
    bad(&format!("{chunked}zz\r\n"), Protocol, "chunk size");
    bad("SSH-2.0-OpenSSH\r\n", Protocol, "not HTTP: \"SSH-2.0");
    bad("\x15\x03\x01\0\x02\x02\x16", Protocol, "is it https://?");
    bad("HTTP/1.1 101 Switching\r\n\r\n", Protocol, "unasked");
    let huge = "x".repeat(RESPONSE_HEAD_BYTES_MAX);
    bad(&format!("HTTP/1.1 200 OK\r\nA: {huge}\r\n\r\n"), Protocol, "longer than 16384");
    bad(&format!("HTTP/1.1 200 OK\r\nA: {huge}"), Protocol, "longer than 16384");
    bad(&"HTTP/1.1 100 C\r\n\r\n".repeat(INTERIM_MAX + 1), Protocol, "8 interim");
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    bad(twice, Protocol, "differs");
}

#[test]
fn one_connection_serves_many_requests() {
    let (url, server) = script(4096, &[&[OK, OK, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]]);
    let mut client = client(&url);
    run(async {
        let post = Request { body: Some(&[b"ab", b"", b"cde"]), method: "POST", ..GET };
        assert_eq!(fetch(&mut client, &post).await, Ok((200, "hi".to_owned())));
        let empty = Request { method: "POST", ..GET };
        assert_eq!(fetch(&mut client, &empty).await, Ok((200, "hi".to_owned())));
        let head = Request { method: "HEAD", headers: "", ..GET };
        assert_eq!(fetch(&mut client, &head).await, Ok((200, String::new())));
        assert!(client.is_idle_connection());
    });
    let requests = server.join().expect("server");
    let host = client.authority();
    let lead = format!(" /m HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n");
    let expected = [
        format!("POST{lead}A: b\r\nContent-Length: 5\r\n\r\nabcde"),
        format!("POST{lead}A: b\r\nContent-Length: 0\r\n\r\n"),
        format!("HEAD{lead}\r\n"),
    ];
    assert_eq!(requests, expected);
}

#[test]
fn a_dead_kept_connection_is_replaced_at_once() {
    // The first server's connection ends with the second request read and unanswered.
    let (url, server) = script(4096, &[&[OK, ""], &[OK]]);
    let mut client = client(&url);
    run(async {
        assert!(fetch(&mut client, &GET).await.is_ok());
        assert_eq!(fetch(&mut client, &GET).await, Ok((200, "hi".to_owned())));
    });
    assert_eq!(server.join().expect("server").len(), 3);
}

#[test]
fn a_fresh_connection_is_not_tried_twice() {
    let (url, server) = script(4096, &[&[""]]);
    let error = run(fetch(&mut client(&url), &GET)).expect_err("closed");
    assert_eq!(error.kind, ErrorKind::Closed);
    assert_eq!(server.join().expect("server").len(), 1);
}

#[test]
fn a_dropped_exchange_closes_its_connection() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{}", "x".repeat(299));
    let (url, server) = script(4096, &[&[long.as_str(), OK], &[OK]]);
    let mut client = client(&url);
    run(async {
        let mut response = client.send(&GET).await.expect("head");
        let mut buffer = [0; 400];
        let read = async { while response.read(&mut buffer).await.expect("part") > 0 {} };
        assert!(timeout(Duration::from_millis(20), read).await.is_err());
        drop(response);
        assert!(!client.is_idle_connection());
        assert_eq!(fetch(&mut client, &GET).await, Ok((200, "hi".to_owned())));
    });
    drop(client);
    assert_eq!(server.join().expect("server").len(), 2);
}

#[test]
fn a_short_rest_is_drained_and_a_long_one_is_not() {
    for (rest, is_kept) in [(DRAIN_BYTES_MAX, true), (3 * DRAIN_BYTES_MAX, false)] {
        let body = "x".repeat(rest);
        let reply = format!("HTTP/1.1 500 No\r\nContent-Length: {rest}\r\n\r\n{body}");
        let (url, server) = script(1 << 20, &[&[reply.as_str()]]);
        let mut client = client(&url);
        run(async {
            client.send(&GET).await.expect("head").finish().await;
        });
        assert_eq!(client.is_idle_connection(), is_kept, "{rest}");
        drop(client);
        server.join().expect("server");
    }
}

#[test]
fn an_early_refusal_is_returned_while_the_body_is_still_being_sent() {
    for is_reset in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("address")));
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("accept");
            socket.read_exact(&mut [0; 100]).expect("begin");
            let reply = b"HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nbig";
            socket.write_all(reply).expect("reply");
            if is_reset {
                drop(socket);
            }
            // Until the client is done, however it fared.
            let _ = wait.recv();
        });
        let mut client = client(&url.expect("url"));
        let piece = vec![0; 32 << 20];
        let body: &[&[u8]] = &[&piece];
        let request = Request { method: "POST", body: Some(body), ..GET };
        let result = run(fetch(&mut client, &request));
        assert_eq!(result, Ok((413, "big".to_owned())), "reset: {is_reset}");
        assert!(!client.is_idle_connection());
        drop(done);
        server.join().expect("server");
    }
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://localhost:{}/", listener.local_addr().expect("address").port());
    drop(listener);
    let error =
        run(fetch(&mut client(&Url::parse(&url).expect("url")), &GET)).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Connect);
    let told = error.to_string();
    let lead = format!("{}: connect to 127.0.0.1, ::1: Connection refused", &url[7..url.len() - 1]);
    assert!(told.starts_with(&lead), "{told}");
    assert_eq!(error.after(&url), told[told.find("connect").unwrap_or(0)..]);
}

#[test]
fn a_proxy_gets_the_absolute_form_or_connect() {
    let (proxy, server) = script(4096, &[&[OK], &["HTTP/1.1 407 Who\r\n\r\n"]]);
    let config = ClientConfig { proxy: Some(proxy), ..ClientConfig::default() };
    for (url, expected) in [
        ("http://far.example:81/x", Ok((200, "hi".to_owned()))),
        ("https://far.example/x", Err("CONNECT far.example:443: answered 407")),
    ] {
        let url = Url::parse(url).expect("url");
        let mut client = Client::new(&url, &config, Rc::default()).expect("client");
        let result = run(fetch(&mut client, &GET));
        match expected {
            Ok(expected) => assert_eq!(result, Ok(expected)),
            Err(text) => assert!(result.expect_err(text).to_string().contains(text)),
        }
    }
    let requests = server.join().expect("server");
    let absolute = "GET http://far.example:81/m HTTP/1.1\r\nHost: far.example:81\r\n";
    assert!(requests[0].starts_with(absolute), "{}", requests[0]);
    assert!(requests[1].starts_with("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443"));
}

#[test]
fn idle_connections_are_closed_in_time() {
    let (url, server) = script(4096, &[&[OK]]);
    let mut client = client(&url);
    run(async {
        assert!(fetch(&mut client, &GET).await.is_ok());
        client.close_if_idle(Duration::from_secs(60));
        assert!(client.is_idle_connection());
        if let Some(idle) = &mut client.idle {
            idle.since -= Duration::from_millis(IDLE_MS_MAX + 1);
        }
        assert!(client.take_idle().await.is_none());
        assert!(!client.is_idle_connection());
    });
    server.join().expect("server");
}

#[test]
fn random_answers_neither_panic_nor_hang() {
    let words: [&[u8]; 12] = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 ",
        b"100 C\r\n\r\n",
        b"\r\n",
        b"\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"x: y\r\n",
        b"\xff\0",
        b"abc",
    ];
    let mut state = 7_u64;
    for round in 0..20_000 {
        let mut reader = HeadReader::default();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            reader.bytes.extend_from_slice(words[(state >> 40) as usize % words.len()]);
            match reader.take_head() {
                Ok(None) => {}
                Ok(Some(head)) => {
                    assert!(head.status >= 200, "round {round}");
                    let Ok(framing) = head.framing("GET") else { break };
                    let mut decoder = crate::net::http1::body::BodyDecoder::new(framing);
                    let _ = decoder.compact(&mut reader.bytes);
                    break;
                }
                Err(reason) => {
                    assert!(!reason.contains('\n'), "round {round}: {reason}");
                    break;
                }
            }
        }
    }
}

#[test]
fn what_comes_unasked_is_nobodys_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("address")));
    let (idle, is_idle) = std::sync::mpsc::channel();
    let (sent, is_sent) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("accept");
        read_request(&mut first).expect("request");
        first.write_all(OK.as_bytes()).expect("answer");
        is_idle.recv_timeout(DEADLINE).expect("idle");
        first.write_all(b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n").expect("unasked");
        sent.send(()).expect("sent");
        let (mut second, _) = listener.accept().expect("accept");
        read_request(&mut second).expect("request");
        second.write_all(OK.as_bytes()).expect("answer");
    });
    let mut client = client(&url.expect("url"));
    run(async {
        assert!(fetch(&mut client, &GET).await.is_ok());
        idle.send(()).expect("idle");
        is_sent.recv_timeout(DEADLINE).expect("sent");
        assert_eq!(fetch(&mut client, &GET).await, Ok((200, "hi".to_owned())));
    });
    server.join().expect("server");
}
