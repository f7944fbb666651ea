//! The samples of one label set and time, and the data point they become (opentelemetry-proto,
//! metrics.proto).

use super::exponential;
use crate::codec::protobuf::{
    push_bytes, push_double, push_fixed64, push_message, push_varint_field, Fields,
};
use crate::model::{label_value, Exemplar, Family, MetricType, Part, Sample, STALE_NAN_BITS};

/// What a group becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    #[default]
    Gauge,
    /// Information and states: sums that are not monotonic.
    State,
    Counter,
    Histogram,
    Exponential,
    Summary,
}

impl Shape {
    /// It counts from a start time on.
    pub fn is_cumulative(self) -> bool {
        !matches!(self, Shape::Gauge | Shape::State)
    }
}

#[derive(Debug, Default)]
pub struct Group {
    pub shape: Shape,
    /// Identifies the series, whatever the time.
    pub series: u64,
    /// Identifies the point.
    pub key: u64,
    pub resource: usize,
    pub time_ms: i64,
    pub start_ms: i64,
    pub created_ms: Option<i64>,
    pub is_stale: bool,
    /// Empty where it is the family's.
    pub name: String,
    /// KeyValues as field 1.
    pub attributes: Vec<u8>,
    value: f64,
    sum: Option<f64>,
    count: Option<f64>,
    /// Bounds and cumulative counts, or quantiles and values.
    pairs: Vec<(f64, f64)>,
    /// Exemplars as field 1.
    exemplars: Vec<u8>,
    /// Scale and buckets of an exponential histogram, encoded.
    exponential: Vec<u8>,
}

impl Group {
    pub fn begin(&mut self, shape: Shape, series: u64, resource: usize, time_ms: i64) {
        let Group { mut name, mut attributes, mut pairs, mut exemplars, mut exponential, .. } =
            std::mem::take(self);
        name.clear();
        attributes.clear();
        pairs.clear();
        exemplars.clear();
        exponential.clear();
        let buffers = Group { name, attributes, pairs, exemplars, exponential, ..Group::default() };
        *self = Group { shape, series, resource, time_ms, ..buffers };
    }

    pub fn take(&mut self, sample: &Sample<'_>) {
        let value = sample.value;
        let bound = |name| label_value(sample.labels, name).parse().unwrap_or(f64::NAN);
        if sample.part == Part::Created {
            self.created_ms = (value > 0.0).then_some((value * 1000.0) as i64);
            return;
        }
        self.is_stale |= sample.is_stale_marker();
        if let Some(histogram) = &sample.histogram {
            (self.count, self.sum) = (Some(histogram.count as f64), Some(histogram.sum));
            self.is_stale |= histogram.sum.to_bits() == STALE_NAN_BITS;
            exponential::push(&mut self.exponential, histogram);
        }
        match (self.shape, sample.part) {
            (Shape::Histogram | Shape::Summary, Part::Sum) => self.sum = Some(value),
            (Shape::Histogram | Shape::Summary, Part::Count) => self.count = Some(value),
            (Shape::Histogram, _) => self.pairs.push((bound("le"), value)),
            (Shape::Summary, _) => self.pairs.push((bound("quantile"), value)),
            (Shape::Exponential, _) => {}
            _ => {
                self.value = value;
                if self.name.is_empty() {
                    self.name.push_str(sample.name());
                }
            }
        }
        if let Some(exemplar) = &sample.exemplar {
            push_exemplar(&mut self.exemplars, exemplar, self.time_ms);
        }
    }

    /// What only grows: the counter, or the count.
    pub fn total(&self) -> f64 {
        match self.shape {
            Shape::Histogram | Shape::Exponential | Shape::Summary => self.count(),
            _ => self.value,
        }
    }

    fn count(&self) -> f64 {
        let last = self.pairs.iter().find(|(bound, _)| *bound == f64::INFINITY);
        let in_buckets = last.filter(|_| self.shape == Shape::Histogram).map(|(_, count)| *count);
        self.count.or(in_buckets).unwrap_or(0.0)
    }

    fn push_times(&self, out: &mut Vec<u8>) {
        if self.start_ms > 0 {
            push_fixed64(out, 2, to_ns(self.start_ms));
        }
        push_fixed64(out, 3, to_ns(self.time_ms));
    }

    /// Writes a list that was kept as field 1.
    fn push_as(out: &mut Vec<u8>, number: u32, list: &[u8]) {
        Fields::new(list).for_each(|(_, value)| push_bytes(out, number, value.bytes()));
    }

    fn push_number(&self, out: &mut Vec<u8>) {
        self.push_times(out);
        if self.is_stale {
            push_varint_field(out, 8, 1);
        } else {
            push_double(out, 4, self.value);
        }
        Group::push_as(out, 5, &self.exemplars);
        Group::push_as(out, 7, &self.attributes);
    }

    /// A series that ends still tells its bounds, without which nobody knows what ends with it.
    fn push_no_value(&self, out: &mut Vec<u8>, flags: u32) {
        if self.is_stale {
            push_varint_field(out, flags, 1);
        }
    }

    fn unless_stale(&self, value: f64) -> f64 {
        if self.is_stale {
            return 0.0;
        }
        value
    }

