//! gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md, statuscodes.md): what stands in headers, trailers
//! and bodies, without HTTP/2 itself.
//!
//! [`Deframer`] finds the one message of a unary call in its body; [`Status`] is how a call ended,
//! with google.rpc.Status and RetryInfo for those who look closer. Left out: streaming calls and
//! encodings other than gzip.

mod frame;
mod status;

use std::time::Duration;

pub use frame::{prefix, Deframer, FrameError, Piece, PREFIX_BYTES};
pub use status::{Code, Status};

/// Digits of a grpc-timeout.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// Reads a grpc-timeout: up to eight digits and a unit.
// 100m
//    ^ H, M, S, m (milli), u (micro), n (nano)
pub fn parse_timeout(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1)?;
    let (digits, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number || !(1..=TIMEOUT_DIGITS_MAX).contains(&digits.len()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes a grpc-timeout, in milliseconds as long as they fit.
pub fn render_timeout(timeout: Duration) -> String {
    match timeout.as_millis() {
        ms @ 0..=99_999_999 => format!("{ms}m"),
        _ => format!("{}S", timeout.as_secs().min(99_999_999)),
    }
}

/// Whether a content type is gRPC's: `application/grpc`, `application/grpc+proto`.
pub fn is_grpc(content_type: &str) -> bool {
    let Some(rest) = content_type.strip_prefix("application/grpc") else { return false };
    rest.is_empty() || rest.starts_with(['+', ';'])
}

/// Percent-encodes a grpc-message: everything but printable ASCII, and the percent sign.
pub fn encode_message(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for &byte in message.as_bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes [`encode_message`]. What is not an escape is text; what is not UTF-8 becomes U+FFFD.
pub fn decode_message(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let ok = |text, duration| assert_eq!(parse_timeout(text), Some(duration), "{text}");
        ok("1H", Duration::from_secs(3600));
        ok("99999999H", Duration::from_secs(99_999_999 * 3600));
        ok("2M", Duration::from_secs(120));
        ok("10S", Duration::from_secs(10));
        ok("100m", Duration::from_millis(100));
        ok("1u", Duration::from_micros(1));
        ok("0n", Duration::ZERO);
        for text in ["", "S", "1", "1s", "1h", "-1S", "+1S", "1.5S", "123456789S", "1 S", "é", "1é"]
        {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
        let rendered = |duration| render_timeout(duration);
        assert_eq!(rendered(Duration::from_secs(10)), "10000m");
        assert_eq!(rendered(Duration::from_secs(100_000)), "100000S");
        assert_eq!(rendered(Duration::MAX), "99999999S");
        let round = |ms| parse_timeout(&render_timeout(Duration::from_millis(ms)));
        assert_eq!(round(99_999_999), Some(Duration::from_millis(99_999_999)));
    }

    #[test]
    fn content_types() {
        for good in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
            assert!(is_grpc(good), "{good}");
        }
        for bad in ["", "application/json", "application/grpc-web", "application/grpcs"] {
            assert!(!is_grpc(bad), "{bad}");
        }
    }

    #[test]
    fn messages() {
        let ok = |message: &str, text: &str| {
            assert_eq!(encode_message(message), text);
            assert_eq!(decode_message(text), message);
        };
        ok("", "");
        ok("plain ~ text", "plain ~ text");
        ok("100 %", "100 %25");
        ok("a\nb\u{7f}", "a%0Ab%7F");
        ok("zu groß", "zu gro%C3%9F");
        let lenient = |text: &str, message: &str| assert_eq!(decode_message(text), message);
        lenient("%", "%");
        lenient("%4", "%4");
        lenient("%zz%41", "%zzA");
        lenient("%c3%9f", "ß");
        lenient("%ff", "\u{fffd}");
        lenient("é%", "é%");
    }
}
