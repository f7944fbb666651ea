//! `le` and `quantile` as Prometheus 3 writes them, whatever the client wrote.
//!
//! Prometheus 3 migration guide, "le and quantile label values": the shortest float text, with `.0`
//! when it has neither point nor exponent. Text that is no float is left alone.

use super::number::read_float;
use crate::model::{push_float, FloatStyle};

/// Most digits for which a decimal text is the shortest of its value.
const DIGITS_MAX: usize = 15;

/// From this many digits before the point on, the exponent form is used.
const INTEGER_DIGITS_MAX: usize = 6;

/// True if `text` is surely its own normal form; what is in doubt goes through [`push_bound`].
pub(super) fn is_normal(text: &str) -> bool {
    let bytes = text.as_bytes();
    if text == "+Inf" {
        return true;
    }
    if bytes.len() > DIGITS_MAX {
        return false;
    }
    if let Some(at) = bytes.iter().position(|&byte| byte == b'e') {
        return is_normal_mantissa(&bytes[..at]) && is_normal_exponent(&bytes[at + 1..]);
    }
    let Some(point) = bytes.iter().position(|&byte| byte == b'.') else { return false };
    let (integer, fraction) = (&bytes[..point], &bytes[point + 1..]);
    // Below 0.0001 the exponent form is used.
    let large = integer != b"0" || fraction.iter().take(4).any(|&digit| digit != b'0');
    is_plain_integer(integer) && (fraction == b"0" || is_short_fraction(fraction) && large)
}

/// `d` or `d.ddd`.
fn is_normal_mantissa(mantissa: &[u8]) -> bool {
    match mantissa {
        [b'1'..=b'9'] => true,
        [b'1'..=b'9', b'.', fraction @ ..] => is_short_fraction(fraction),
        _ => false,
    }
}

/// A sign and two digits, for which the exponent form is due.
fn is_normal_exponent(exponent: &[u8]) -> bool {
    match exponent {
        [b'+', b'0', unit] => (b'6'..=b'9').contains(unit),
        [b'-', b'0', unit] => (b'5'..=b'9').contains(unit),
        [b'+' | b'-', b'1'..=b'9', unit] => unit.is_ascii_digit(),
        _ => false,
    }
}

/// Digits that do not end in zero.
fn is_short_fraction(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && digits.last().is_some_and(|&digit| digit != b'0')
}

/// Digits without leading zeros, few enough to stay out of the exponent form.
fn is_plain_integer(digits: &[u8]) -> bool {
    digits.len() <= INTEGER_DIGITS_MAX
        && digits.iter().all(u8::is_ascii_digit)
        && digits.first().is_some_and(|&first| first != b'0' || digits.len() == 1)
}

/// Appends the normal form of `text`.
pub(super) fn push_bound(out: &mut String, text: &str) {
    if is_plain_integer(text.as_bytes()) {
        out.push_str(text);
        out.push_str(".0");
        return;
    }
    match read_float(text, 0) {
        // A negative zero loses its sign.
        Some((0.0, end)) if end == text.len() => out.push_str("0.0"),
        Some((value, end)) if end == text.len() => push_float(out, value, FloatStyle::Bound),
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let mut out = String::new();
        push_bound(&mut out, text);
        // The short cut must never disagree with the long way.
        assert!(!is_normal(text) || out == text, "{text} is not normal: {out}");
        out
    }

    #[test]
    fn normal_forms() {
        for (text, expected) in [
            ("1", "1.0"),
            ("0", "0.0"),
            ("-0", "0.0"),
            ("0.10", "0.1"),
            ("1e3", "1000.0"),
            ("100000", "100000.0"),
            ("999999", "999999.0"),
            ("1000000", "1e+06"),
            ("1234567", "1.234567e+06"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("00012", "12.0"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("+Inf", "+Inf"),
            ("inf", "+Inf"),
            ("-Inf", "-Inf"),
            ("nan", "NaN"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0.300000000000000000001", "0.3"),
            ("1000000.5", "1.0000005e+06"),
            ("", ""),
            ("x", "x"),
            ("1 ", "1 "),
            ("+nan", "+nan"),
            ("1e999", "1e999"),
            ("é.5", "é.5"),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn usual_bounds_take_the_short_cut() {
        for text in
            ["0.005", "0.5", "1.0", "0.0", "2.5", "100000.0", "0.0001", "+Inf", "1e+06", "2.5e-05"]
        {
            assert!(is_normal(text), "{text}");
        }
    }

    #[test]
    fn short_cut_and_long_way_agree() {
        let mut seed = 3_u64;
        for _ in 0..100_000 {
            let mut text = String::new();
            for _ in 0..seed >> 61 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(['0', '+', '1', '9', '.', '0', '-', 'e'][(seed >> 61) as usize]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            normal(&text);
        }
    }
}
