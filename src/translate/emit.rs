//! One point's samples: the labels are sorted once, then name, bound and value change from sample
//! to sample.

use std::fmt::Write;

use crate::codec::otlp;
use crate::model::{
    recycle, sort_labels, Exemplar, Family, Label, MetricType, NativeHistogram, Part, Sample,
    NAME_LABEL,
};

use super::label_set::LabelSet;
use super::values::push_value;
use super::Out;

/// Most characters of an exemplar's labels, names and values (OpenMetrics 1.0, "Exemplars"); with
/// more it keeps its ids alone.
const EXEMPLAR_CHARACTERS_MAX: usize = 128;

/// The names of a metric's series, and its metadata.
#[derive(Debug, Default)]
pub struct Metadata {
    /// The metric's own, with `_bucket`, `_sum` and `_count`.
    pub name: String,
    pub bucket: String,
    pub sum: String,
    pub count: String,
    pub metric_type: MetricType,
    pub unit: String,
    pub help: String,
}

impl Metadata {
    pub fn set(&mut self, name: &str, metric_type: MetricType, unit: &str, help: &str) {
        let set = |to: &mut String, text: &str, suffix: &str| {
            to.clear();
            to.push_str(text);
            to.push_str(suffix);
        };
        set(&mut self.name, name, "");
        set(&mut self.bucket, name, "_bucket");
        set(&mut self.sum, name, "_sum");
        set(&mut self.count, name, "_count");
        set(&mut self.unit, unit, "");
        set(&mut self.help, help, "");
        self.metric_type = metric_type;
    }

    pub fn family(&self) -> Family<'_> {
        let (metric_type, unit) = (self.metric_type, self.unit.as_str());
        Family { name: &self.name, metric_type, unit, help: &self.help }
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

/// Buffers that are kept from point to point.
#[derive(Debug, Default)]
pub struct Buffers {
    labels: Vec<Label<'static>>,
    exemplar: ExemplarBuffer,
}

/// Says the samples of one point.
pub struct Emit<'s, O> {
    pub out: &'s mut O,
    metadata: &'s Metadata,
    family: Family<'s>,
    labels: Vec<Label<'s>>,
    name_at: usize,
    /// Where `le` or `quantile` is, once there is one.
    bound_at: Option<usize>,
    exemplar: &'s mut ExemplarBuffer,
    pub samples: u64,
}

