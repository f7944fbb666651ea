//! How a call ended: gRPC's codes and google.rpc.Status (googleapis, google/rpc/status.proto,
//! error_details.proto), in protobuf and in proto3 JSON.
//!
//! OTLP uses both over HTTP too. Of the details only RetryInfo is written and read.

use std::time::Duration;

use crate::codec::json::push_escaped;
use crate::codec::protobuf::{push_bytes, push_message, push_varint_field, Error, Fields};

/// The codes of grpc/doc/statuscodes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// Reads a grpc-status; codes that nobody knows are UNKNOWN.
    pub fn parse(text: &str) -> Code {
        let number: Option<usize> = text.parse().ok();
        number.and_then(|number| Code::ALL.get(number).copied()).unwrap_or(Code::Unknown)
    }

    /// What an answer without grpc-status means (grpc/doc/http-grpc-status-mapping.md).
    pub fn from_http(status: u16) -> Code {
        match status {
            400 | 431 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// The HTTP status that says the same (OpenTelemetry Collector, receiver/otlpreceiver).
    pub fn to_http(self) -> u16 {
        match self {
            Code::Ok => 200,
            Code::InvalidArgument => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::Unimplemented => 404,
            Code::ResourceExhausted => 429,
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => 503,
            _ => 500,
        }
    }
}

/// What google.rpc.Status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    pub message: String,
    /// RetryInfo: when it makes sense to try again.
    pub retry_after: Option<Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Status {
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into(), retry_after: None }
    }

    /// google.rpc.Status in protobuf.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_varint_field(&mut out, 1, self.code as u64);
        push_bytes(&mut out, 2, self.message.as_bytes());
        if let Some(delay) = self.retry_after {
            push_message(&mut out, 3, |any| {
                push_bytes(any, 1, RETRY_INFO.as_bytes());
                push_message(any, 2, |info| {
                    push_message(info, 1, |duration| {
                        push_varint_field(duration, 1, delay.as_secs());
                        push_varint_field(duration, 2, u64::from(delay.subsec_nanos()));
                    });
                });
            });
        }
        out
    }

    /// google.rpc.Status in proto3 JSON.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"code\":{},\"message\":\"", self.code as u8);
        push_escaped(&mut out, &self.message);
        out.push('"');
        if let Some(delay) = self.retry_after {
            let (s, ns) = (delay.as_secs(), delay.subsec_nanos());
            let fraction = if ns > 0 { format!(".{ns:09}") } else { String::new() };
            let info = format!("{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{s}{fraction}s\"}}");
            out.push_str(&format!(",\"details\":[{info}]"));
        }
        out.push('}');
        out
    }

    /// Reads google.rpc.Status.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Status, Error> {
        let mut status = Status::new(Code::Ok, "");
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.read()? {
            match number {
                1 => {
                    let code = usize::try_from(value.number()).ok();
                    let known = code.and_then(|code| Code::ALL.get(code).copied());
                    status.code = known.unwrap_or(Code::Unknown);
                }
                2 => status.message = String::from_utf8_lossy(value.bytes()).into_owned(),
                3 => status.retry_after = retry_info(value.bytes())?.or(status.retry_after),
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The delay in an Any, if it holds RetryInfo.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Error> {
    let (mut is_retry_info, mut info) = (false, &[][..]);
    let mut fields = Fields::new(any);
    while let Some((number, value)) = fields.read()? {
        match number {
            1 => is_retry_info = value.bytes().ends_with(b"/google.rpc.RetryInfo"),
            2 => info = value.bytes(),
            _ => {}
        }
    }
    if !is_retry_info {
        return Ok(None);
    }
    let mut delay = Some(Duration::ZERO);
    let mut fields = Fields::new(info);
    while let Some((number, value)) = fields.read()? {
        if number == 1 {
            delay = read_duration(value.bytes())?;
        }
    }
    Ok(delay)
}

/// google.protobuf.Duration; a negative one is none.
fn read_duration(bytes: &[u8]) -> Result<Option<Duration>, Error> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.read()? {
        match number {
            1 => seconds = value.number(),
            2 => nanos = value.number(),
            _ => {}
        }
    }
    let is_negative = (seconds | nanos) >> 63 == 1;
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    Ok(nanos.filter(|_| !is_negative).map(|nanos| Duration::new(seconds, nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code, message: &str, delay_ms: Option<u64>) -> Status {
        Status { retry_after: delay_ms.map(Duration::from_millis), ..Status::new(code, message) }
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(status(Code::InvalidArgument, "no", None).to_protobuf(), b"\x08\x03\x12\x02no");
        let mut expected = b"\x08\x0e\x12\x00\x1a\x36\x0a\x28".to_vec();
        expected.extend_from_slice(RETRY_INFO.as_bytes());
        expected.extend_from_slice(b"\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01");
        assert_eq!(status(Code::Unavailable, "", Some(1500)).to_protobuf(), expected);
        assert_eq!(status(Code::Ok, "", None).to_protobuf(), b"\x08\x00\x12\x00");
    }

    #[test]
    fn json() {
        let json = status(Code::InvalidArgument, "a \"b\"\\\n", None).to_json();
        assert_eq!(json, r#"{"code":3,"message":"a \"b\"\\\u000a"}"#);
        let json = status(Code::Unavailable, "full", Some(1500)).to_json();
        assert_eq!(
            json,
            "{\"code\":14,\"message\":\"full\",\"details\":[{\"@type\":\
             \"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.500000000s\"}]}"
        );
        assert!(status(Code::Unavailable, "", Some(2000)).to_json().contains("\"2s\""));
    }

    #[test]
    fn what_is_written_is_read() {
        for original in [
            status(Code::Ok, "", None),
            status(Code::Internal, "zu groß", None),
            status(Code::Unavailable, "later", Some(0)),
            status(Code::ResourceExhausted, "later", Some(1500)),
        ] {
            let bytes = original.to_protobuf();
            assert_eq!(Status::from_protobuf(&bytes), Ok(original.clone()));
            // Fields of other types and numbers in front change nothing.
            let strange = [b"\x7a\x01x\x4d\0\0\0\0\x51\0\0\0\0\0\0\0\0\x50\x07", &bytes[..]];
            assert_eq!(Status::from_protobuf(&strange.concat()), Ok(original));
            for end in 0..bytes.len() {
                let _ = Status::from_protobuf(&bytes[..end]);
            }
        }
    }

    #[test]
    fn what_is_not_a_status() {
        for bytes in [&b"\x08"[..], b"\x12\x05abc", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(Status::from_protobuf(bytes).is_err());
        }
        let unknown = Status::from_protobuf(b"\x08\x63").unwrap();
        assert_eq!(unknown.code, Code::Unknown);
        let negative = b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let any = [b"\x0a\x28", RETRY_INFO.as_bytes(), b"\x12\x0d", negative].concat();
        assert_eq!(retry_info(&any), Ok(None));
    }

    #[test]
    fn random_bytes_neither_panic_nor_grow() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let good = status(Code::Unavailable, "later", Some(1500)).to_protobuf();
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            if let Ok(status) = Status::from_protobuf(&bytes) {
                // Each bad byte becomes three.
                assert!(status.message.len() <= 3 * bytes.len(), "seed {seed}");
            }
        }
    }

    #[test]
    fn codes() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!((code as usize, Code::parse(&number.to_string())), (number, code));
        }
        for text in ["", "17", "-1", "x", "256"] {
            assert_eq!(Code::parse(text), Code::Unknown, "{text}");
        }
        assert_eq!(Code::from_http(503), Code::Unavailable);
        assert_eq!(Code::from_http(404), Code::Unimplemented);
        assert_eq!(Code::from_http(500), Code::Unknown);
        assert_eq!(Code::Unavailable.to_http(), 503);
        assert_eq!(Code::Internal.to_http(), 500);
        assert_eq!(Code::InvalidArgument.to_http(), 400);
    }
}
