//! One series after the other: what one has in common with the last is copied from there.
//!
//! The result is byte by byte what [`push_series`] writes.

use std::ops::Range;

use super::encode::{
    label_field_bytes, make_room, push_head, push_series, put_label, put_sample, sample_bytes,
};
use crate::model::{Changes, Label, Sample};

/// Where the labels of the series last written stand in its buffer.
#[derive(Debug, Default)]
pub struct LastSeries {
    /// Where the first one starts.
    start: usize,
    /// Where each one ends, counted from there; empty if there is none to copy.
    ends: Vec<usize>,
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
        let is_plain = extra.is_empty() && sample.histogram.is_none() && sample.exemplar.is_none();
        if !is_plain || changes.is_all() || self.ends.len() != sample.labels.len() {
            return self.push_anew(out, sample, extra);
        }
        let sample_bytes = sample_bytes(sample.timestamp_ms);
        let (bytes, is_in_place) = self.measure(sample.labels, changes);
        push_head(out, bytes + 2 + sample_bytes);
        let start = out.len();
        if is_in_place {
            self.copy_and_write_over(out, sample.labels, changes);
        } else {
            self.copy_around(out, sample.labels, changes);
        }
        self.start = start;
        let room = make_room(out, 2 + sample_bytes);
        put_sample(room, sample_bytes as u8, sample.value, sample.timestamp_ms);
    }

    /// How long labels are that differ from the last ones by `changes`, and whether each of them is
    /// as long as before.
    #[inline]
    fn measure(&self, labels: &[Label<'_>], changes: Changes) -> (usize, bool) {
        let mut bytes = self.ends.last().copied().unwrap_or_default();
        let mut is_in_place = true;
        for place in changes.places() {
            let (now, before) = (label_field_bytes(&labels[place]), self.span(place).len());
            is_in_place &= now == before;
            bytes = bytes + now - before;
        }
        (bytes, is_in_place)
    }

    /// Where the label at `place` stands, counted from the first one's start.
    #[inline]
    fn span(&self, place: usize) -> Range<usize> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[place]
    }

    #[inline]
    fn copy_and_write_over(&self, out: &mut Vec<u8>, labels: &[Label<'_>], changes: Changes) {
        let (start, bytes) = (out.len(), self.ends.last().copied().unwrap_or_default());
        out.extend_from_within(self.start..self.start + bytes);
        for place in changes.places() {
            let (end, value) = (start + self.ends[place], labels[place].value.as_bytes());
            out[end - value.len()..end].copy_from_slice(value);
        }
    }

    #[inline]
    fn copy_around(&mut self, out: &mut Vec<u8>, labels: &[Label<'_>], changes: Changes) {
        let mut from = 0;
        for place in changes.places() {
            let span = self.span(place);
            out.extend_from_within(self.start + from..self.start + span.start);
            put_label(make_room(out, label_field_bytes(&labels[place])), &labels[place]);
            from = span.end;
        }
        let bytes = self.ends.last().copied().unwrap_or_default();
        out.extend_from_within(self.start + from..self.start + bytes);
        for place in changes.places() {
            let (now, before) = (label_field_bytes(&labels[place]), self.span(place).len());
            self.ends[place..].iter_mut().for_each(|end| *end = *end + now - before);
        }
    }

    #[inline(never)]
    fn push_anew(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>, extra: &[(String, String)]) {
        self.start = push_series(out, sample, extra);
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