impl<'s, O: FnMut(Out<'_>)> Emit<'s, O> {
    /// Runs `say` with the labels of `set`; returns how many samples it said.
    pub fn point(
        buffers: &'s mut Buffers,
        metadata: &'s Metadata,
        set: &'s LabelSet,
        out: &'s mut O,
        say: impl FnOnce(&mut Emit<'s, O>),
    ) -> u64 {
        let Buffers { labels: spare, exemplar } = buffers;
        let mut labels = recycle(std::mem::take(spare));
        labels.push(Label::new(NAME_LABEL, ""));
        labels.extend(set.labels().filter(|label| label.name != NAME_LABEL));
        sort_labels(&mut labels);
        let name_at = position(&labels, NAME_LABEL).unwrap_or(0);
        let (family, bound_at) = (metadata.family(), None);
        let mut emit =
            Emit { out, metadata, family, labels, name_at, bound_at, exemplar, samples: 0 };
        say(&mut emit);
        let Emit { labels, samples, .. } = emit;
        *spare = recycle(labels);
        samples
    }

    /// From here on samples have the label `name`, whose value [`Emit::bound`] says.
    pub fn bounds(&mut self, name: &'static str) {
        self.labels.retain(|label| label.name != name);
        self.labels.push(Label::new(name, ""));
        sort_labels(&mut self.labels);
        self.name_at = position(&self.labels, NAME_LABEL).unwrap_or(0);
        self.bound_at = position(&self.labels, name);
    }

    pub fn bound(&mut self, bound: &'s str) {
        if let Some(at) = self.bound_at {
            self.labels[at].value = bound;
        }
    }

    #[inline]
    pub fn sample(&mut self, part: Part, value: f64, timestamp_ms: i64) {
        self.sample_with(part, value, timestamp_ms, None);
    }

    #[inline]
    pub fn sample_with(
        &mut self,
        part: Part,
        value: f64,
        timestamp_ms: i64,
        exemplar: Option<&otlp::Exemplar<'_>>,
    ) {
        self.labels[self.name_at].value = self.metadata.of(part);
        let family = &self.family;
        let labels = &self.labels;
        let sample =
            Sample { family, part, labels, value, timestamp_ms, exemplar: None, histogram: None };
        match exemplar {
            None => (self.out)(Out::Sample(&sample)),
            Some(exemplar) => self.exemplar.with(exemplar, |exemplar| {
                (self.out)(Out::Sample(&Sample { exemplar: Some(exemplar), ..sample }));
            }),
        }
        self.samples += 1;
    }

    /// A native histogram.
    pub fn native(
        &mut self,
        histogram: &NativeHistogram<'_>,
        timestamp_ms: i64,
        exemplar: Option<&otlp::Exemplar<'_>>,
    ) {
        self.labels[self.name_at].value = &self.metadata.name;
        let is_stale = histogram.sum.to_bits() == crate::model::STALE_NAN_BITS;
        let value = if is_stale { histogram.sum } else { histogram.count as f64 };
        let sample = Sample {
            family: &self.family,
            part: Part::Value,
            labels: &self.labels,
            value,
            timestamp_ms,
            exemplar: None,
            histogram: Some(histogram),
        };
        match exemplar {
            None => (self.out)(Out::Sample(&sample)),
            Some(exemplar) => self.exemplar.with(exemplar, |exemplar| {
                (self.out)(Out::Sample(&Sample { exemplar: Some(exemplar), ..sample }));
            }),
        }
        self.samples += 1;
    }
}

fn position(labels: &[Label<'_>], name: &str) -> Option<usize> {
    labels.iter().position(|label| label.name == name)
}

/// An exemplar's labels as text.
#[derive(Debug, Default)]
struct ExemplarBuffer {
    text: String,
    /// Where each name and each value ends.
    ends: Vec<[usize; 2]>,
    labels: Vec<Label<'static>>,
}

impl ExemplarBuffer {
    fn with(&mut self, exemplar: &otlp::Exemplar<'_>, say: impl FnOnce(Exemplar<'_>)) {
        self.text.clear();
        self.ends.clear();
        for (name, id) in [("trace_id", exemplar.trace_id), ("span_id", exemplar.span_id)] {
            if !id.is_empty() {
                self.text.push_str(name);
                let name_end = self.text.len();
                for byte in id {
                    // Writing to a String cannot fail.
                    let _ = write!(self.text, "{byte:02x}");
                }
                self.ends.push([name_end, self.text.len()]);
            }
        }
        let ids = self.ends.len();
        for attribute in exemplar.attributes() {
            self.text.push_str(attribute.key);
            let name_end = self.text.len();
            push_value(&mut self.text, attribute.value);
            self.ends.push([name_end, self.text.len()]);
        }
        if self.text.chars().count() > EXEMPLAR_CHARACTERS_MAX {
            self.ends.truncate(ids);
        }
        let mut labels = recycle(std::mem::take(&mut self.labels));
        let mut start = 0;
        for [middle, end] in &self.ends {
            labels.push(Label::new(&self.text[start..*middle], &self.text[*middle..*end]));
            start = *end;
        }
        sort_labels(&mut labels);
        let value = exemplar.value.map_or(0.0, otlp::Number::to_f64);
        let timestamp_ms = (exemplar.time_ns > 0).then_some((exemplar.time_ns / 1_000_000) as i64);
        say(Exemplar { labels: &labels, value, timestamp_ms });
        self.labels = recycle(labels);
    }
}
