//! OTLP/gRPC: one unary call, one answer (grpc/doc/PROTOCOL-HTTP2.md).
//!
//! Errors are trailers-only. A deadline that the client set ends the call by RST_STREAM(CANCEL) as
//! it asks for; the receiver's own ends it with DEADLINE_EXCEEDED.

use std::time::{Duration, Instant};

use super::answer::response;
use super::body::{take, Body, BodyError};
use super::{Answer, Encoding, Export, Shared, Signal};
use crate::codec::base64;
use crate::codec::grpc::{
    encode_message, is_grpc, parse_timeout, prefix, Code, Deframer, FrameError, Piece, Status,
};
use crate::net::http2::{self, Call, Head};
use crate::net::timeout_at;
use crate::observe::Reservation;

/// For the whole message of a call to arrive.
const MESSAGE_MAX: Duration = Duration::from_secs(30);

const CONTENT_TYPE: (&str, &str) = ("content-type", "application/grpc");

/// Encodings of messages that are read; sent along when another was used.
const ACCEPTED_ENCODINGS: &str = "identity,gzip";

/// Answers one call.
pub(super) async fn answer<S>(shared: &Shared<S>, head: Head, mut call: Call)
where
    S: AsyncFn(Export) -> Answer,
{
    let route = route(shared, &head);
    // Headers may be some KiB, and a body may be long in coming.
    drop(head);
    let route = match route {
        Ok(route) => route,
        Err(refusal) => return call.answer(*refusal),
    };
    let read = async {
        // A message that is there already does not make up for a deadline that has passed.
        match Instant::now() < route.deadline {
            true => read_message(shared, &route, &mut call).await,
            false => std::future::pending().await,
        }
    };
    let end = match timeout_at(route.deadline, read).await {
        Ok(Ok((body, held))) => {
            let Route { signal, .. } = route;
            let encoding = Encoding::Protobuf;
            (shared.sink)(Export { signal, encoding, body, held }).await
        }
        Ok(Err(Some(status))) => Answer::Refused(status),
        Ok(Err(None)) => return shared.count("cut_short"),
        Err(_) if route.is_client_deadline => {
            shared.count("cut_short");
            return call.cancel();
        }
        Err(_) => {
            shared.count("cut_short");
            let message = format!("no whole message in {} s", MESSAGE_MAX.as_secs());
            Answer::Refused(Status::new(Code::DeadlineExceeded, message))
        }
    };
    call.answer(match end {
        Answer::Taken { rejected, message } => {
            success(&response(route.signal, Encoding::Protobuf, rejected, &message))
        }
        Answer::Refused(status) => refuse(&status),
        Answer::Unheld(fault) => refuse(&shared.explain(fault)),
    });
}

/// What the head says about the call.
struct Route {
    signal: Signal,
    /// `grpc-encoding` is gzip: messages may be compressed.
    is_gzip: bool,
    deadline: Instant,
    is_client_deadline: bool,
}

/// The refusal is boxed: it is rare, and an answer is large.
fn route<S>(shared: &Shared<S>, head: &Head) -> Result<Route, Box<http2::Answer>> {
    let plain = |status| Box::new(http2::Answer { status, ..http2::Answer::default() });
    if !is_grpc(head.header("content-type").unwrap_or_default()) {
        shared.count("bad_content_type");
        return Err(plain(415));
    }
    if head.method() != "POST" {
        shared.count("bad_method");
        return Err(plain(405));
    }
    let signal = match head.path() {
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        _ => {
            shared.count("unknown_path");
            return Err(unimplemented("unknown service or method"));
        }
    };
    if !shared.signals.has(signal) {
        shared.count("no_exporter");
        return Err(unimplemented("no exporter takes this signal"));
    }
    let is_gzip = match head.header("grpc-encoding") {
        None | Some("identity") => false,
        Some("gzip") => true,
        Some(_) => {
            shared.count("bad_content_encoding");
            let mut answer = unimplemented("messages must be gzip or not compressed");
            answer.headers.push(("grpc-accept-encoding", ACCEPTED_ENCODINGS.to_owned()));
            return Err(answer);
        }
    };
    let client_timeout = match head.header("grpc-timeout").map(parse_timeout) {
        None => None,
        Some(Some(timeout)) => Some(timeout),
        Some(None) => {
            shared.count("malformed");
            let status = Status::new(Code::Internal, "malformed grpc-timeout");
            return Err(Box::new(refuse(&status)));
        }
    };
    let deadline = Instant::now() + client_timeout.map_or(MESSAGE_MAX, |own| own.min(MESSAGE_MAX));
    let is_client_deadline = client_timeout.is_some_and(|own| own <= MESSAGE_MAX);
    Ok(Route { signal, is_gzip, deadline, is_client_deadline })
}

