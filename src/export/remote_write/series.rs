//! One series after the other: what one has in common with the last is copied from there.
//!
//! The result is byte by byte what [`push_series`] writes.

use std::ops::Range;

use super::encode::{label_field_bytes, push_head, push_series, put_value, sample_bytes};
use crate::model::{Changes, Label, Sample};

/// Where the series last written stands in its buffer.
#[derive(Debug, Default)]
pub struct LastSeries {
    /// Where its first label starts.
    start: usize,
    /// Where each label ends, counted from there; empty if there is nothing to copy.
    ends: Vec<usize>,
    /// The sample behind them.
    timestamp_ms: i64,
}

/// How labels come from those of the last series.
enum Change {
    /// Values are as long as before.
    InPlace,
    /// Now all labels together have so many bytes.
    Resized(usize),
    /// Lengths no longer take a byte each.
    Anew,
}

impl LastSeries {
    /// Forgets it, as its buffer is another or has lost it; the allocation is kept.
    pub fn forget(&mut self) {
        self.ends.clear();
    }

    /// The first `bytes` of its buffer are gone.
    pub fn cut(&mut self, bytes: usize) {
        match self.start.checked_sub(bytes) {
            Some(start) => self.start = start,
            None => self.forget(),
        }
    }

    /// Appends one series as [`push_series`] does. `changes` says how its labels differ from those
    /// of the last one.
    pub fn push(
        &mut self,
        out: &mut Vec<u8>,
        sample: &Sample<'_>,
        extra: &[(String, String)],
        changes: Changes,
    ) {
        let labels = sample.labels;
        let is_plain = extra.is_empty() && sample.histogram.is_none() && sample.exemplar.is_none();
        let is_like = !changes.is_all()
            && self.ends.len() == labels.len()
            && self.timestamp_ms == sample.timestamp_ms;
        if !is_plain || !is_like {
            return self.push_anew(out, sample, extra);
        }
        let before = self.ends.last().copied().unwrap_or_default();
        let tail = 2 + sample_bytes(sample.timestamp_ms);
        let end = self.start + before + tail;
        match self.compare(labels, changes) {
            Change::InPlace => {
                push_head(out, before + tail);
                let start = out.len();
                out.extend_from_within(self.start..end);
                self.start = start;
                for place in changes.places() {
                    let (end, value) = (start + self.ends[place], labels[place].value.as_bytes());
                    out[end - value.len()..end].copy_from_slice(value);
                }
            }
            Change::Resized(now) => {
                push_head(out, now + tail);
                let start = out.len();
                self.copy_around(out, labels, changes, end);
                self.start = start;
            }
            Change::Anew => return self.push_anew(out, sample, extra),
        }
        let labels_end = out.len() - tail;
        put_value(&mut out[labels_end..], sample.value);
    }

    #[inline]
    fn compare(&self, labels: &[Label<'_>], changes: Changes) -> Change {
        let mut bytes = self.ends.last().copied().unwrap_or_default();
        let (mut is_in_place, mut is_short) = (true, true);
        for place in changes.places() {
            let (now, before) = (label_field_bytes(&labels[place]), self.span(place).len());
            is_in_place &= now == before;
            is_short &= now.max(before) < 0x80;
            bytes = bytes + now - before;
        }
        match (is_in_place, is_short) {
            (true, _) => Change::InPlace,
            (_, true) => Change::Resized(bytes),
            _ => Change::Anew,
        }
    }

    /// Where the label at `place` stands, counted from the first one's start.
    #[inline]
    fn span(&self, place: usize) -> Range<usize> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[place]
    }

    /// Appends the last series up to `end` with other values, all of them and their labels short.
    #[inline]
    fn copy_around(
        &mut self,
        out: &mut Vec<u8>,
        labels: &[Label<'_>],
        changes: Changes,
        end: usize,
    ) {
        let mut from = self.start;
        for place in changes.places() {
            let span = self.span(place);
            let value = labels[place].value.as_bytes();
            // Tag, length; tag, length, name; tag, length, value.
            let head = 6 + labels[place].name.len();
            let start = self.start + span.start;
            out.extend_from_within(from..start + head);
            let at = out.len();
            out[at - head + 1] = (head - 2 + value.len()) as u8;
            out[at - 1] = value.len() as u8;
            out.extend_from_slice(value);
            from = self.start + span.end;
        }
        out.extend_from_within(from..end);
        for place in changes.places() {
            let (now, before) = (label_field_bytes(&labels[place]), self.span(place).len());
            self.ends[place..].iter_mut().for_each(|end| *end = *end + now - before);
        }
    }

    #[inline(never)]
    fn push_anew(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>, extra: &[(String, String)]) {
        self.start = push_series(out, sample, extra);
        self.timestamp_ms = sample.timestamp_ms;
        self.ends.clear();
        if extra.is_empty() && sample.histogram.is_none() {
            let mut end = 0;
            self.ends.extend(sample.labels.iter().map(|label| {
                end += label_field_bytes(label);
                end
            }));
        }
    }
}
