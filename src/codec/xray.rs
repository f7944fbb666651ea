//! What surrounds an X-Ray segment document, and how it writes ids and times (AWS X-Ray Developer
//! Guide, "Sending trace data to X-Ray" and "Segment documents").
//!
//! Times are decimal seconds; here they are read and written digit by digit, because a double
//! would lose the last three digits of a nanosecond.

use super::json::{Reader, Text};

/// Longest document that X-Ray takes.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Digits of a time in nanoseconds; more do not fit 64 bits.
const NANOS_DIGITS_MAX: i64 = 20;

/// Why a datagram holds no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// No line feed, no JSON object before it, or another format or version than JSON 1.
    Malformed,
    /// Nothing after the header.
    Empty,
}

/// The document in a datagram, which is left unread.
pub fn document(datagram: &[u8]) -> Result<&[u8], HeaderError> {
    // {"format": "json", "version": 1}\n{"name": …
    //                                 ^ the first line feed ends the header
    let end = memchr::memchr(b'\n', datagram).ok_or(HeaderError::Malformed)?;
    let (header, document) = (&datagram[..end], &datagram[end + 1..]);
    if !is_header(header) {
        return Err(HeaderError::Malformed);
    }
    match document.iter().all(u8::is_ascii_whitespace) {
        true => Err(HeaderError::Empty),
        false => Ok(document),
    }
}

fn is_header(header: &[u8]) -> bool {
    let Ok(mut reader) = Reader::from_bytes(header) else { return false };
    let (mut is_json, mut is_version) = (false, false);
    let mut read = || {
        if !reader.object()? {
            return Ok(false);
        }
        while let Some(key) = reader.key()? {
            match &*key.decode() {
                "format" => {
                    let format = reader.string()?.map(Text::decode);
                    is_json = format.is_some_and(|format| format.eq_ignore_ascii_case("json"));
                }
                "version" => {
                    let version = reader.number()?.and_then(|number| number.parse::<f64>().ok());
                    is_version = version == Some(1.0);
                }
                _ => {}
            }
        }
        reader.end().map(|()| true)
    };
    read() == Ok::<_, super::json::Error>(true) && is_json && is_version
}

/// Reads `1-<8 hex>-<24 hex>`, or the 32 digits alone as W3C writes them. All zeros are no id.
pub fn trace_id(text: &str) -> Option<[u8; 16]> {
    let mut digits = [0; 32];
    match text.as_bytes() {
        dashed if dashed.len() == 35 && dashed.starts_with(b"1-") && dashed[10] == b'-' => {
            digits[..8].copy_from_slice(&dashed[2..10]);
            digits[8..].copy_from_slice(&dashed[11..]);
        }
        plain => digits = plain.try_into().ok()?,
    }
    hex(&digits)
}

/// Reads the 16 hexadecimal digits of a segment's id. All zeros are no id.
pub fn span_id(text: &str) -> Option<[u8; 8]> {
    hex(text.as_bytes())
}

/// `N` bytes from exactly twice as many digits; none where all are zero.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| (pair[at] as char).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    (bytes != [0; N]).then_some(bytes)
}