fn unimplemented(message: &str) -> Box<http2::Answer> {
    Box::new(refuse(&Status::new(Code::Unimplemented, message)))
}

/// The one message, decompressed. An error without a status means that the client has gone.
async fn read_message<S>(
    shared: &Shared<S>,
    route: &Route,
    call: &mut Call,
) -> Result<(Vec<u8>, Reservation), Option<Status>> {
    let fail = |fault: BodyError| Some(shared.explain(fault));
    let misframed = |fault: FrameError| {
        shared.count("malformed");
        // grpc/doc/statuscodes.md: "request cardinality violation" is UNIMPLEMENTED.
        let code = match fault {
            FrameError::Missing | FrameError::Second => Code::Unimplemented,
            FrameError::BadFlag(_) | FrameError::Truncated => Code::Internal,
        };
        Some(Status::new(code, fault.to_string()))
    };
    let (mut deframer, mut body) = (Deframer::default(), None);
    while let Some(data) = call.read().await.map_err(|_| None)? {
        let mut rest: &[u8] = &data;
        while let Some(piece) = deframer.next(&mut rest).map_err(misframed)? {
            match (piece, &mut body) {
                (Piece::Begin { is_compressed: true, .. }, _) if !route.is_gzip => {
                    shared.count("malformed");
                    let message = "compressed flag without grpc-encoding";
                    return Err(Some(Status::new(Code::Internal, message)));
                }
                (Piece::Begin { is_compressed, len }, none) => {
                    let (budget, bytes_max) = (&shared.budget, shared.body_bytes_max);
                    let begun = Body::new(budget, bytes_max, is_compressed, Some(len.into()));
                    *none = Some(begun.map_err(fail)?);
                }
                (Piece::Data(data), Some(body)) => take(body, data).await.map_err(fail)?,
                (Piece::Data(_), None) => {}
            }
        }
    }
    deframer.finish().map_err(misframed)?;
    match body {
        Some(body) => body.finish().map_err(fail),
        None => Err(misframed(FrameError::Missing)),
    }
}

fn success(message: &[u8]) -> http2::Answer {
    // A response is a few hundred bytes.
    let prefix = prefix(false, message.len() as u32);
    http2::Answer {
        status: 200,
        headers: vec![(CONTENT_TYPE.0, CONTENT_TYPE.1.to_owned())],
        body: [&prefix[..], message].concat(),
        trailers: vec![("grpc-status", "0".to_owned())],
    }
}

/// Trailers only.
fn refuse(status: &Status) -> http2::Answer {
    let mut headers = vec![
        (CONTENT_TYPE.0, CONTENT_TYPE.1.to_owned()),
        ("grpc-status", (status.code as u8).to_string()),
        ("grpc-message", encode_message(&status.message)),
    ];
    if status.retry_after.is_some() {
        let details = base64::encode_unpadded(&status.to_protobuf());
        headers.push(("grpc-status-details-bin", details));
    }
    http2::Answer { status: 200, headers, ..http2::Answer::default() }
}
