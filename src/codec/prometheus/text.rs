//! Lines of the classic text format, 0.0.4 and 1.0.0 alike.
//!
//! Exposition formats, "Text-based format". Prometheus' own parser decides where the page is vague:
//! commas between labels are optional, no blank is needed before a value, timestamps have no sign,
//! nothing may follow them. Beyond it: leading blanks and a carriage return at the end are ignored.

use super::labels::Labels;
use super::scan::Cursor;
use super::series::{read_metric_name, read_series};
use super::{number, Line, Meta, Number, SampleLine, Stop};
use crate::model::MetricType;

/// Reads one line; a sample's labels are appended to `labels`.
#[inline]
pub(super) fn read_line<'w>(
    cursor: &mut Cursor<'w>,
    labels: &mut Labels<'w>,
) -> Result<Line<'w>, Stop> {
    cursor.skip_blanks();
    if cursor.peek() == b'#' {
        return read_comment(cursor);
    }
    if cursor.at_line_end() {
        cursor.next_line();
        return Ok(Line::Nothing);
    }
    let series = read_series::<false>(cursor, labels)?;
    cursor.skip_blanks();
    let (value, end) =
        number::read_float(cursor.text(), cursor.at).ok_or_else(|| cursor.bad("bad float"))?;
    cursor.at = end;
    cursor.skip_blanks();
    let mut timestamp_ms = None;
    if !cursor.at_line_end() {
        let (time, end) = number::read_milliseconds(cursor.text(), cursor.at)
            .ok_or_else(|| cursor.bad("bad timestamp"))?;
        cursor.at = end;
        cursor.skip_blanks();
        timestamp_ms = Some(time);
    }
    if !cursor.at_line_end() {
        return Err(cursor.bad("expected the end of the line"));
    }
    cursor.end_line();
    let number = Number { value, timestamp_ms };
    Ok(Line::Sample(SampleLine { series, number, exemplar: None }))
}

/// Reads a line that starts with `#`: metadata, or nothing.
fn read_comment<'w>(cursor: &mut Cursor<'w>) -> Result<Line<'w>, Stop> {
    // #  TYPE  name counter
    //    ^ keyword: blanks around it, else a comment like any other
    cursor.at += 1;
    let hash = cursor.at;
    cursor.skip_blanks();
    let keyword = cursor.take_name::<true>();
    let after = cursor.at;
    cursor.skip_blanks();
    let spaced = after - keyword.len() > hash && cursor.at > after && !cursor.at_line_end();
    if !spaced || !matches!(keyword, "HELP" | "TYPE") {
        cursor.next_line();
        return Ok(Line::Nothing);
    }
    let name = read_metric_name::<false>(cursor)?;
    let line = cursor.take_line();
    // One character separates name and text, whatever it is.
    let mut rest = line.strip_suffix('\r').unwrap_or(line).chars();
    rest.next();
    let text = rest.as_str();
    if keyword == "HELP" {
        return Ok(Line::Meta(name, Meta::Help(text)));
    }
    match text {
        "counter" => Ok(MetricType::Counter),
        "gauge" => Ok(MetricType::Gauge),
        "histogram" => Ok(MetricType::Histogram),
        "summary" => Ok(MetricType::Summary),
        "untyped" => Ok(MetricType::Unknown),
        _ => Err(Stop::Bad { at: cursor.at - 1, reason: "invalid metric type" }),
    }
    .map(|metric_type| Line::Meta(name, Meta::Type(metric_type)))
}
