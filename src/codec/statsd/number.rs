//! Decimal numbers of StatsD lines.
//!
//! Digits, fraction and exponent with an optional sign, as every StatsD client writes them. Leaves
//! out what Go's ParseFloat takes besides: `inf`, `nan`, hexadecimal floats, underscores.
//! Invariant: a result is finite.

/// Digits that fit a double's mantissa whatever they are.
const EXACT_DIGITS_MAX: usize = 15;

/// Powers of ten that a double holds exactly; one division by them rounds correctly.
const POWERS: [f64; EXACT_DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The number that `text` is, all of it; `None` where it is none or not finite.
#[inline]
pub fn parse(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let size = short(digits).or_else(|| long(digits))?;
    Some(if negative { -size } else { size })
}

/// Up to fifteen digits with or without a fraction: one multiplication a digit, one division.
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    if text.len() > EXACT_DIGITS_MAX {
        return None;
    }
    let (mut mantissa, mut digits, mut decimals) = (0_u64, 0, None);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            b'.' if decimals.is_none() => decimals = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    let decimals = decimals.map_or(0, |at| digits - at);
    Some(mantissa as f64 / POWERS[decimals])
}

/// Anything longer or with an exponent.
fn long(text: &[u8]) -> Option<f64> {
    // `inf` and `nan` have no digit in front, a second sign has none either.
    if !matches!(text.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let ok = |text: &str, number: f64| {
            assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Some(number.to_bits()), "{text}");
        };
        ok("1", 1.0);
        ok("0", 0.0);
        ok("-0", -0.0);
        ok("+7", 7.0);
        ok("-12.5", -12.5);
        ok("0.1", 0.1);
        ok(".5", 0.5);
        ok("5.", 5.0);
        ok("123456789012345", 123_456_789_012_345.0);
        ok("1234567890.12345", 1_234_567_890.123_45);
        ok("0.30000000000000004", 0.300_000_000_000_000_04);
        ok("18446744073709551616", 18_446_744_073_709_551_616.0);
        ok("1e3", 1000.0);
        ok("1.5E-3", 0.0015);
        ok("1e-400", 0.0);
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", "-", "+", ".", "-.", "1e", "e1", "1.2.3", "--1", "+-1", "1_0", "0x1p3", "inf",
            "NaN", "-inf", "infinity", "1e400", "-1e400", " 1", "1 ", "1,5", "१", "1\0",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"\xff"), None);
        assert_eq!(parse(&[b'9'; 400]), None);
    }

    #[test]
    fn the_short_way_rounds_as_the_long_one() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let scale = random.u32(0..7);
            let text = format!("{}", random.u32(..) as f64 / 10_f64.powi(scale as i32));
            assert_eq!(parse(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }
}
