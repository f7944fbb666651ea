//! Floats as Prometheus writes them.
//!
//! Go's `strconv.FormatFloat(v, 'g', -1, 64)`: the shortest digits that read back as the same
//! value, in exponent form when the decimal exponent is below −4 or at least 21 (plain `%v`) or 6
//! (the rule OpenMetrics normalisation of `le` and `quantile` ends up with).

use std::fmt::Write;

/// Where Go switches to exponent form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatStyle {
    /// A sample value: `1`, `0.5`, `1e+21`.
    Value,
    /// A bound in `le` or `quantile`: `1.0`, `0.5`, `1e+06`.
    Bound,
}

/// Appends `value` in the given style; infinities and NaN are `+Inf`, `-Inf`, `NaN`.
pub fn push_float(out: &mut String, value: f64, style: FloatStyle) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let start = out.len();
    let exponent = decimal_exponent(value, out);
    out.truncate(start);
    let exponent_max = if style == FloatStyle::Bound { 6 } else { 21 };
    if value != 0.0 && !(-4..exponent_max).contains(&exponent) {
        push_exponent_form(out, value);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "{value}");
    }
    if style == FloatStyle::Bound && !out[start..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

/// The exponent of `value` in scientific notation; uses the tail of `scratch` to find it.
fn decimal_exponent(value: f64, scratch: &mut String) -> i32 {
    let start = scratch.len();
    let _ = write!(scratch, "{value:e}");
    scratch[start..].rsplit('e').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Appends `d.ddde±XX` with at least two digits of exponent, as Go does.
fn push_exponent_form(out: &mut String, value: f64) {
    let start = out.len();
    let exponent = decimal_exponent(value, out);
    let mantissa_end = out[start..].find('e').map_or(out.len(), |at| start + at);
    out.truncate(mantissa_end);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, style: FloatStyle) -> String {
        let mut out = String::from("kept");
        push_float(&mut out, value, style);
        out.split_off(4)
    }

    #[test]
    fn bounds_as_prometheus_3_normalises_them() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1000.0, "1000.0"),
            (100_000.0, "100000.0"),
            (999_999.0, "999999.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.0, "0.0"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value, FloatStyle::Bound), expected);
        }
    }

    #[test]
    fn values_as_go_prints_them() {
        for (value, expected) in [
            (1.0, "1"),
            (1_000_000.0, "1000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.00001, "1e-05"),
            (0.5, "0.5"),
            (-0.0, "-0"),
        ] {
            assert_eq!(text(value, FloatStyle::Value), expected);
        }
    }
}
