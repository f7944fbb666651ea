//! OTLP/HTTP: one request, one answer (opentelemetry-proto, docs/specification.md, "OTLP/HTTP").
//!
//! Where the specification leaves a choice, statuses are those of the OpenTelemetry Collector's
//! receiver: 405 for other methods, 415 for other content types, 400 for other content encodings.

use super::answer::{error, response};
use super::body::{take, Body, BodyError};
use super::{Answer, Encoding, Export, Shared, Signal};
use crate::codec::grpc::{Code, Status};
use crate::net::http1::{self, Incoming, RequestHead};
use crate::observe::Reservation;

/// Between two requests of a connection: a little longer than the usual metric interval of SDKs, so
/// that they need not connect anew each time.
pub(super) const IDLE_MS_MAX: u64 = 90_000;

/// Answers one request.
pub(super) async fn answer<S>(shared: &Shared<S>, incoming: &mut Incoming<'_>) -> http1::Answer
where
    S: AsyncFn(Export) -> Answer,
{
    if let Some(answer) = shared.cors.preflight(incoming.head()) {
        return answer;
    }
    let mut answer = match route(shared, incoming.head()) {
        Ok(route) => respond(shared, incoming, route).await,
        Err(refusal) => refusal,
    };
    shared.cors.allow(incoming.head(), &mut answer);
    answer
}

/// What the head says about the request.
#[derive(Clone, Copy)]
struct Route {
    signal: Signal,
    encoding: Encoding,
}

fn route<S>(shared: &Shared<S>, head: &RequestHead) -> Result<Route, http1::Answer> {
    let signal = match head.path() {
        "/v1/metrics" => Signal::Metrics,
        "/v1/traces" => Signal::Traces,
        "/v1/logs" => Signal::Logs,
        _ => {
            shared.count("unknown_path");
            let hint = "send to /v1/metrics, /v1/traces or /v1/logs";
            return Err(http1::Answer::text(404, hint));
        }
    };
    if head.method != "POST" {
        shared.count("bad_method");
        return Err(http1::Answer::method_not_allowed("POST"));
    }
    if !shared.signals.has(signal) {
        shared.count("no_exporter");
        return Err(http1::Answer::text(404, "no exporter takes this signal"));
    }
    let media_type = head.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let encoding = if media_type.eq_ignore_ascii_case("application/x-protobuf") {
        Encoding::Protobuf
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Encoding::Json
    } else {
        shared.count("bad_content_type");
        let hint = "content-type must be application/x-protobuf or application/json";
        return Err(http1::Answer::text(415, hint));
    };
    Ok(Route { signal, encoding })
}

async fn respond<S>(
    shared: &Shared<S>,
    incoming: &mut Incoming<'_>,
    Route { signal, encoding }: Route,
) -> http1::Answer
where
    S: AsyncFn(Export) -> Answer,
{
    let (body, held) = match read_body(shared, incoming, encoding).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    match (shared.sink)(Export { signal, encoding, body, held }).await {
        Answer::Taken { rejected, message } => http1::Answer {
            status: 200,
            content_type: content_type(encoding),
            body: response(signal, encoding, rejected, &message),
            ..http1::Answer::default()
        },
        Answer::Refused(status) => refuse(encoding, status.code.to_http(), &status),
        Answer::Unheld(fault) => refuse_body(shared, encoding, fault),
    }
}

async fn read_body<S>(
    shared: &Shared<S>,
    incoming: &mut Incoming<'_>,
    encoding: Encoding,
) -> Result<(Vec<u8>, Reservation), http1::Answer> {
    let is_gzip = match incoming.head().header("content-encoding").map(str::trim) {
        None | Some("") => false,
        Some(name) if name.eq_ignore_ascii_case("identity") => false,
        Some(name) if name.eq_ignore_ascii_case("gzip") => true,
        Some(_) => {
            shared.count("bad_content_encoding");
            let status =
                Status::new(Code::InvalidArgument, "content-encoding must be gzip or none");
            return Err(refuse(encoding, 400, &status));
        }
    };
    let fail = |fault: BodyError| refuse_body(shared, encoding, fault);
    let declared = incoming.declared_length();
    let mut body =
        Body::new(&shared.budget, shared.body_bytes_max, is_gzip, declared).map_err(fail)?;
    let mut part = Vec::new();
    loop {
        part.clear();
        let to = body.room().unwrap_or(&mut part);
        let is_more = incoming.read_part(to).await.inspect_err(|_| {
            shared.count("cut_short");
        })?;
        take(&mut body, &part).await.map_err(fail)?;
        if !is_more {
            return body.finish().map_err(fail);
        }
    }
}

fn refuse_body<S>(shared: &Shared<S>, encoding: Encoding, fault: BodyError) -> http1::Answer {
    let http = match fault {
        BodyError::TooLarge | BodyError::NeverFits => 413,
        BodyError::NoRoom => 503,
        BodyError::Gzip(_) => 400,
    };
    refuse(encoding, http, &shared.explain(fault))
}

fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}

/// An error, with the time to wait where that means something to a client.
fn refuse(encoding: Encoding, http: u16, status: &Status) -> http1::Answer {
    let delay = status.retry_after.filter(|_| matches!(http, 429 | 503));
    let headers = match delay {
        // Whole seconds: rather too late than too early.
        Some(delay) => format!("Retry-After: {}\r\n", delay.as_millis().div_ceil(1000)),
        None => String::new(),
    };
    let (content_type, body) = (content_type(encoding), error(encoding, status));
    http1::Answer { status: http, content_type, headers, body }
}
