//! Metric names and label sets, the part of a line that both formats share.
//!
//! Exposition formats, "Prometheus text format" and OpenMetrics 1.0, "ABNF", both with the quoted
//! UTF-8 names of Prometheus 3: `{"a.b",c="d"}`. `STRICT` is OpenMetrics: no blanks inside braces,
//! commas required. Texts stay escaped here; [`super::rewrite`] mends them where one is.

use super::labels::Labels;
use super::scan::{Cursor, Quoted};
use super::Stop;
use crate::model::{Changes, Label, NAME_LABEL};

/// Most labels of one sample; a line with more is refused. Finding duplicates and sorting take
/// quadratic time in the worst case, and this keeps that below a millisecond.
pub(super) const LABELS_MAX: usize = 512;

pub(super) const NOT_UNIQUE: &str = "label name is not unique";

/// A metric name, or the name and labels of a sample.
#[derive(Debug)]
pub(super) struct Series<'w> {
    pub name: &'w str,
    /// Some name or value still holds escapes.
    pub escaped: bool,
    /// See [`super::RawSample::changes`].
    pub changes: Changes,
}

impl<'w> Series<'w> {
    pub fn named(name: &'w str) -> Series<'w> {
        Series { name, escaped: false, changes: Changes::ALL }
    }
}

/// Reads `name{labels}`, `name` or `{"name",labels}`; blanks after the name are skipped unless
/// `STRICT`.
#[inline]
pub(super) fn read_series<'w, const STRICT: bool>(
    cursor: &mut Cursor<'w>,
    labels: &mut Labels<'w>,
) -> Result<Series<'w>, Stop> {
    labels.begin(cursor);
    let start = cursor.at;
    let mut series = Series::named("");
    let mut head_bytes = 0;
    if let Some(name) = labels.resume::<STRICT>(cursor, &mut series.escaped)? {
        (series.name, head_bytes) = (name, labels.head_bytes());
        if !cursor.accept(b'}') {
            read_labels::<STRICT>(cursor, labels, &mut series)?;
        }
    } else {
        series.name = cursor.take_name::<true>();
        if !STRICT {
            cursor.skip_blanks();
        }
        if cursor.accept(b'{') {
            // A name within the braces is none to start the next line with.
            if !series.name.is_empty() {
                head_bytes = cursor.at - start;
                labels.join::<STRICT>(cursor, &mut series.escaped)?;
            }
            read_labels::<STRICT>(cursor, labels, &mut series)?;
        }
    }
    if series.name.is_empty() {
        return Err(cursor.bad("no metric name"));
    }
    if series.escaped {
        head_bytes = 0;
    }
    series.changes = labels.end(cursor, series.name, head_bytes);
    Ok(series)
}

/// Reads labels up to the closing brace. The opening one has been read, or all up to the end of a
/// value where `labels` has some of this line already.
#[inline]
pub(super) fn read_labels<'w, const STRICT: bool>(
    cursor: &mut Cursor<'w>,
    labels: &mut Labels<'w>,
    series: &mut Series<'w>,
) -> Result<(), Stop> {
    if labels.count() > 0 {
        end_value::<STRICT>(cursor)?;
    }
    loop {
        skip_blanks::<STRICT>(cursor);
        if cursor.accept(b'}') {
            return Ok(());
        }
        let mut quoted = false;
        let mut name = cursor.take_name::<false>();
        if name.is_empty() {
            match cursor.peek() {
                b'"' => {
                    let text = cursor.take_quoted::<STRICT>()?;
                    (name, quoted) = (not_empty(cursor, text, &mut series.escaped)?, true);
                }
                _ => return Err(cursor.bad("bad label name")),
            }
        }
        skip_blanks::<STRICT>(cursor);
        if cursor.accept(b'=') {
            let value = read_value::<STRICT>(cursor, &mut series.escaped)?;
            let added = labels.add(Label { name, value }, cursor.at);
            added.map_err(|reason| cursor.bad(reason))?;
            end_value::<STRICT>(cursor)?;
        } else if quoted && series.name.is_empty() {
            series.name = name;
            if !cursor.accept(b',') && cursor.peek() != b'}' {
                return Err(cursor.bad("expected a comma or closing brace"));
            }
        } else {
            return Err(cursor.bad("expected = after a label name"));
        }
    }
}

/// Goes past the comma after a value, if there is one.
#[inline]
fn end_value<const STRICT: bool>(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    skip_blanks::<STRICT>(cursor);
    if !cursor.accept(b',') && STRICT && cursor.peek() != b'}' {
        return Err(cursor.bad("expected a comma or closing brace"));
    }
    Ok(())
}

#[inline]
fn skip_blanks<const STRICT: bool>(cursor: &mut Cursor<'_>) {
    if !STRICT {
        cursor.skip_blanks();
    }
}

#[inline]
fn read_value<'w, const STRICT: bool>(
    cursor: &mut Cursor<'w>,
    escaped: &mut bool,
) -> Result<&'w str, Stop> {
    skip_blanks::<STRICT>(cursor);
    if cursor.peek() != b'"' {
        return Err(cursor.bad("label value is not quoted"));
    }
    let value = cursor.take_quoted::<STRICT>()?;
    *escaped |= value.escaped;
    Ok(value.text)
}

/// A name in quotes: any UTF-8 text that is not empty.
fn not_empty<'w>(
    cursor: &Cursor<'w>,
    name: Quoted<'w>,
    escaped: &mut bool,
) -> Result<&'w str, Stop> {
    if name.text.is_empty() {
        return Err(cursor.bad("empty name"));
    }
    *escaped |= name.escaped;
    Ok(name.text)
}

/// Reads the name of a HELP, TYPE or UNIT line.
pub(super) fn read_metric_name<'w, const STRICT: bool>(
    cursor: &mut Cursor<'w>,
) -> Result<Series<'w>, Stop> {
    let mut series = Series::named(cursor.take_name::<true>());
    if cursor.peek() == b'"' && series.name.is_empty() {
        let text = cursor.take_quoted::<STRICT>()?;
        series.name = not_empty(cursor, text, &mut series.escaped)?;
    }
    if series.name.is_empty() {
        return Err(cursor.bad("bad metric name"));
    }
    Ok(series)
}

/// One of 64 bits: names whose bits differ differ, which spares most of the comparisons.
#[inline]
pub(super) fn name_bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    let (first, last) = ends.map_or((0, 0), |(&first, &last)| (first, last));
    1 << ((usize::from(first) + 3 * usize::from(last) + 11 * bytes.len()) % 64)
}

pub(super) fn is_taken(labels: &[Label<'_>], name: &str) -> bool {
    name == NAME_LABEL || labels.iter().any(|label| label.name == name)
}

/// True if some name occurs twice, or is the metric name's.
pub(super) fn has_duplicates(labels: &[Label<'_>]) -> bool {
    (0..labels.len()).any(|at| is_taken(&labels[..at], labels[at].name))
}
