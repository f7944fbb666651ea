//! What an answer means to an OTLP sender (OTLP specification, "OTLP/HTTP Response", "OTLP/gRPC
//! Response", "Failures").

use std::time::Duration;

use crate::codec::grpc::{Code, Status};
use crate::codec::protobuf::Fields;
use crate::export::delivery::Outcome;
use crate::export::post::Reply;
use crate::export::retry::Verdict;
use crate::observe::log::shorten;

/// How much of a message is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 512;

const PROTOBUF: &str = "application/x-protobuf";

/// An answer over HTTP.
pub fn judge_http(reply: &Reply) -> Outcome {
    let verdict = match reply.status {
        200..=299 => Verdict::Sent,
        400 => Verdict::BadData,
        413 => Verdict::TooLarge,
        401 | 403 => Verdict::Unauthorized,
        429 | 502 | 503 | 504 => Verdict::Retry,
        _ => Verdict::Refused,
    };
    let content_type = reply.content_type.as_deref().unwrap_or_default();
    if !content_type.trim_start().starts_with(PROTOBUF) {
        return Outcome::new(verdict, reply.describe());
    }
    if verdict == Verdict::Sent {
        return accepted(&reply.body, reply.status.to_string());
    }
    let message = Status::from_protobuf(&reply.body).map(|status| status.message);
    Outcome::new(verdict, describe(reply.status, &message.unwrap_or_default()))
}

/// What gRPC's servers say of a message that is too large for them, beside RESOURCE_EXHAUSTED:
/// "grpc: received message larger than max", "gRPC message exceeds maximum size", "Received message
/// exceeds the maximum configured message size".
const TOO_LARGE: [&str; 3] = ["larger than max", "exceeds maximum", "exceeds the maximum"];

/// How a call ended. RESOURCE_EXHAUSTED without a time to wait is final (OTLP specification,
/// "OTLP/gRPC Throttling"), unless the message was too large.
pub fn judge_grpc(status: &Status, message: &[u8]) -> Outcome {
    let verdict = match status.code {
        Code::Ok => return accepted(message, "OK".to_owned()),
        Code::ResourceExhausted if status.retry_after.is_none() => {
            match TOO_LARGE.iter().any(|words| status.message.contains(words)) {
                true => Verdict::TooLarge,
                false => Verdict::Refused,
            }
        }
        Code::ResourceExhausted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Verdict::Retry,
        Code::InvalidArgument => Verdict::BadData,
        Code::Unauthenticated | Code::PermissionDenied => Verdict::Unauthorized,
        _ => Verdict::Refused,
    };
    let mut outcome =
        Outcome::new(verdict, describe(format!("{:?}", status.code), &status.message));
    outcome.wait = status.retry_after.filter(|wait| *wait > Duration::ZERO);
    outcome
}

/// A request that was taken, maybe not all of it (Export…PartialSuccess).
fn accepted(response: &[u8], status: String) -> Outcome {
    let mut outcome = Outcome::new(Verdict::Sent, status);
    // What cannot be read says nothing: the request was taken.
    if let Some((rejected_items, message)) = partial_success(response) {
        outcome.rejected_items = rejected_items;
        // Both protocols: "servers MAY also use the field to convey warnings".
        outcome.is_warning = rejected_items == 0 && !message.is_empty();
        outcome.answer = describe(outcome.answer, &message);
    }
    outcome
}

/// Rejected items and the server's words; the three responses are alike.
fn partial_success(response: &[u8]) -> Option<(u64, String)> {
    let (mut rejected, mut message, mut is_there) = (0_i64, String::new(), false);
    let mut fields = Fields::new(response);
    while let Some((number, value)) = fields.read().ok()? {
        if number != 1 {
            continue;
        }
        is_there = true;
        let mut inner = Fields::new(value.bytes());
        while let Some((number, value)) = inner.read().ok()? {
            match number {
                1 => rejected = value.number() as i64,
                2 => message = String::from_utf8_lossy(value.bytes()).into_owned(),
                _ => {}
            }
        }
    }
    is_there.then(|| (u64::try_from(rejected).unwrap_or(0), message))
}

