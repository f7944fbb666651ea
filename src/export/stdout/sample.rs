//! One sample as one line.
//!
//! Text: `12:34:56.789 http_requests_total{code="200",job="web"} 1027`, the series as Prometheus
//! writes it. JSON: one object with the fields `time` (RFC 3339), `name`, `labels`, `value`; values
//! that JSON has no number for are strings (`"NaN"`, `"+Inf"`, `"stale"`).

use std::fmt::Write;

use super::line::{push_quoted, push_time_of_day};
use super::Format;
use crate::model::{push_float, FloatStyle, Label, Sample, NAME_LABEL};
use crate::observe::log::Utc;

/// Appends the line, with its line feed.
pub fn push(out: &mut String, sample: &Sample<'_>, format: Format) {
    match format {
        Format::Text => push_text(out, sample),
        Format::Json => push_json(out, sample),
    }
    out.push('\n');
}

/// The labels without the name.
fn labels<'a>(sample: &Sample<'a>) -> impl Iterator<Item = &'a Label<'a>> {
    sample.labels.iter().filter(|label| label.name != NAME_LABEL)
}

fn push_text(out: &mut String, sample: &Sample<'_>) {
    push_time_of_day(out, sample.timestamp_ms);
    out.push(' ');
    out.push_str(sample.name());
    let mut separator = '{';
    for label in labels(sample) {
        out.push(separator);
        separator = ',';
        out.push_str(label.name);
        out.push('=');
        push_quoted(out, label.value);
    }
    if separator == ',' {
        out.push('}');
    }
    out.push(' ');
    push_value(out, sample);
}

fn push_value(out: &mut String, sample: &Sample<'_>) {
    if sample.is_stale_marker() {
        out.push_str("stale");
    } else {
        push_float(out, sample.value, FloatStyle::Value);
    }
}

fn push_json(out: &mut String, sample: &Sample<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{{\"time\":\"{}\",\"name\":", Utc(sample.timestamp_ms));
    push_quoted(out, sample.name());
    out.push_str(",\"labels\":{");
    for (at, label) in labels(sample).enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_quoted(out, label.name);
        out.push(':');
        push_quoted(out, label.value);
    }
    out.push_str("},\"value\":");
    if sample.value.is_finite() {
        push_value(out, sample);
    } else {
        out.push('"');
        push_value(out, sample);
        out.push('"');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Part, STALE_NAN_BITS};

    fn line(labels: &[(&str, &str)], value: f64, format: Format) -> String {
        let family = Family::default();
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(name, value)).collect();
        let timestamp_ms = 1_700_000_000_123;
        let mut out = String::from("before\n");
        let sample = Sample {
            family: &family,
            part: Part::Value,
            labels: &labels,
            value,
            timestamp_ms,
            exemplar: None,
            histogram: None,
        };
        push(&mut out, &sample, format);
        out.split_off(7)
    }

    #[test]
    fn text_lines() {
        let up = [("__name__", "up"), ("a", "x\"\\\n\u{1b}é"), ("b", "y")];
        assert_eq!(
            line(&up, 1.0, Format::Text),
            "22:13:20.123 up{a=\"x\\\"\\\\\\n\\u001bé\",b=\"y\"} 1\n"
        );
        assert_eq!(line(&up[..1], 0.25, Format::Text), "22:13:20.123 up 0.25\n");
        let stale = f64::from_bits(STALE_NAN_BITS);
        assert_eq!(line(&up[..1], stale, Format::Text), "22:13:20.123 up stale\n");
    }

    #[test]
    fn json_lines() {
        let up = [("__name__", "up"), ("a", "x\""), ("b", "y")];
        assert_eq!(
            line(&up, f64::INFINITY, Format::Json),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"name\":\"up\",\
             \"labels\":{\"a\":\"x\\\"\",\"b\":\"y\"},\"value\":\"+Inf\"}\n"
        );
        assert!(line(&up, 1e21, Format::Json).ends_with("\"value\":1e+21}\n"));
        assert!(line(&up, f64::NAN, Format::Json).ends_with("\"value\":\"NaN\"}\n"));
    }
}
