//! One sample as one line.
//!
//! Text: `12:34:56.789 http_requests_total{code="200",job="web"} 1027`, the series as Prometheus
//! writes it. JSON: one object with the fields `time` (RFC 3339), `name`, `labels`, `value`; values
//! that JSON has no number for are strings (`"NaN"`, `"+Inf"`, `"stale"`).
//! A series too long for a line is cut; the value is there all the same.

use std::fmt::Write;

use super::line::{push_time_of_day, Line, CUT_MARK, LINE_BYTES_MAX, SCALAR_BYTES_MAX};
use super::Format;
use crate::model::{push_float, FloatStyle, Label, Sample, NAME_LABEL};
use crate::observe::log::Utc;

/// Longest series, with the time before it, in bytes: the value and its key follow.
const SERIES_BYTES_MAX: usize = LINE_BYTES_MAX - 2 * SCALAR_BYTES_MAX;

/// Appends the line, with its line feed.
pub fn push(out: &mut String, sample: &Sample<'_>, format: Format) {
    match format {
        Format::Text => push_text(out, sample),
        Format::Json => push_json(out, sample),
    }
}

/// The labels without the name.
fn labels<'a>(sample: &Sample<'a>) -> impl Iterator<Item = &'a Label<'a>> {
    sample.labels.iter().filter(|label| label.name != NAME_LABEL)
}

fn push_text(out: &mut String, sample: &Sample<'_>) {
    let mut line = Line::new(out, SERIES_BYTES_MAX);
    push_time_of_day(line.out, sample.timestamp_ms);
    line.push(" ");
    line.push_plain(sample.name());
    let mut separator = "{";
    for label in labels(sample) {
        if line.is_cut() {
            break;
        }
        line.push(separator);
        separator = ",";
        line.push_plain(label.name);
        line.push("=");
        line.push_quoted(label.value);
    }
    if line.is_cut() {
        out.push(CUT_MARK);
    }
    if separator == "," {
        out.push('}');
    }
    out.push(' ');
    push_value(out, sample);
    out.push('\n');
}

fn push_value(out: &mut String, sample: &Sample<'_>) {
    if sample.is_stale_marker() {
        out.push_str("stale");
    } else {
        push_float(out, sample.value, FloatStyle::Value);
    }
}

fn push_json(out: &mut String, sample: &Sample<'_>) {
    out.push('{');
    let mut line = Line::new(out, SERIES_BYTES_MAX);
    if line.member("time") {
        // Writing to a String cannot fail.
        let _ = write!(line.out, "\"{}\"", Utc(sample.timestamp_ms));
    }
    if line.member("name") {
        line.push_quoted(sample.name());
    }
    if line.member("labels") {
        line.object(|line| {
            for label in labels(sample) {
                if !line.member(label.name) {
                    break;
                }
                line.push_quoted(label.value);
            }
        });
    }
    line.out.push_str(",\"value\":");
    if sample.value.is_finite() {
        push_value(line.out, sample);
    } else {
        line.out.push('"');
        push_value(line.out, sample);
        line.out.push('"');
    }
    line.end_json();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::Reader;
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

    #[test]
    fn a_series_too_long_for_a_line_is_cut_before_its_value() {
        let long = "\u{1b}é".repeat(1 << 19);
        let many: Vec<_> = (0..10_000).map(|at| (format!("k{at}"), "v")).collect();
        let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        for labels in
            [&[("__name__", "n"), ("a", &long)], &[("__name__", long.as_str()), ("a", "")]]
                .map(|labels| labels.as_slice())
                .into_iter()
                .chain([many.as_slice(), &[(long.as_str(), "v")]])
        {
            for value in [1.5, f64::from_bits(STALE_NAN_BITS)] {
                let text = line(labels, value, Format::Text);
                assert!(text.len() <= LINE_BYTES_MAX && text.matches('\n').count() == 1);
                assert!(text.ends_with(" 1.5\n") || text.ends_with(" stale\n"), "{text}");
                assert!(text.contains(CUT_MARK));
                let json = line(labels, value, Format::Json);
                assert!(json.len() <= LINE_BYTES_MAX && json.ends_with(",\"truncated\":true}\n"));
                let mut reader = Reader::new(&json);
                reader.skip().and_then(|()| reader.end()).expect("JSON");
            }
        }
    }
}
