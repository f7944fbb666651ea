//! What a series holds between flushes, and the samples it makes of that.

use std::fmt::Write;

use crate::codec::statsd::Value;
use crate::model::{push_float, FloatStyle, Part, NORMAL_NAN_BITS};

use super::exponential::{Bounds, Exponential};
use super::names::Form;
use super::set::Set;

/// The ranks of a summary, as text and number: statsd_exporter's.
const RANKS: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// The value of a series. What grows is on the heap, so that counters stay small.
#[derive(Debug)]
pub enum State {
    Counter(f64),
    Gauge(f64),
    /// Emptied by each flush; true once a zero was sent.
    Set(Box<(Set, bool)>),
    Histogram(Box<Histogram>),
    Summary(Box<Summary>),
    Exponential(Box<Adapting>),
}

/// A classic histogram: weight per bucket, the last one beyond all bounds.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[f64]>,
    sum: f64,
}

/// Quantiles of the values since the last flush; sum and count since the series began.
#[derive(Debug, Default)]
pub struct Summary {
    recent: Exponential,
    count: f64,
    sum: f64,
}

/// An exponential histogram and the bounds it was last sent with.
#[derive(Debug, Default)]
pub struct Adapting {
    histogram: Exponential,
    sent: Option<Bounds>,
}

/// Bounds of classic histograms and how `le` writes them.
#[derive(Debug)]
pub struct Buckets {
    bounds: Vec<f64>,
    texts: Vec<String>,
}

impl Buckets {
    pub fn new(bounds: &[f64]) -> Buckets {
        let text = |bound: &f64| {
            let mut text = String::new();
            push_float(&mut text, *bound, FloatStyle::Bound);
            text
        };
        Buckets { bounds: bounds.to_vec(), texts: bounds.iter().map(text).collect() }
    }
}

impl State {
    pub fn new(form: Form, buckets: &Buckets) -> State {
        match form {
            Form::Counter => State::Counter(0.0),
            Form::Gauge => State::Gauge(0.0),
            Form::Set => State::Set(Box::default()),
            Form::Histogram => {
                let counts = vec![0.0; buckets.bounds.len() + 1].into();
                State::Histogram(Box::new(Histogram { counts, sum: 0.0 }))
            }
            Form::Summary => State::Summary(Box::default()),
            Form::Exponential => State::Exponential(Box::default()),
        }
    }

    /// Takes a number in; `weight` is how many events it stands for.
    #[inline]
    pub fn record(&mut self, value: f64, weight: f64, buckets: &Buckets) {
        match self {
            State::Counter(total) => add(total, value * weight),
            State::Gauge(last) => *last = value,
            State::Set(_) => {}
            State::Histogram(histogram) => {
                // Few bounds: walking them is faster than halving.
                let at = buckets.bounds.iter().take_while(|bound| value > **bound).count();
                histogram.counts[at] += weight;
                add(&mut histogram.sum, value * weight);
            }
            State::Summary(summary) => {
                summary.recent.record(value, weight);
                summary.count += weight;
                add(&mut summary.sum, value * weight);
            }
            State::Exponential(adapting) => adapting.histogram.record(value, weight),
        }
    }

    /// Takes a value that is no plain number in; `hash` is a set member's.
    pub fn record_other(&mut self, value: Value<'_>, hash: u64) {
        match (self, value) {
            (State::Gauge(last), Value::Change(change)) => {
                add(last, change);
            }
            (State::Set(set), Value::Text(_)) => set.0.insert(hash),
            _ => {}
        }
    }

    /// A set that stays empty has nothing more to say.
    pub fn is_silent(&self) -> bool {
        matches!(self, State::Set(set) if set.0.is_empty() && set.1)
    }

    /// True where each value counts for ever: such a series begins with zeros.
    pub fn is_cumulative(&self) -> bool {
        !matches!(self, State::Gauge(_) | State::Set(_))
    }

    /// The most that this state comes to hold on the heap.
    pub fn heap_bytes_max(&self) -> usize {
        match self {
            State::Counter(_) | State::Gauge(_) => 0,
            State::Set(_) => Set::HEAP_BYTES_MAX + size_of::<(Set, bool)>(),
            State::Histogram(histogram) => {
                size_of::<Histogram>() + size_of_val::<[f64]>(&histogram.counts)
            }
            State::Summary(_) => Exponential::HEAP_BYTES_MAX + size_of::<Summary>(),
            State::Exponential(_) => Exponential::HEAP_BYTES_MAX + size_of::<Adapting>(),
        }
    }