    fn push_histogram(&self, out: &mut Vec<u8>) {
        self.push_times(out);
        Group::push_as(out, 9, &self.attributes);
        self.push_no_value(out, 10);
        let count = self.count();
        push_fixed64(out, 4, count as u64);
        if let Some(sum) = self.sum {
            push_double(out, 5, self.unless_stale(sum));
        }
        let mut bounds: Vec<(f64, f64)> =
            self.pairs.iter().filter(|(bound, _)| bound.is_finite()).copied().collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        bounds.dedup_by(|a, b| a.0 == b.0);
        if !self.pairs.is_empty() {
            let mut before = 0.0;
            push_message(out, 6, |out| {
                for (_, total) in bounds.iter().chain([&(f64::INFINITY, count)]) {
                    // A float that is too large or below zero is cut off.
                    let own = (total - before) as u64;
                    out.extend_from_slice(&own.to_le_bytes());
                    before = *total;
                }
            });
            push_message(out, 7, |out| {
                bounds.iter().for_each(|(bound, _)| {
                    out.extend_from_slice(&bound.to_bits().to_le_bytes());
                });
            });
        }
        Group::push_as(out, 8, &self.exemplars);
    }

    fn push_exponential(&self, out: &mut Vec<u8>) {
        self.push_times(out);
        Group::push_as(out, 1, &self.attributes);
        self.push_no_value(out, 10);
        push_fixed64(out, 4, self.count() as u64);
        if let Some(sum) = self.sum {
            push_double(out, 5, self.unless_stale(sum));
        }
        out.extend_from_slice(&self.exponential);
        Group::push_as(out, 11, &self.exemplars);
    }

    fn push_summary(&self, out: &mut Vec<u8>) {
        self.push_times(out);
        Group::push_as(out, 7, &self.attributes);
        self.push_no_value(out, 8);
        push_fixed64(out, 4, self.count() as u64);
        push_double(out, 5, self.unless_stale(self.sum.unwrap_or(0.0)));
        for (quantile, value) in &self.pairs {
            push_message(out, 6, |out| {
                push_double(out, 1, *quantile);
                push_double(out, 2, self.unless_stale(*value));
            });
        }
    }
}

/// A time in nanoseconds: pages may say any, and what OTLP has no place for is cut off.
fn to_ns(ms: i64) -> u64 {
    (ms.max(0) as u64).saturating_mul(1_000_000)
}

/// Appends a Metric, as field 2, with points of one resource, shape and name.
pub fn push_metric(out: &mut Vec<u8>, family: &Family<'_>, points: &[Group]) {
    let Some(first) = points.first() else { return };
    push_message(out, 2, |out| {
        push_bytes(out, 1, first.name.as_bytes());
        for (number, text) in [(2, family.help), (3, family.unit)] {
            if !text.is_empty() {
                push_bytes(out, number, text.as_bytes());
            }
        }
        let points = |out: &mut Vec<u8>, push: fn(&Group, &mut Vec<u8>)| {
            points.iter().for_each(|point| push_message(out, 1, |out| push(point, out)));
        };
        match first.shape {
            Shape::Gauge => push_message(out, 5, |out| points(out, Group::push_number)),
            Shape::Counter | Shape::State => push_message(out, 7, |out| {
                points(out, Group::push_number);
                push_varint_field(out, 2, CUMULATIVE);
                if first.shape == Shape::Counter {
                    push_varint_field(out, 3, 1);
                }
            }),
            Shape::Histogram => push_message(out, 9, |out| {
                points(out, Group::push_histogram);
                push_varint_field(out, 2, CUMULATIVE);
            }),
            Shape::Exponential => push_message(out, 10, |out| {
                points(out, Group::push_exponential);
                push_varint_field(out, 2, CUMULATIVE);
            }),
            Shape::Summary => push_message(out, 11, |out| points(out, Group::push_summary)),
        }
        let before = match family.metric_type {
            MetricType::Unknown => "unknown",
            MetricType::Info => "info",
            MetricType::StateSet => "stateset",
            _ => return,
        };
        push_attribute(out, 12, "prometheus.type", before);
    });
}

/// AGGREGATION_TEMPORALITY_CUMULATIVE.
const CUMULATIVE: u64 = 2;

/// Appends a KeyValue with a string.
pub fn push_attribute(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    push_message(out, number, |out| {
        push_bytes(out, 1, key.as_bytes());
        push_message(out, 2, |out| push_bytes(out, 1, value.as_bytes()));
    });
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar<'_>, sample_ms: i64) {
    push_message(out, 1, |out| {
        let time_ms = exemplar.timestamp_ms.unwrap_or(sample_ms);
        push_fixed64(out, 2, to_ns(time_ms));
        push_double(out, 3, exemplar.value);
        for label in exemplar.labels {
            let id = match label.name {
                "span_id" => Some((4, 8)),
                "trace_id" => Some((5, 16)),
                _ => None,
            };
            let id = id.and_then(|(number, bytes)| Some((number, from_hex(label.value, bytes)?)));
            match id {
                Some((number, id)) => push_bytes(out, number, &id),
                None => push_attribute(out, 7, label.name, label.value),
            }
        }
    });
}

/// An id of that many bytes.
fn from_hex(text: &str, bytes: usize) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks_exact(2);
    let id: Option<Vec<u8>> =
        pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    id.filter(|_| text.len() == 2 * bytes)
}
