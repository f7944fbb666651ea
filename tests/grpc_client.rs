//! The HTTP/2 client against gRPC's own server: plain, under TLS, and where HTTP/2 is not spoken.

mod support;

use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use otlet::codec::base64;
use otlet::codec::grpc::{decode_message, prefix, Code, Deframer, Piece, Status};
use otlet::net::http2::{Client, Request, Response};
use otlet::net::{run, timeout, ClientConfig, Error, ErrorKind, Resolver, Url};
use support::peers::Peer;
use support::tls::{tls_in_front_of, Authority, Identity};
use support::{python, repository, SOON};

/// gRPC's own server; with an identity it speaks TLS.
fn grpc_server(identity: Option<&Identity>) -> Peer {
    let mut command = python();
    command.arg(repository("tests/support/grpc_server.py")).stderr(Stdio::null());
    if let Some(identity) = identity {
        command.args([&identity.certificate, &identity.key]);
    }
    Peer::start_announced(&mut command)
}

fn client(scheme: &str, peer: &Peer, config: &ClientConfig) -> Client {
    let url = Url::parse(&format!("{scheme}://localhost:{}", peer.address.port())).unwrap();
    Client::new(&url, config, Rc::new(Resolver::default())).unwrap()
}

async fn call(client: &mut Client, path: &str, message: &[u8]) -> Result<Response, Error> {
    let headers = [("te", "trailers"), ("content-type", "application/grpc")];
    let prefix = prefix(false, message.len() as u32);
    let request = Request { path, headers: &headers, body: &[&prefix, message] };
    timeout(SOON, client.send(&request)).await.expect("an answer in time")
}

/// The message in an answer.
fn message(response: &Response) -> Vec<u8> {
    let (mut deframer, mut body, mut message) = (Deframer::default(), &response.body[..], vec![]);
    while let Some(piece) = deframer.next(&mut body).unwrap() {
        if let Piece::Data(data) = piece {
            message.extend_from_slice(data);
        }
    }
    deframer.finish().unwrap();
    message
}

async fn exercise(client: &mut Client) {
    for len in [0, 1, 60_000] {
        let sent = vec![b'm'; len];
        let response = call(client, "/t/Echo", &sent).await.unwrap();
        assert_eq!((response.status, response.trailer("grpc-status")), (200, Some("0")));
        assert_eq!(message(&response), sent);
    }
    // More than any window, in one call; what comes back is more than is kept.
    let response = call(client, "/t/Echo", &vec![b'm'; 8 << 20]).await.unwrap();
    assert_eq!(response.trailer("grpc-status"), Some("0"));
    assert!(response.body.len() < 1 << 20, "{}", response.body.len());
    let response = call(client, "/t/Later", b"x").await.unwrap();
    assert_eq!(response.trailer("grpc-status").map(Code::parse), Some(Code::Unavailable));
    assert_eq!(response.trailer("grpc-message").map(decode_message).unwrap(), "sp\u{e4}ter");
    let details = response.trailer("grpc-status-details-bin").and_then(base64::decode).unwrap();
    let status = Status::from_protobuf(&details).unwrap();
    assert_eq!(status.retry_after, Some(Duration::from_secs(7)));
    let response = call(client, "/t/None", b"x").await.unwrap();
    assert_eq!(response.trailer("grpc-status").map(Code::parse), Some(Code::Unimplemented));
}

#[test]
fn calls_without_tls() {
    let mut peer = Some(grpc_server(None));
    run(async {
        let mut client = client("http", peer.as_ref().unwrap(), &ClientConfig::default());
        exercise(&mut client).await;
        let message = prefix(false, 0);
        let request = Request { path: "/t/Slow", headers: &[], body: &[&message] };
        assert!(timeout(Duration::from_millis(100), client.send(&request)).await.is_err());
        exercise(&mut client).await;
        peer = None;
        let error = call(&mut client, "/t/Echo", b"x").await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Connect | ErrorKind::Closed), "{error:?}");
    });
}

#[test]
fn calls_under_tls() {
    let authority = Authority::new();
    let peer = grpc_server(Some(&authority.localhost()));
    let trusting = ClientConfig {
        tls_ca: authority.certificate().to_str().map(str::to_owned),
        ..ClientConfig::default()
    };
    run(async {
        exercise(&mut client("https", &peer, &trusting)).await;
        let mut stranger = client("https", &peer, &ClientConfig::default());
        let error = call(&mut stranger, "/t/Echo", b"x").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    });
}

#[test]
fn a_server_that_does_not_offer_http2_is_told_apart() {
    let authority = Authority::new();
    let behind = grpc_server(None);
    let peer = tls_in_front_of(behind.address, &authority.localhost(), &[]);
    let trusting = ClientConfig {
        tls_ca: authority.certificate().to_str().map(str::to_owned),
        ..ClientConfig::default()
    };
    run(async {
        let mut client = client("https", &peer, &trusting);
        let error = call(&mut client, "/t/Echo", b"x").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Tls);
        assert!(error.to_string().contains("does not offer HTTP/2"), "{error}");
    });
}