fn describe(status: impl std::fmt::Display, message: &str) -> String {
    let words = shorten(message.trim().as_bytes(), SHOWN_BYTES_MAX);
    let separator = if words.is_empty() { "" } else { ": " };
    format!("{status}{separator}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, content_type: &str, body: &[u8]) -> Reply {
        let content_type = Some(content_type.to_owned());
        Reply { status, content_type, body: body.to_vec(), ..Reply::default() }
    }

    #[test]
    fn http_statuses() {
        for (status, verdict) in [
            (200, Verdict::Sent),
            (202, Verdict::Sent),
            (301, Verdict::Refused),
            (400, Verdict::BadData),
            (401, Verdict::Unauthorized),
            (403, Verdict::Unauthorized),
            (404, Verdict::Refused),
            (413, Verdict::TooLarge),
            (429, Verdict::Retry),
            (500, Verdict::Refused),
            (501, Verdict::Refused),
            (502, Verdict::Retry),
            (503, Verdict::Retry),
            (504, Verdict::Retry),
        ] {
            let outcome = judge_http(&reply(status, "text/plain", b"words\n"));
            assert_eq!((outcome.verdict, outcome.rejected_items), (verdict, 0), "{status}");
            assert_eq!(outcome.answer, format!("{status}: words"));
        }
        let status = Status::new(Code::InvalidArgument, "bad span");
        let outcome = judge_http(&reply(400, "application/x-protobuf", &status.to_protobuf()));
        assert_eq!(outcome.answer, "400: bad span");
        assert_eq!(judge_http(&reply(400, PROTOBUF, b"\xff")).answer, "400");
    }

    #[test]
    fn grpc_codes() {
        let wait = Some(Duration::from_secs(3));
        for (code, retry_after, verdict) in [
            (Code::Ok, None, Verdict::Sent),
            (Code::Cancelled, None, Verdict::Retry),
            (Code::Unknown, None, Verdict::Refused),
            (Code::InvalidArgument, None, Verdict::BadData),
            (Code::DeadlineExceeded, None, Verdict::Retry),
            (Code::NotFound, None, Verdict::Refused),
            (Code::AlreadyExists, None, Verdict::Refused),
            (Code::PermissionDenied, None, Verdict::Unauthorized),
            (Code::ResourceExhausted, None, Verdict::Refused),
            (Code::ResourceExhausted, wait, Verdict::Retry),
            (Code::FailedPrecondition, None, Verdict::Refused),
            (Code::Aborted, None, Verdict::Retry),
            (Code::OutOfRange, None, Verdict::Retry),
            (Code::Unimplemented, None, Verdict::Refused),
            (Code::Internal, None, Verdict::Refused),
            (Code::Unavailable, wait, Verdict::Retry),
            (Code::DataLoss, None, Verdict::Retry),
            (Code::Unauthenticated, None, Verdict::Unauthorized),
        ] {
            let status = Status { retry_after, ..Status::new(code, "why") };
            let outcome = judge_grpc(&status, b"");
            assert_eq!(outcome.verdict, verdict, "{code:?}");
            if verdict == Verdict::Retry {
                assert_eq!((outcome.wait, outcome.answer), (retry_after, format!("{code:?}: why")));
            }
        }
    }

    #[test]
    fn messages_that_are_too_large() {
        for words in [
            "grpc: received message larger than max (5 vs. 4)",
            "gRPC message exceeds maximum size 4194304: 5000000",
            "Received message exceeds the maximum configured message size.",
        ] {
            let outcome = judge_grpc(&Status::new(Code::ResourceExhausted, words), b"");
            assert_eq!(outcome.verdict, Verdict::TooLarge, "{words}");
        }
    }

    #[test]
    fn partial_success_in_both_protocols() {
        let body = b"\x0a\x06\x08\x02\x12\x02no";
        for outcome in [
            judge_http(&reply(200, "application/x-protobuf; v=1", body)),
            judge_grpc(&Status::new(Code::Ok, ""), body),
        ] {
            assert_eq!((outcome.verdict, outcome.rejected_items), (Verdict::Sent, 2));
            assert!(outcome.answer.ends_with(": no") && !outcome.is_warning, "{}", outcome.answer);
        }
        let json = judge_http(&reply(200, "application/json", body));
        assert_eq!(json.rejected_items, 0);
        let warning = judge_http(&reply(200, PROTOBUF, b"\x0a\x04\x12\x02no"));
        assert_eq!((warning.rejected_items, warning.is_warning), (0, true));
        // Nothing, a negative number, and what is cut short.
        let negative = b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        for body in [&b""[..], negative, &body[..4], b"\x0a"] {
            let outcome = judge_http(&reply(200, PROTOBUF, body));
            assert_eq!((outcome.verdict, outcome.rejected_items), (Verdict::Sent, 0), "{body:?}");
            assert!(!outcome.is_warning);
        }
    }
}
