//! What a request is answered, in its own encoding (OTLP specification, "OTLP/HTTP Response").
//!
//! The three services' responses differ in the JSON name of one field alone.

use super::{BodyError, Encoding, Signal};
use crate::codec::grpc::Status;
use crate::codec::json::push_escaped;
use crate::codec::protobuf::{push_bytes, push_message, push_varint_field};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it was taken, but for `rejected` items; `message` says why, or is a warning.
    Taken { rejected: u64, message: String },
    /// Nothing was taken.
    Refused(Status),
    /// Nor here, for lack of memory.
    Unheld(BodyError),
}

impl Answer {
    /// All of it was taken.
    pub fn taken() -> Answer {
        Answer::Taken { rejected: 0, message: String::new() }
    }
}

/// Export…ServiceResponse; without a partial success it is empty.
pub(super) fn response(
    signal: Signal,
    encoding: Encoding,
    rejected: u64,
    message: &str,
) -> Vec<u8> {
    let is_whole = rejected == 0 && message.is_empty();
    match encoding {
        Encoding::Protobuf if is_whole => Vec::new(),
        Encoding::Json if is_whole => b"{}".to_vec(),
        Encoding::Protobuf => {
            let mut out = Vec::new();
            push_message(&mut out, 1, |partial| {
                push_varint_field(partial, 1, rejected);
                push_bytes(partial, 2, message.as_bytes());
            });
            out
        }
        Encoding::Json => {
            let name = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
            };
            // 64-bit integers are strings in proto3 JSON.
            let mut out =
                format!("{{\"partialSuccess\":{{\"{name}\":\"{rejected}\",\"errorMessage\":\"");
            push_escaped(&mut out, message);
            out.push_str("\"}}");
            out.into_bytes()
        }
    }
}

/// google.rpc.Status as the body of an error.
pub(super) fn error(encoding: Encoding, status: &Status) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => status.to_protobuf(),
        Encoding::Json => status.to_json().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses() {
        let protobuf = |rejected, message: &str| {
            response(Signal::Traces, Encoding::Protobuf, rejected, message)
        };
        assert_eq!(protobuf(0, ""), b"");
        assert_eq!(protobuf(300, "no"), b"\x0a\x07\x08\xac\x02\x12\x02no");
        assert_eq!(protobuf(0, "hm"), b"\x0a\x06\x08\x00\x12\x02hm");
        let json = |signal, rejected, message: &str| {
            String::from_utf8(response(signal, Encoding::Json, rejected, message)).unwrap()
        };
        assert_eq!(json(Signal::Logs, 0, ""), "{}");
        for (signal, name) in [
            (Signal::Metrics, "rejectedDataPoints"),
            (Signal::Traces, "rejectedSpans"),
            (Signal::Logs, "rejectedLogRecords"),
        ] {
            let expected =
                format!(r#"{{"partialSuccess":{{"{name}":"2","errorMessage":"a \"b\""}}}}"#);
            assert_eq!(json(signal, 2, "a \"b\""), expected);
        }
    }
}