    /// Shows each cumulative or momentary number there is: its part, its `le` or `quantile`, and
    /// the number.
    pub fn show(&self, buckets: &Buckets, mut show: impl FnMut(Part, &str, f64)) {
        match self {
            State::Counter(value) | State::Gauge(value) => show(Part::Value, "", *value),
            State::Set(set) => show(Part::Value, "", set.0.count()),
            State::Histogram(histogram) => {
                let mut below = 0.0;
                for (text, count) in buckets.texts.iter().zip(&histogram.counts) {
                    below += count;
                    show(Part::Bucket, text, below);
                }
                let count = below + histogram.counts.last().unwrap_or(&0.0);
                show(Part::Bucket, "+Inf", count);
                show(Part::Sum, "", histogram.sum);
                show(Part::Count, "", count);
            }
            State::Summary(summary) => {
                for (text, rank) in RANKS {
                    let value = summary.recent.quantile(rank);
                    let value =
                        if value.is_nan() { f64::from_bits(NORMAL_NAN_BITS) } else { value };
                    show(Part::Quantile, text, value);
                }
                show(Part::Sum, "", summary.sum);
                show(Part::Count, "", summary.count);
            }
            State::Exponential(adapting) => {
                let histogram = &adapting.histogram;
                let (bounds, mut text) = (histogram.bounds(), String::new());
                for bound in bounds.first..=bounds.last {
                    le(&mut text, bounds.value(bound));
                    show(Part::Bucket, &text, histogram.below(bound));
                }
                show(Part::Bucket, "+Inf", histogram.count);
                show(Part::Sum, "", histogram.sum);
                show(Part::Count, "", histogram.count);
            }
        }
    }

    /// Shows the `le` of buckets that were sent and are no more.
    pub fn show_gone(&self, mut show: impl FnMut(&str)) {
        let State::Exponential(adapting) = self else { return };
        let Some(sent) = adapting.sent else { return };
        let mut text = String::new();
        for bound in sent.gone_in(adapting.histogram.bounds()) {
            le(&mut text, bound);
            show(&text);
        }
    }

    /// Ends the interval: what was shown has been sent.
    pub fn flushed(&mut self) {
        match self {
            State::Set(set) => {
                set.1 = set.0.is_empty();
                set.0.clear();
            }
            State::Summary(summary) => summary.recent.clear(),
            State::Exponential(adapting) => adapting.sent = Some(adapting.histogram.bounds()),
            State::Counter(_) | State::Gauge(_) | State::Histogram(_) => {}
        }
    }
}

/// Adds without ever becoming infinite.
fn add(total: &mut f64, more: f64) {
    *total = (*total + more).clamp(f64::MIN, f64::MAX);
}

/// A computed bound as text, to nine digits: enough to tell bounds apart that lie 9 % from each
/// other.
fn le(text: &mut String, bound: f64) {
    text.clear();
    let _ = write!(text, "{bound:.8e}");
    let rounded = text.parse().unwrap_or(bound);
    text.clear();
    push_float(text, rounded, FloatStyle::Bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(state: &State, buckets: &Buckets) -> String {
        let mut out = Vec::new();
        state.show(buckets, |part, text, value| out.push(format!("{part:?}{text} {value}")));
        out.join(", ")
    }

    #[test]
    fn every_form_shows_what_it_took() {
        let buckets = Buckets::new(&[0.1, 1.0]);
        let state = |form: Form, values: &[f64]| {
            let mut state = State::new(form, &buckets);
            values.iter().for_each(|value| state.record(*value, 2.5, &buckets));
            shown(&state, &buckets)
        };
        assert_eq!(state(Form::Counter, &[1.0, 2.0]), "Value 7.5");
        assert_eq!(state(Form::Gauge, &[1.0, 2.0]), "Value 2");
        assert_eq!(
            state(Form::Histogram, &[0.1, 0.2, 1.0, 7.0]),
            "Bucket0.1 2.5, Bucket1.0 7.5, Bucket+Inf 10, Sum 20.75, Count 10"
        );
        assert_eq!(
            state(Form::Summary, &[4.0, 4.0]),
            "Quantile0.5 4, Quantile0.9 4, Quantile0.99 4, Sum 20, Count 5"
        );
        assert_eq!(
            state(Form::Exponential, &[-1.0, 4.0]),
            "Bucket3.66801617 2.5, Bucket4.0 5, Bucket+Inf 5, Sum 7.5, Count 5"
        );
        assert_eq!(state(Form::Counter, &[f64::MAX, f64::MAX]), format!("Value {}", f64::MAX));
    }

    #[test]
    fn gauges_change_and_sets_begin_again() {
        let buckets = Buckets::new(&[]);
        let mut gauge = State::new(Form::Gauge, &buckets);
        gauge.record_other(Value::Change(-3.0), 0);
        gauge.record_other(Value::Change(1.0), 0);
        assert_eq!(shown(&gauge, &buckets), "Value -2");
        let mut set = State::new(Form::Set, &buckets);
        [1, 2, 2].iter().for_each(|hash| set.record_other(Value::Text(b""), *hash));
        for (expected, silent) in [("Value 2", false), ("Value 0", false), ("Value 0", true)] {
            assert_eq!((shown(&set, &buckets).as_str(), set.is_silent()), (expected, silent));
            set.flushed();
        }
        set.record_other(Value::Text(b""), 3);
        assert_eq!(shown(&set, &buckets), "Value 1");
    }

    #[test]
    fn the_state_of_a_series_is_small() {
        assert_eq!(size_of::<State>(), 16);
        let buckets = Buckets::new(&[1.0; super::super::BUCKETS_MAX]);
        for form in [Form::Histogram, Form::Summary, Form::Exponential] {
            let mut state = State::new(form, &buckets);
            for exponent in -60..60 {
                state.record(f64::from(exponent).exp2(), 1.0, &buckets);
            }
            assert!(state.heap_bytes_max() < 900, "{form:?}: {}", state.heap_bytes_max());
        }
    }
}
