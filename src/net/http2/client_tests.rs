//! Tests of the client against this program's server, over loopback.

use std::cell::Cell;
use std::net::SocketAddr;

use super::*;
use crate::net::http2::server::{serve_until, Answer, Call, Head, Server, Waits};
use crate::net::{run, sleep, Listener, Notify};
use crate::observe::{Budget, Counter};

const DEADLINE: Duration = Duration::from_secs(10);

/// Answers with the body; other paths misbehave.
async fn echo(head: Head, mut call: Call) {
    let path = head.path().to_owned();
    let agent = head.header("user-agent").unwrap_or_default().to_owned();
    if path == "/early" {
        return call.answer(Answer { status: 413, ..Answer::default() });
    }
    if path == "/reset" {
        return call.cancel();
    }
    if path == "/never" {
        return std::future::pending().await;
    }
    let mut body = Vec::new();
    while let Ok(Some(data)) = call.read().await {
        body.extend_from_slice(&data);
    }
    if path == "/large" {
        body = vec![7; RESPONSE_BYTES_MAX + 1];
    }
    let headers = vec![("x-agent", agent)];
    let trailers = vec![("grpc-status", "0".to_owned())];
    call.answer(Answer { status: 200, headers, body, trailers });
}

pub fn server() -> Server {
    Server {
        waits: Waits::default(),
        budget: Budget::new(1 << 20),
        connections: Counter::default(),
        refused: Counter::default(),
        faulty: Counter::default(),
    }
}

fn client(addr: SocketAddr) -> Client {
    let url = Url::parse(&format!("http://{addr}")).unwrap();
    Client::new(&url, &ClientConfig::default(), Rc::new(Resolver::default())).unwrap()
}

/// Runs `test` with a client of an echo server.
fn with_client(test: impl AsyncFn(&mut Client, &Server)) {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut client = client(listener.local_addr());
        let server = server();
        let _task = spawn(serve_until(listener, server.clone(), Notify::default(), echo));
        timeout(DEADLINE, test(&mut client, &server)).await.expect("in time");
    });
}

fn post<'a>(path: &'a str, body: &'a [&'a [u8]]) -> Request<'a> {
    Request { path, headers: &[("te", "trailers")], body }
}

#[test]
fn calls_follow_one_another_on_one_connection() {
    with_client(async |client, server| {
        let large = vec![b'x'; 1 << 20];
        for body in [&[b"abc".as_slice(), b"", b"def"][..], &[], &[b""], &[&large[..60_000]]] {
            let response = client.send(&post("/", body)).await.unwrap();
            assert_eq!((response.status, response.body == body.concat()), (200, true));
            assert_eq!(response.header("x-agent"), Some(USER_AGENT));
            assert_eq!(response.trailer("grpc-status"), Some("0"));
            assert_eq!(server.connections.get(), 1);
        }
        // Longer than every window, there and back: of the answer the beginning is kept.
        for (path, body) in [("/", &[large.as_slice()][..]), ("/large", &[])] {
            let response = client.send(&post(path, body)).await.unwrap();
            assert_eq!((response.status, response.body.len()), (200, RESPONSE_BYTES_MAX));
            assert_eq!(response.trailer("grpc-status"), Some("0"), "how it ended is known");
        }
        assert_eq!(client.send(&post("/", &[b"x"])).await.unwrap().body, b"x");
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn an_answer_may_come_before_the_body_is_sent() {
    with_client(async |client, _| {
        let large = vec![0; 1 << 20];
        for _ in 0..3 {
            assert_eq!(client.send(&post("/early", &[&large])).await.unwrap().status, 413);
        }
        assert!(client.send(&post("/reset", &[&large])).await.is_err());
        assert_eq!(client.send(&post("/early", &[])).await.unwrap().status, 413);
    });
}

#[test]
fn a_call_given_up_closes_its_connection() {
    with_client(async |client, server| {
        let limit = Duration::from_millis(50);
        assert!(timeout(limit, client.send(&post("/never", &[]))).await.is_err());
        assert!(!client.is_idle_connection());
        while server.connections.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(server.budget.bytes_used(), 0);
        assert_eq!(client.send(&post("/", &[])).await.unwrap().status, 200);
    });
}

#[test]
fn a_server_that_goes_away_is_found_again() {
    run(async {
        let addr = Cell::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut client = None;
        for _ in 0..2 {
            let listener = Listener::bind(addr.get()).unwrap();
            addr.set(listener.local_addr());
            let client = client.get_or_insert_with(|| super::tests::client(addr.get()));
            let stop = Notify::default();
            let task = spawn(serve_until(listener, server(), stop.clone(), echo));
            assert_eq!(client.send(&post("/", &[b"x"])).await.unwrap().body, b"x");
            stop.notify();
            timeout(DEADLINE, task).await.expect("the idle connection ends at once");
        }
        let error = client.unwrap().send(&post("/", &[])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Connect);
    });
}

#[test]
fn other_protocols_and_bad_settings_are_explained() {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut client = client(listener.local_addr());
        let task = spawn(async move {
            let (mut stream, _) = listener.accept().await;
            stream.write_all(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).await.unwrap();
            stream.read(&mut [0; 100]).await.unwrap();
            stream
        });
        let result = timeout(DEADLINE, client.send(&post("/", &[]))).await.expect("in time");
        let told = result.unwrap_err().to_string();
        assert!(told.starts_with("127.0.0.1:") && told.contains("does not speak HTTP/2"), "{told}");
        drop(task);
        let bad = Request { path: "/", headers: &[("a b", "")], body: &[] };
        assert!(client.head(&bad).unwrap_err().to_string().contains("a b"));
    });
    let url = Url::parse("http://127.0.0.1:1").unwrap();
    let config = ClientConfig { proxy: Some(url.clone()), ..ClientConfig::default() };
    let error = Client::new(&url, &config, Rc::new(Resolver::default())).err().unwrap();
    assert!(error.contains("proxy"), "{error}");
}
