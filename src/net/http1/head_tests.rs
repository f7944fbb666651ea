//! Tests of heads.

use super::*;

fn response(text: &str) -> Result<ResponseHead, HeadError> {
    assert_eq!(head_len(text.as_bytes(), 0), Some(text.len()), "{text:?}");
    ResponseHead::parse(text.as_bytes())
}

/// Parses `text` and tells status, framing of a GET, and whether the connection stays.
fn ok(text: &str, status: u16, framing: Framing, keep: bool) {
    let head = response(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let got = (head.status, head.framing("GET"), head.is_keep_alive());
    assert_eq!(got, (status, Ok(framing), keep), "{text:?}");
}

fn bad(text: &str, reason: &str) {
    let result = response(text).and_then(|head| head.framing("GET"));
    let error = result.expect_err(text);
    assert!(error.reason.contains(reason), "{text:?}: {error}");
}

#[test]
fn responses() {
    use Framing::*;
    ok("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, Length(5), true);
    ok("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", 200, Empty, true);
    ok("HTTP/1.1 200 \r\ncontent-length: 5, 5\r\ncontent-length:5\r\n\r\n", 200, Length(5), true);
    ok("HTTP/1.1 200 OK\nContent-Length: 5\n\n", 200, Length(5), true);
    ok("\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n", 200, Length(5), true);
    ok("HTTP/1.1 200 OK\r\ntransfer-ENCODING: Chunked\r\n\r\n", 200, Chunked, true);
    ok(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        200,
        Chunked,
        false,
    );
    ok("HTTP/1.1 200 OK\r\n\r\n", 200, UntilClose, true);
    ok("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, Empty, true);
    ok("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", 304, Empty, true);
    ok("HTTP/1.1 200 OK\r\nConnection: a , CLOSE\r\n\r\n", 200, UntilClose, false);
    ok("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, Length(1), false);
    ok(
        "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n",
        200,
        Length(1),
        true,
    );
    let head = response("HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nB:  x \r\nC: \x7f\r\n\r\n");
    assert!(head.is_err(), "control characters");
    let head = response("HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nB:  x \r\n\r\n").expect("head");
    assert_eq!((head.fields.get("a"), head.fields.get("b")), (Some("1"), Some("x")));
    assert_eq!(head.fields.get("c"), None);
    assert_eq!(head.framing("HEAD"), Ok(Empty));
}

#[test]
fn bad_responses() {
    bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "differs");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\n", "not a number");
    bad("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "not a number");
    bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "not a number");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "not a number");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked");
    bad("HTTP/1.1 20 OK\r\n\r\n", "status");
    bad("HTTP/1.1 099 OK\r\n\r\n", "status 99");
    bad("HTTP/2.0 200 OK\r\n\r\n", "HTTP/1");
    bad("hello\r\n\r\n", "");
    bad("HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n", "");
    bad("HTTP/1.1 200 OK\r\nA b: 1\r\n\r\n", "");
    bad(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1)), "64 headers");
    let most = "a: b\r\n".repeat(HEADERS_MAX);
    assert!(response(&format!("HTTP/1.1 200 OK\r\n{most}\r\n")).is_ok());
}

fn request(text: &str) -> Result<(RequestHead, Framing), u16> {
    let head = RequestHead::parse(text.as_bytes()).map_err(|error| error.status)?;
    let framing = head.framing().map_err(|error| error.status)?;
    Ok((head, framing))
}

#[test]
fn requests() {
    let (head, framing) = request("GET /a?b=c?d HTTP/1.1\r\nHost: x\r\n\r\n").expect("request");
    assert_eq!((head.path(), head.query()), ("/a", Some("b=c?d")));
    assert_eq!(
        (head.method.as_str(), framing, head.is_keep_alive()),
        ("GET", Framing::Empty, true)
    );
    let (head, _) = request("GET http://x/y?z HTTP/1.1\r\nhost: x\r\n\r\n").expect("request");
    assert_eq!(head.target, "/y?z");
    let (head, framing) =
        request("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\ncontent-length: 7\r\n\r\n")
            .expect("request");
    assert!(head.expects_continue());
    assert_eq!(framing, Framing::Length(7));
    let (head, _) = request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("request");
    assert!(!head.is_keep_alive());
}

#[test]
fn bad_requests() {
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501),
    ] {
        assert_eq!(request(text).err(), Some(status), "{text:?}");
    }
}

#[test]
fn the_end_of_a_head_is_found_however_it_arrives() {
    let whole = b"\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\n\n";
    let end = whole.len() - 6;
    for first in 0..=whole.len() {
        let found = head_len(&whole[..first], 0);
        assert_eq!(found, (first >= end).then_some(end), "{first}");
        if found.is_none() {
            assert_eq!(head_len(whole, first), Some(end), "scanned {first}");
            assert!(ResponseHead::parse(&whole[..first]).is_err(), "{first}");
        }
    }
    assert_eq!(head_len(b"\r\n\r\n\n", 0), None);
    for (bytes, expected) in [
        (&b""[..], true),
        (b"\r\n", true),
        (b"HT", true),
        (b"HTTP/1.", true),
        (b"HTTP/2", false),
        (b"\x15\x03", false),
        (b"http", false),
    ] {
        assert_eq!(may_be_response(bytes), expected, "{bytes:?}");
    }
}