/// A JSON number of seconds as whole nanoseconds, cut, not rounded. None where it is negative or
/// after the year 2554.
pub fn nanos(number: &str) -> Option<u64> {
    // 1.72805324825E9
    // ^ mantissa   ^ exponent
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().all(|digit| digit == b'0') {
        return Some(0);
    }
    // Digits from the first to the last one that counts.
    let wanted = whole.len() as i64 + exponent + 9;
    let zeros = digits().take_while(|digit| *digit == b'0').count() as i64;
    if wanted - zeros > NANOS_DIGITS_MAX {
        return None;
    }
    let mut nanos = 0_u64;
    let mut source = digits();
    for _ in 0..wanted.max(0) {
        let digit = source.next().unwrap_or(b'0').wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        nanos = nanos.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (unsigned.len() == number.len() || nanos == 0).then_some(nanos)
}

/// An exponent as written; what is out of any range ends at a range's end.
fn parse_exponent(text: &str) -> i64 {
    let limit = if text.starts_with('-') { i64::from(i32::MIN) } else { i64::from(i32::MAX) };
    text.parse::<i32>().map_or(limit, i64::from)
}

/// Writes `1-<8 hex>-<24 hex>`.
pub fn push_trace_id(out: &mut String, id: &[u8; 16]) {
    let (time, unique) = id.split_at(4);
    out.push_str("1-");
    push_hex(out, time);
    out.push('-');
    push_hex(out, unique);
}

pub fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

/// Writes nanoseconds as decimal seconds with nine decimals.
pub fn push_seconds(out: &mut String, nanos: u64) {
    use std::fmt::Write;
    // Writing to a string cannot fail.
    let _ = write!(out, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"format": "json", "version": 1}"#;

    #[test]
    fn datagrams_with_a_document() {
        let ok = |header: &str| {
            let datagram = format!("{header}\n{{}}\n\n");
            assert_eq!(document(datagram.as_bytes()), Ok(&b"{}\n\n"[..]), "{header}");
        };
        ok(HEADER);
        ok(r#"{"format":"json","version":1}"#);
        ok(r#" { "version" : 1.0 , "x" : [{}] , "format" : "JSON" } "#);
        ok("{\"format\":\"json\",\"version\":1}\r");
    }

    #[test]
    fn datagrams_without() {
        let bad = |datagram: &str, error| {
            assert_eq!(document(datagram.as_bytes()), Err(error), "{datagram:?}");
        };
        bad("", HeaderError::Malformed);
        bad("\n{}", HeaderError::Malformed);
        bad(HEADER, HeaderError::Malformed);
        bad("{\"format\":\"xml\",\"version\":1}\n{}", HeaderError::Malformed);
        bad("{\"format\":\"json\",\"version\":2}\n{}", HeaderError::Malformed);
        bad("{\"format\":\"json\",\"version\":\"1\"}\n{}", HeaderError::Malformed);
        bad("{\"format\":\"json\"}\n{}", HeaderError::Malformed);
        bad("{\"version\":1}\n{}", HeaderError::Malformed);
        bad("[\"format\",\"json\",\"version\",1]\n{}", HeaderError::Malformed);
        bad("{\"format\":\"json\",\"version\":1}{}\n{}", HeaderError::Malformed);
        bad(&format!("{HEADER}\n"), HeaderError::Empty);
        bad(&format!("{HEADER}\n \r\n\t"), HeaderError::Empty);
    }

    #[test]
    fn ids() {
        let expected = *b"\x67\0\0\0\xab\xcd\xef\xab\xcd\xef\xab\xcd\xef\xab\xcd\xef";
        assert_eq!(trace_id("1-67000000-abcdefabcdefabcdefABCDEF"), Some(expected));
        assert_eq!(trace_id("67000000abcdefabcdefabcdefabcdef"), Some(expected));
        for bad in [
            "",
            "1-",
            "2-67000000-abcdefabcdefabcdefabcdef",
            "1-6700000-abcdefabcdefabcdefabcdef0",
            "1-67000000-abcdefabcdefabcdefabcdeg",
            "1-67000000-abcdefabcdefabcdefabcde",
            "1-67000000-abcdefabcdefabcdefabcdef0",
            "1-00000000-000000000000000000000000",
            "+7000000abcdefabcdefabcdefabcdef0",
            "1-67000000éabcdefabcdefabcdefabcdé",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
        assert_eq!(span_id("00000000000000fF"), Some([0, 0, 0, 0, 0, 0, 0, 255]));
        for bad in ["", "ff", "0000000000000000", "00000000000000fg", "00000000000000ff0"] {
            assert_eq!(span_id(bad), None, "{bad}");
        }
        let mut text = String::new();
        push_trace_id(&mut text, &expected);
        assert_eq!(text, "1-67000000-abcdefabcdefabcdefabcdef");
    }

    #[test]
    fn times_are_exact() {
        let ok = |number: &str, expected| assert_eq!(nanos(number), Some(expected), "{number}");
        ok("1728053248.25", 1_728_053_248_250_000_000);
        ok("1.72805324825E9", 1_728_053_248_250_000_000);
        ok("1.728053248250000001e+9", 1_728_053_248_250_000_001);
        ok("1728053248.1234567899", 1_728_053_248_123_456_789);
        ok("172805324825e-2", 1_728_053_248_250_000_000);
        ok("0", 0);
        ok("-0.0", 0);
        ok("0e999999999999", 0);
        ok("1e-10", 0);
        ok("0.000000001", 1);
        ok("1e-9999999999", 0);
        ok("18446744073.709551615", u64::MAX);
        ok("0.0000000000000000000000017e33", 1_700_000_000_000_000_000);
        for bad in ["-1", "18446744073.709551616", "1e10000", "1e999999999999", "1e11"] {
            assert_eq!(nanos(bad), None, "{bad}");
        }
        let mut text = String::new();
        push_seconds(&mut text, 1_728_053_248_000_000_001);
        assert_eq!(text, "1728053248.000000001");
        assert_eq!(nanos(&text), Some(1_728_053_248_000_000_001));
    }
}
