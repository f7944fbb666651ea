//! One series after the other: what one has in common with the last is copied from there.
//!
//! The result is byte by byte what [`push_series`] writes.

use std::ops::Range;

use super::encode::{label_field_bytes, push_series, put_value, sample_bytes};
use crate::codec::protobuf::{put_varint, varint_bytes};
use crate::model::{Changes, Sample};

/// Where the series last written stands in its buffer.
#[derive(Debug, Default)]
pub struct LastSeries {
    /// Where it starts, with its tag and length.
    head: usize,
    /// Where its first label starts.
    start: usize,
    /// Where each label ends, counted from there; empty if there is nothing to copy.
    ends: Vec<usize>,
    /// The time of the sample behind them.
    timestamp_ms: i64,
}

impl LastSeries {
    /// Forgets it, as its buffer is another or has lost it; the allocation is kept.
    pub fn forget(&mut self) {
        self.ends.clear();
    }

    /// The first `bytes` of its buffer are gone.
    pub fn cut(&mut self, bytes: usize) {
        match self.head.checked_sub(bytes) {
            Some(head) => (self.head, self.start) = (head, self.start - bytes),
            None => self.forget(),
        }
    }

    /// Appends one series as [`push_series`] does. `changes` says how its labels differ from those
    /// of the last one.
    #[inline]
    pub fn push(
        &mut self,
        out: &mut Vec<u8>,
        sample: &Sample<'_>,
        extra: &[(String, String)],
        changes: Changes,
    ) {
        let is_plain = extra.is_empty() && sample.histogram.is_none() && sample.exemplar.is_none();
        let is_like = !changes.is_all()
            && !self.ends.is_empty()
            && self.ends.len() == sample.labels.len()
            && self.timestamp_ms == sample.timestamp_ms;
        if !is_plain || !is_like || !self.push_like(out, sample, changes) {
            self.push_anew(out, sample, extra);
        }
    }

    /// Appends a copy of the last series with other values; false, and nothing appended, where a
    /// length needs more or fewer bytes than it has there.
    #[inline]
    fn push_like(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>, changes: Changes) -> bool {
        let head = out.len();
        let tail_bytes = 2 + sample_bytes(sample.timestamp_ms);
        let mut bytes = self.ends.last().copied().unwrap_or_default();
        let end = self.start + bytes + tail_bytes;
        let mut from = self.head;
        let (mut settled, mut growth) = (0, 0_usize);
        for place in changes.places() {
            let label = &sample.labels[place];
            let before = place.checked_sub(1).map_or(0, |before| self.ends[before]);
            let label_bytes = self.ends[place] - before;
            // Tag, length; tag, length, name; tag, length, value.
            let to_value = 6 + label.name.len();
            let now = to_value + label.value.len();
            if label_bytes.max(now) >= 0x80 {
                out.truncate(head);
                return false;
            }
            let start = self.start + before;
            out.extend_from_within(from..start + to_value);
            let at = out.len();
            out[at - to_value + 1] = (now - 2) as u8;
            out[at - 1] = label.value.len() as u8;
            out.extend_from_slice(label.value.as_bytes());
            from = start + label_bytes;
            self.shift(settled..place, growth);
            settled = place;
            growth = growth.wrapping_add(now).wrapping_sub(label_bytes);
        }
        self.shift(settled..self.ends.len(), growth);
        out.extend_from_within(from..end);
        bytes = bytes.wrapping_add(growth) + tail_bytes;
        let start = head + self.start - self.head;
        if 1 + varint_bytes(bytes as u64) != start - head {
            out.truncate(head);
            return false;
        }
        put_varint(&mut out[head + 1..start], bytes as u64);
        (self.head, self.start) = (head, start);
        let tail = out.len() - tail_bytes;
        put_value(&mut out[tail..], sample.value);
        true
    }

    #[inline]
    fn shift(&mut self, places: Range<usize>, bytes: usize) {
        if bytes != 0 {
            self.ends[places].iter_mut().for_each(|end| *end = end.wrapping_add(bytes));
        }
    }

    #[inline(never)]
    fn push_anew(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>, extra: &[(String, String)]) {
        self.head = out.len();
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

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
