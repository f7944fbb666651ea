//! Numbers in exposition text: values as Go's `strconv.ParseFloat` reads decimal text, timestamps.
//!
//! Hexadecimal, underscores, a signed NaN and overflow are errors, as in Prometheus. Short decimals
//! are computed exactly by hand: a mantissa below 2^53 and a power of ten up to 22 are both exact
//! doubles, so one multiplication or division rounds correctly (Clinger 1990). The rest is `std`'s.

use crate::model::NORMAL_NAN_BITS;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The largest mantissa below which every integer is an exact double.
const MANTISSA_MAX: u64 = 1 << 53;

/// Most digits that a `u64` takes without overflow.
const DIGITS_MAX: usize = 19;

/// Reads the number at `at`, up to a byte that is not above a blank; returns it and its end.
/// NaN comes back as the one ordinary NaN.
#[inline]
pub(super) fn read_float(text: &str, at: usize) -> Option<(f64, usize)> {
    short_decimal(text.as_bytes(), at).or_else(|| any_float(text, at))
}

#[inline(always)]
fn short_decimal(bytes: &[u8], mut at: usize) -> Option<(f64, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative);
    let start = at;
    let mut mantissa = 0;
    at = digits(bytes, at, &mut mantissa);
    let (mut count, mut exponent) = (at - start, 0);
    // Most are integers, which end here.
    if !is_end(bytes, at) {
        if bytes.get(at) == Some(&b'.') {
            let end = digits(bytes, at + 1, &mut mantissa);
            let fraction = end - at - 1;
            (count, exponent, at) = (count + fraction, -(fraction.min(99) as i32), end);
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let written;
            (written, at) = read_exponent(bytes, at + 1)?;
            exponent += written;
        }
    }
    if !is_end(bytes, at) || count == 0 || count > DIGITS_MAX || mantissa > MANTISSA_MAX {
        return None;
    }
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let mantissa = mantissa as f64;
    let value = if exponent < 0 { mantissa / power } else { mantissa * power };
    Some((if negative { -value } else { value }, at))
}

#[inline]
fn is_end(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|&byte| byte <= b' ')
}

/// Adds the digits at `at` to `sum`, which wraps; returns where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, sum: &mut u64) -> usize {
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        *sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The exponent after `e`, if it is one of at most three digits.
fn read_exponent(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative || bytes.get(at) == Some(&b'+'));
    let mut sum = 0;
    let end = digits(bytes, at, &mut sum);
    let exponent = sum as i32;
    (1..=3).contains(&(end - at)).then_some((if negative { -exponent } else { exponent }, end))
}

/// The general case. What `std` takes beyond Go: a sign before NaN, and overflow as infinity.
#[inline(never)]
fn any_float(text: &str, at: usize) -> Option<(f64, usize)> {
    let tail = text.get(at..)?;
    let end = tail.bytes().position(|byte| byte <= b' ').unwrap_or(tail.len());
    let token = &tail[..end];
    let unsigned = token.trim_start_matches(['+', '-']);
    let value: f64 = token.parse().ok()?;
    if value.is_nan() {
        return (unsigned.len() == token.len())
            .then_some((f64::from_bits(NORMAL_NAN_BITS), at + end));
    }
    let overflown = value.is_infinite() && !unsigned.starts_with(['i', 'I']);
    (!overflown).then_some((value, at + end))
}

/// Reads a timestamp of the classic text format: digits, milliseconds.
pub(super) fn read_milliseconds(text: &str, at: usize) -> Option<(i64, usize)> {
    let digits = text.get(at..)?.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[at..at + digits].parse().ok()?, at + digits))
}

/// Reads a timestamp of OpenMetrics: a number of seconds; what is below a millisecond is cut off.
pub(super) fn read_seconds(text: &str, at: usize) -> Option<(i64, usize)> {
    let (seconds, end) = read_float(text, at)?;
    let milliseconds = seconds * 1000.0;
    // Beyond 2^53 ms (the year 287396) a double is no longer exact to the millisecond.
    (milliseconds.abs() < MANTISSA_MAX as f64).then_some((milliseconds as i64, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, value: f64) {
        let (read, end) = read_float(text, 0).unwrap_or_else(|| panic!("{text} refused"));
        assert_eq!((read.to_bits(), end), (value.to_bits(), text.len()), "{text} read as {read}");
    }

    #[test]
    fn floats_as_go_reads_them() {
        ok("1", 1.0);
        ok("-0", -0.0);
        ok("+5", 5.0);
        ok(".5", 0.5);
        ok("5.", 5.0);
        ok("-.5", -0.5);
        ok("00012", 12.0);
        ok("1E5", 1e5);
        ok("1e+5", 1e5);
        ok("1.7123456789e+09", 1_712_345_678.9);
        ok("0.1", 0.1);
        ok("9007199254740993", 9_007_199_254_740_992.0);
        ok("12345678901234567890", 12_345_678_901_234_567_890.0);
        ok("0.30000000000000004", 0.300_000_000_000_000_04);
        ok("1e22", 1e22);
        ok("1e23", 1e23);
        ok("1e-999", 0.0);
        ok("5e-324", 5e-324);
        ok("1.7976931348623157e308", f64::MAX);
        ok("inf", f64::INFINITY);
        ok("+Inf", f64::INFINITY);
        ok("-Infinity", f64::NEG_INFINITY);
        ok("nan", f64::from_bits(NORMAL_NAN_BITS));
        ok("NaN", f64::from_bits(NORMAL_NAN_BITS));
        assert_eq!(read_float("x 2.5 y", 2), Some((2.5, 5)));
    }

    #[test]
    fn what_go_refuses() {
        for text in [
            "", "+nan", "-NaN", "1_000", "0x10", "0x1p-3", "1p3", "1e999", "-1e999", "1e", "1e+",
            "e5", ".", "-", "+", "--1", "1.2.3", "1e5.", "infin", "1x", "1,5", "é",
        ] {
            assert_eq!(read_float(text, 0), None, "{text}");
        }
    }

    #[test]
    fn random_decimals_agree_with_std() {
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let digits = (seed >> 40) % 10_u64.pow((seed >> 33) as u32 % 8);
            let text = match seed >> 62 {
                0 => format!("{digits}.{:03}", seed % 1000),
                1 => format!("{digits}e{}", (seed >> 20) as i64 % 40 - 20),
                2 => format!("{seed}"),
                _ => format!("{:?}", f64::from_bits(seed).abs()),
            };
            if let Ok(value) = text.parse::<f64>().map_err(drop) {
                if value.is_finite() {
                    ok(&text, value);
                }
            }
        }
    }

    #[test]
    fn timestamps() {
        assert_eq!(read_milliseconds("9223372036854775807", 0), Some((i64::MAX, 19)));
        assert_eq!(read_milliseconds("12x", 0), Some((12, 2)));
        for bad in ["", "-5", "+5", "x", "9223372036854775808"] {
            assert_eq!(read_milliseconds(bad, 0), None, "{bad}");
        }
        assert_eq!(read_seconds("1.9999", 0), Some((1999, 6)));
        assert_eq!(read_seconds("-1.5e0", 0), Some((-1500, 6)));
        for bad in ["NaN", "+Inf", "-inf", "1e300", "", "x"] {
            assert_eq!(read_seconds(bad, 0), None, "{bad}");
        }
    }
}
