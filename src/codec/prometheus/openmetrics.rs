//! Lines of OpenMetrics 1.0 text, as strict as Prometheus reads them and no stricter.
//!
//! OpenMetrics 1.0, "Text Format". One blank between tokens, no empty lines, no free comments,
//! `# EOF` at the end. Left out, as Prometheus does: which suffixes, values and label counts each
//! type allows.

use super::scan::Cursor;
use super::series::{read_labels, read_metric_name, read_series, Series};
use super::{number, Line, LineLabels, Meta, Number, SampleLine, Stop};
use crate::model::MetricType;

/// Reads one line; labels of a sample and of its exemplar are appended to the buffers.
pub(super) fn read_line<'w>(
    cursor: &mut Cursor<'w>,
    labels: &mut LineLabels<'w>,
) -> Result<Line<'w>, Stop> {
    if cursor.peek() == b'#' {
        return read_meta(cursor);
    }
    // name{a="b"} 1.5 1700000000.123 # {trace_id="x"} 0.7 1700000000
    let series = read_series::<true>(cursor, &mut labels.sample)?;
    let number = read_number(cursor)?;
    let mut exemplar = None;
    if cursor.accept(b' ') {
        //                            ^ here
        if !(cursor.accept(b'#') && cursor.accept(b' ') && cursor.accept(b'{')) {
            return Err(cursor.bad("bad timestamp or exemplar"));
        }
        let mut own = Series::named("");
        labels.exemplar.begin(cursor);
        read_labels::<true>(cursor, &mut labels.exemplar, &mut own)?;
        if !own.name.is_empty() {
            return Err(cursor.bad("an exemplar has no name"));
        }
        exemplar = Some((read_number(cursor)?, own.escaped));
    }
    end_line(cursor)?;
    Ok(Line::Sample(SampleLine { series, number, exemplar }))
}

/// Reads ` value` and ` timestamp` where there is one.
fn read_number(cursor: &mut Cursor<'_>) -> Result<Number, Stop> {
    if !cursor.accept(b' ') {
        return Err(cursor.bad("expected a space"));
    }
    let (value, end) =
        number::read_float(cursor.text(), cursor.at).ok_or_else(|| cursor.bad("bad float"))?;
    cursor.at = end;
    let mut timestamp_ms = None;
    let is_timestamp = !matches!(cursor.text().as_bytes().get(end..), Some([b' ', b'#', ..]));
    if is_timestamp && cursor.accept(b' ') {
        let (time, end) = number::read_seconds(cursor.text(), cursor.at)
            .ok_or_else(|| cursor.bad("bad timestamp"))?;
        cursor.at = end;
        timestamp_ms = Some(time);
    }
    Ok(Number { value, timestamp_ms })
}

fn end_line(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    if cursor.peek() != b'\n' {
        return Err(cursor.bad("expected the end of the line"));
    }
    cursor.at += 1;
    Ok(())
}

/// Reads `# HELP`, `# TYPE`, `# UNIT` or `# EOF`.
fn read_meta<'w>(cursor: &mut Cursor<'w>) -> Result<Line<'w>, Stop> {
    cursor.at += 1;
    let keyword = if cursor.accept(b' ') { cursor.take_name::<true>() } else { Default::default() };
    if keyword == "EOF" {
        end_line(cursor)?;
        return Ok(Line::End);
    }
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") || !cursor.accept(b' ') {
        return Err(cursor.bad("not HELP, TYPE, UNIT or EOF"));
    }
    let name = read_metric_name::<true>(cursor)?;
    if !cursor.accept(b' ') {
        return Err(cursor.bad("expected a space"));
    }
    let at = cursor.at;
    let text = cursor.take_line();
    let meta = match keyword {
        "HELP" => Meta::Help(text),
        "UNIT" if text.is_empty() || is_unit_of(name.name, text) => Meta::Unit(text),
        "UNIT" => return Err(Stop::Bad { at, reason: "unit is not a suffix of the name" }),
        _ => Meta::Type(metric_type(text).ok_or(Stop::Bad { at, reason: "invalid metric type" })?),
    };
    Ok(Line::Meta(name, meta))
}

fn is_unit_of(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

fn metric_type(text: &str) -> Option<MetricType> {
    Some(match text {
        "counter" => MetricType::Counter,
        "gauge" => MetricType::Gauge,
        "histogram" => MetricType::Histogram,
        "gaugehistogram" => MetricType::GaugeHistogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        "stateset" => MetricType::StateSet,
        "unknown" => MetricType::Unknown,
        _ => return None,
    })
}
