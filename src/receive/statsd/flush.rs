//! From the table to samples, family by family, a bounded piece at a time.
//!
//! All series of a flush have its time, but those whose last line carried one. A cumulative series
//! that is born starts with zeros at the time of the previous flush, so that `rate()` sees its
//! first increment; 1 ms later where it had ended there. A series that was silent for too long ends
//! with markers. A flush may be interrupted between two pieces, and lines taken in meanwhile.

use crate::model::{
    recycle, sort_labels, Family as ModelFamily, Label, MetricType, Part, Sample, NAME_LABEL,
    STALE_NAN_BITS,
};

use super::names::{push_labels, Form};
use super::series::{Series, Table, NONE};

/// Samples between two yields: half a millisecond in an encoder.
const PIECE_SAMPLES_MAX: usize = 1024;

/// What a flush says, in order.
pub enum Out<'a> {
    Sample(&'a Sample<'a>),
    EndFamily(&'a ModelFamily<'a>),
}

/// One flush: its times, and how far it got.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    /// Unix time of the flush; later than the previous one's.
    pub now_ms: i64,
    /// Of the previous flush, or of the table's beginning.
    pub previous_ms: i64,
    /// Seconds since the table's beginning.
    pub now_s: u32,
    /// Silence after which a series ends; 0 is never.
    pub idle_s: u32,
    /// Nothing but the markers of all series.
    pub is_end: bool,
    family: u32,
    /// The next series of that family; none at its beginning.
    series: Option<u32>,
}

impl Flush {
    pub fn new(now_ms: i64, previous_ms: i64, now_s: u32, idle_s: u32) -> Flush {
        Flush { now_ms, previous_ms, now_s, idle_s, is_end: false, family: 0, series: None }
    }

    /// The markers of all series, right behind their last samples.
    pub fn end(now_ms: i64) -> Flush {
        Flush { is_end: true, ..Flush::new(now_ms, now_ms, 0, 0) }
    }
}

/// Which of a series' numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Values,
    Zeros,
    Markers,
}

impl Table {
    /// Writes one piece; true when the flush is complete.
    pub fn flush(&mut self, flush: &mut Flush, out: &mut impl FnMut(Out<'_>)) -> bool {
        let complete = self.flush_piece(flush, out);
        self.forget_spellings();
        if complete && !flush.is_end {
            let [before, now] = &mut self.ended;
            std::mem::swap(before, now);
            before.sort_unstable();
            now.clear();
        }
        complete
    }

    fn flush_piece(&mut self, flush: &mut Flush, out: &mut impl FnMut(Out<'_>)) -> bool {
        let mut writer = Writer { out, names: Names::default(), labels: Vec::new(), samples: 0 };
        while let Some(family) = self.families.get(flush.family as usize) {
            if family.name.is_empty() {
                flush.family += 1;
                continue;
            }
            let mut next = flush.series.unwrap_or(family.first);
            writer.names.set(&family.name, family.form);
            while next != NONE {
                if writer.samples >= PIECE_SAMPLES_MAX {
                    flush.series = Some(next);
                    return false;
                }
                let id = next;
                next = self.series[id as usize].next;
                self.flush_series(id, flush, &mut writer);
            }
            writer.end_family();
            if self.families[flush.family as usize].first == NONE {
                self.remove_family(flush.family);
            }
            (flush.family, flush.series) = (flush.family + 1, None);
        }
        true
    }

    fn flush_series(
        &mut self,
        id: u32,
        flush: &Flush,
        writer: &mut Writer<'_, impl FnMut(Out<'_>)>,
    ) {
        let series = &self.series[id as usize];
        let silent_s = flush.now_s.saturating_sub(series.touched_s);
        let expires = flush.idle_s > 0 && silent_s >= flush.idle_s && !series.is_fresh;
        if flush.is_end || expires {
            if series.last_ms > 0 {
                writer.write(self, series, What::Markers, flush.now_ms);
            }
            if expires {
                self.remove(id);
            }
            return;
        }
        let mut after_ms = series.last_ms;
        if series.last_ms == 0 && series.state.is_cumulative() {
            let key = self.key(series.family, &series.labels);
            let had_ended = self.ended[0].binary_search(&key).is_ok();
            let zero_ms = flush.previous_ms + i64::from(had_ended);
            if zero_ms < flush.now_ms {
                writer.write(self, series, What::Zeros, zero_ms);
                after_ms = zero_ms;
            }
        }
        let given_ms = i64::from(series.time_s) * 1000;
        let is_given = series.time_s > 0 && series.is_fresh;
        let is_good = is_given && given_ms > after_ms && given_ms <= flush.now_ms;
        let time_ms = if is_good { given_ms } else { flush.now_ms };
        if !series.state.is_silent() {
            writer.write(self, series, What::Values, time_ms);
        }
        writer.write_gone(series, time_ms);
        let late = u64::from(is_given && !is_good);
        self.faults.late += late;
        let series = &mut self.series[id as usize];
        series.last_ms = time_ms;
        series.is_fresh = false;
        series.state.flushed();
    }
}

/// The names of a family's series.
#[derive(Default)]
struct Names {
    /// The family's own, with `_bucket`, `_sum` and `_count`.
    name: String,
    bucket: String,
    sum: String,
    count: String,
    metric_type: MetricType,
}

impl Names {
    fn set(&mut self, name: &str, form: Form) {
        let set = |to: &mut String, suffix: &str| {
            to.clear();
            to.push_str(name);
            to.push_str(suffix);
        };
        set(&mut self.name, "");
        set(&mut self.bucket, "_bucket");
        set(&mut self.sum, "_sum");
        set(&mut self.count, "_count");
        self.metric_type = match form {
            Form::Counter => MetricType::Counter,
            Form::Gauge | Form::Set => MetricType::Gauge,
            Form::Histogram | Form::Exponential => MetricType::Histogram,
            Form::Summary => MetricType::Summary,
        };
    }

    fn family(&self) -> ModelFamily<'_> {
        let (name, metric_type) = (self.name.as_str(), self.metric_type);
        ModelFamily { name, metric_type, ..ModelFamily::default() }
    }

    fn of(&self, part: Part) -> &str {
        match part {
            Part::Bucket => &self.bucket,
            Part::Sum => &self.sum,
            Part::Count => &self.count,
            Part::Value | Part::Quantile | Part::Created => &self.name,
        }
    }
}

struct Writer<'o, O> {
    out: &'o mut O,
    names: Names,
    labels: Vec<Label<'static>>,
    samples: usize,
}

impl<O: FnMut(Out<'_>)> Writer<'_, O> {
    fn write(&mut self, table: &Table, series: &Series, what: What, timestamp_ms: i64) {
        let stale = f64::from_bits(STALE_NAN_BITS);
        series.state.show(&table.buckets, |part, bound, value| {
            let value = match what {
                What::Values => value,
                What::Zeros if part == Part::Quantile => return,
                What::Zeros => 0.0,
                What::Markers => stale,
            };
            self.push(series, part, bound, value, timestamp_ms);
        });
    }

    /// Markers of buckets that the series had and has no more.
    fn write_gone(&mut self, series: &Series, timestamp_ms: i64) {
        let stale = f64::from_bits(STALE_NAN_BITS);
        series.state.show_gone(|bound| self.push(series, Part::Bucket, bound, stale, timestamp_ms));
    }

    fn push(&mut self, series: &Series, part: Part, bound: &str, value: f64, timestamp_ms: i64) {
        let family = self.names.family();
        let mut labels = recycle(std::mem::take(&mut self.labels));
        labels.push(Label::new(NAME_LABEL, self.names.of(part)));
        push_labels(&series.labels, &mut labels);
        match part {
            Part::Bucket => labels.push(Label::new("le", bound)),
            Part::Quantile => labels.push(Label::new("quantile", bound)),
            Part::Value | Part::Sum | Part::Count | Part::Created => {}
        }
        sort_labels(&mut labels);
        (self.out)(Out::Sample(&Sample {
            family: &family,
            part,
            labels: &labels,
            value,
            timestamp_ms,
            exemplar: None,
            histogram: None,
        }));
        self.labels = recycle(labels);
        self.samples += 1;
    }

    fn end_family(&mut self) {
        let family = self.names.family();
        (self.out)(Out::EndFamily(&family));
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
