//! One point of each kind, to its samples (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility", "OTLP Metric points to Prometheus").

use std::fmt::Write;

use crate::codec::otlp::{
    Attributes, Data, Exemplar, Exemplars, ExponentialPoint, HistogramPoint, NumberPoint,
    SummaryPoint, Temporality, NO_RECORDED_VALUE,
};
use crate::model::{NativeBuckets, NativeHistogram, Part, STALE_NAN_BITS};

use super::delta::{Classic, Value, BOUNDS_MAX};
use super::emit::Emit;
use super::exponential::{Exponential, Native};
use super::to_samples::{Translator, Walk};
use super::{Out, Reason};

/// Buffers that are kept from point to point.
#[derive(Debug, Default)]
pub struct Scratch {
    classic: Classic,
    exponential: Exponential,
    native: Native,
    /// Upper bounds and cumulative counts, and the bounds as text.
    buckets: Vec<(f64, u64)>,
    bounds: Bounds,
}

/// Bounds as text: the shortest decimal without exponent. Points of a metric have the same ones,
/// mostly, and they are kept.
#[derive(Debug, Default)]
struct Bounds {
    values: Vec<f64>,
    text: String,
    ends: Vec<usize>,
}

impl Bounds {
    fn set(&mut self, bounds: impl Iterator<Item = f64> + Clone) {
        if bounds.clone().eq(self.values.iter().copied()) {
            return;
        }
        self.values.clear();
        self.text.clear();
        self.ends.clear();
        for bound in bounds {
            self.values.push(bound);
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{bound}");
            self.ends.push(self.text.len());
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// When, and whether there is a value at all.
#[derive(Clone, Copy)]
struct When {
    start_ns: u64,
    time_ns: u64,
    is_stale: bool,
}

impl When {
    fn new(start_ns: u64, time_ns: u64, flags: u32) -> When {
        When { start_ns, time_ns, is_stale: flags & NO_RECORDED_VALUE != 0 }
    }

    fn ms(self) -> i64 {
        to_ms(self.time_ns)
    }

    /// The value, or the marker that ends the series.
    fn or_marker(self, value: f64) -> f64 {
        if self.is_stale {
            f64::from_bits(STALE_NAN_BITS)
        } else {
            value
        }
    }
}

fn to_ms(time_ns: u64) -> i64 {
    (time_ns / 1_000_000) as i64
}

/// What became of a point: samples said, or why not.
type Said = Result<u64, Reason>;

impl Translator {
    /// Says the open metric's next point; false when there is none.
    pub(super) fn point(
        &mut self,
        walk: &mut Walk<'_>,
        now_s: u32,
        out: &mut impl FnMut(Out<'_>),
    ) -> bool {
        let Some(open) = &mut walk.open else { return false };
        let said = match open.data {
            Data::Gauge | Data::Sum { .. } => {
                let Some(point) = open.points.next_number() else { return false };
                self.number(walk, &point, now_s, out)
            }
            Data::Histogram(_) => {
                let Some(point) = open.points.next_histogram() else { return false };
                self.histogram(walk, &point, now_s, out)
            }
            Data::ExponentialHistogram(_) => {
                let Some(point) = open.points.next_exponential() else { return false };
                self.exponential(walk, &point, now_s, out)
            }
            Data::Summary => {
                let Some(point) = open.points.next_summary() else { return false };
                self.summary(walk, &point, out)
            }
            Data::Unknown => return false,
        };
        walk.report.points += 1;
        match said {
            Ok(samples) => {
                walk.report.samples += samples;
                if let Some(open) = &mut walk.open {
                    open.is_used = true;
                }
            }
            Err(drop) => walk.report.drop(drop, 1),
        }
        true
    }

    fn number<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        point: &NumberPoint<'a>,
        now_s: u32,
        out: &mut impl FnMut(Out<'_>),
    ) -> Said {
        let when = When::new(point.start_ns, point.time_ns, point.flags);
        walk.newest_ns = walk.newest_ns.max(when.time_ns);
        let (temporality, is_monotonic) = match walk.open.as_ref().map(|open| open.data) {
            Some(Data::Sum { temporality, is_monotonic }) => (temporality, is_monotonic),
            _ => (Temporality::Cumulative, false),
        };
        let mut value = match point.value {
            Some(value) => value.to_f64(),
            None if when.is_stale => 0.0,
            None => return Err(Reason::NoValue),
        };
        let is_watched = is_monotonic && walk.watch > 0;
        let key = self.key(walk, is_watched, temporality, point.attributes(), when);
        let zero_ns = self.sum_up(temporality, key, when, Value::Number(&mut value), now_s)?;
        if !self.rules.point(&mut self.set, point.attributes(), &walk.promoted, &mut walk.sorted) {
            return Err(Reason::Name);
        }
        let exemplar = if is_monotonic { point.exemplars().last() } else { None };
        Ok(Emit::point(&mut self.buffers, &self.metadata, &self.set, out, |emit| {
            if let Some(zero_ns) = zero_ns.filter(|_| is_monotonic) {
                emit.sample(Part::Value, 0.0, to_ms(zero_ns));
            }
            let value = when.or_marker(value);
            emit.sample_with(Part::Value, value, when.ms(), exemplar.as_ref());
        }))
    }

    /// Identifies the point's series, where that is needed: to sum it up, and to look at the start
    /// times of the first points of a resource that does not say which it is.
    fn key(
        &mut self,
        walk: &mut Walk<'_>,
        is_watched: bool,
        temporality: Temporality,
        attributes: Attributes<'_>,
        when: When,
    ) -> u64 {
        if temporality != Temporality::Delta && !is_watched {
            return 0;
        }
        let key = self.hash(attributes, walk.open.as_ref().map_or(0, |open| open.key));
        if temporality == Temporality::Cumulative {
            walk.watch -= 1;
            walk.report.found_shared_resource |= self.prefork.sees(key, when.start_ns);
        }
        key
    }

    /// Makes a delta cumulative. Returns when the series was zero, if it begins here.
    fn sum_up(
        &mut self,
        temporality: Temporality,
        key: u64,
        when: When,
        value: Value<'_>,
        now_s: u32,
    ) -> Result<Option<u64>, Reason> {
        match temporality {
            Temporality::Cumulative => Ok(None),
            Temporality::Unspecified => Err(Reason::Temporality),
            Temporality::Delta if when.is_stale => Ok(None),
            Temporality::Delta => self.streams.add(key, when.start_ns, when.time_ns, value, now_s),
        }
    }

    fn histogram<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        point: &HistogramPoint<'a>,
        now_s: u32,
        out: &mut impl FnMut(Out<'_>),
    ) -> Said {
        let when = When::new(point.start_ns, point.time_ns, point.flags);
        walk.newest_ns = walk.newest_ns.max(when.time_ns);
        let Some(Data::Histogram(temporality)) = walk.open.as_ref().map(|open| open.data) else {
            return Err(Reason::Temporality);
        };
        let mut classic = std::mem::take(&mut self.scratch.classic);
        let read = read_classic(&mut classic, point);
        let key = self.key(walk, walk.watch > 0, temporality, point.attributes(), when);
        let summed = read.and_then(|()| {
            self.sum_up(temporality, key, when, Value::Classic(&mut classic), now_s)
        });
        let Scratch { buckets, .. } = &mut self.scratch;
        buckets.clear();
        let mut total = 0_u64;
        // A bound of +Inf would be the last bucket's twin.
        let finite = classic.bounds.iter().take_while(|bound| **bound != f64::INFINITY);
        for (bound, count) in finite.zip(&classic.counts) {
            total = total.saturating_add(*count);
            buckets.push((*bound, total));
        }
        let (count, sum) = (classic.count, classic.sum);
        self.scratch.classic = classic;
        let zero_ns = summed?;
        if !self.rules.point(&mut self.set, point.attributes(), &walk.promoted, &mut walk.sorted) {
            return Err(Reason::Name);
        }
        Ok(self.buckets(when, zero_ns, count, sum, point.exemplars(), out))
    }

    /// Says the buckets in the scratch, sum and count; before them zeros, if the series begins.
    fn buckets(
        &mut self,
        when: When,
        zero_ns: Option<u64>,
        count: u64,
        sum: Option<f64>,
        exemplars: Exemplars<'_>,
        out: &mut impl FnMut(Out<'_>),
    ) -> u64 {
        let Scratch { buckets, bounds, .. } = &mut self.scratch;
        bounds.set(buckets.iter().map(|(bound, _)| *bound));
        let rounds = zero_ns.map(|zero_ns| (to_ms(zero_ns), true));
        let rounds = rounds.into_iter().chain([(when.ms(), false)]);
        let (buckets, bounds) = (&*buckets, &*bounds);
        let mut said = 0;
        for (time_ms, is_zero) in rounds {
            let shown = |value: f64| if is_zero { 0.0 } else { when.or_marker(value) };
            let has_exemplars = !is_zero && { exemplars }.next().is_some();
            said += Emit::point(&mut self.buffers, &self.metadata, &self.set, out, |emit| {
                if let Some(sum) = sum {
                    emit.sample(Part::Sum, shown(sum), time_ms);
                }
                emit.sample(Part::Count, shown(count as f64), time_ms);
                emit.bounds("le");
                let mut lower = f64::NEG_INFINITY;
                let infinity = ("+Inf", &(f64::INFINITY, count));
                for (text, (bound, count)) in bounds.iter().zip(buckets).chain([infinity]) {
                    emit.bound(text);
                    let exemplar = match has_exemplars {
                        true => exemplar_of(exemplars, lower, *bound),
                        false => None,
                    };
                    let value = shown(*count as f64);
                    emit.sample_with(Part::Bucket, value, time_ms, exemplar.as_ref());
                    lower = *bound;
                }
            });
        }
        said
    }

    fn exponential<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        point: &ExponentialPoint<'a>,
        now_s: u32,
        out: &mut impl FnMut(Out<'_>),
    ) -> Said {
        let when = When::new(point.start_ns, point.time_ns, point.flags);
        walk.newest_ns = walk.newest_ns.max(when.time_ns);
        let data = walk.open.as_ref().map(|open| open.data);
        let Some(Data::ExponentialHistogram(temporality)) = data else {
            return Err(Reason::Temporality);
        };
        let mut histogram = std::mem::take(&mut self.scratch.exponential);
        let is_read = histogram.read(point);
        let key = self.key(walk, walk.watch > 0, temporality, point.attributes(), when);
        if !is_read {
            self.scratch.exponential = histogram;
            return Err(Reason::Buckets);
        }
        let summed = self.sum_up(temporality, key, when, Value::Exponential(&mut histogram), now_s);
        let is_good = match self.native_histograms {
            true => histogram.make_native(),
            false => {
                let Scratch { buckets, .. } = &mut self.scratch;
                buckets.clear();
                histogram.classic(|bound, count| buckets.push((bound, count)));
                true
            }
        };
        self.scratch.exponential = histogram;
        let zero_ns = summed?;
        if !is_good {
            return Err(Reason::Buckets);
        }
        if !self.rules.point(&mut self.set, point.attributes(), &walk.promoted, &mut walk.sorted) {
            return Err(Reason::Name);
        }
        if self.native_histograms {
            return Ok(self.native(when, zero_ns, point.exemplars(), out));
        }
        let (count, sum) = (self.scratch.exponential.count, self.scratch.exponential.sum);
        Ok(self.buckets(when, zero_ns, count, sum, point.exemplars(), out))
    }

    /// Says the exponential histogram in the scratch as a native one.
    fn native(
        &mut self,
        when: When,
        zero_ns: Option<u64>,
        exemplars: Exemplars<'_>,
        out: &mut impl FnMut(Out<'_>),
    ) -> u64 {
        let Scratch { exponential, native, .. } = &mut self.scratch;
        native.set(exponential);
        let (native, set, metadata) = (&*native, &self.set, &self.metadata);
        let histogram = NativeHistogram {
            count: if when.is_stale { 0 } else { exponential.count },
            sum: when.or_marker(exponential.sum.unwrap_or(0.0)),
            schema: exponential.scale,
            zero_threshold: exponential.zero_threshold,
            zero_count: if when.is_stale { 0 } else { exponential.zero_count },
            negative: side(&native.negative, when.is_stale),
            positive: side(&native.positive, when.is_stale),
        };
        let exemplar = exemplars.last();
        Emit::point(&mut self.buffers, metadata, set, out, |emit| {
            if let Some(zero_ns) = zero_ns {
                let empty = NativeBuckets::default();
                let zero = NativeHistogram {
                    count: 0,
                    sum: 0.0,
                    zero_count: 0,
                    negative: empty,
                    positive: empty,
                    ..histogram
                };
                emit.native(&zero, to_ms(zero_ns), None);
            }
            emit.native(&histogram, when.ms(), exemplar.as_ref());
        })
    }

    fn summary<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        point: &SummaryPoint<'a>,
        out: &mut impl FnMut(Out<'_>),
    ) -> Said {
        let when = When::new(point.start_ns, point.time_ns, point.flags);
        walk.newest_ns = walk.newest_ns.max(when.time_ns);
        if !self.rules.point(&mut self.set, point.attributes(), &walk.promoted, &mut walk.sorted) {
            return Err(Reason::Name);
        }
        if point.quantiles().nth(BOUNDS_MAX).is_some() {
            return Err(Reason::Buckets);
        }
        self.scratch.bounds.set(point.quantiles().map(|(quantile, _)| quantile));
        let bounds = &self.scratch.bounds;
        Ok(Emit::point(&mut self.buffers, &self.metadata, &self.set, out, |emit| {
            emit.sample(Part::Sum, when.or_marker(point.sum), when.ms());
            emit.sample(Part::Count, when.or_marker(point.count as f64), when.ms());
            emit.bounds("quantile");
            for (text, (_, value)) in bounds.iter().zip(point.quantiles()) {
                emit.bound(text);
                emit.sample(Part::Quantile, when.or_marker(value), when.ms());
            }
        }))
    }
}

fn read_classic(classic: &mut Classic, point: &HistogramPoint<'_>) -> Result<(), Reason> {
    classic.bounds.clear();
    classic.bounds.extend(point.bounds().take(BOUNDS_MAX + 1));
    classic.counts.clear();
    classic.counts.extend(point.bucket_counts().take(BOUNDS_MAX + 2));
    (classic.count, classic.sum) = (point.count, point.sum);
    if classic.bounds.len() > BOUNDS_MAX || classic.counts.len() > BOUNDS_MAX + 1 {
        return Err(Reason::Buckets);
    }
    Ok(())
}

fn side<'a>(
    buckets: &'a (Vec<crate::model::BucketSpan>, Vec<i64>),
    is_stale: bool,
) -> NativeBuckets<'a> {
    match is_stale {
        true => NativeBuckets::default(),
        false => NativeBuckets { spans: &buckets.0, deltas: &buckets.1 },
    }
}

/// The last exemplar whose value is in the bucket.
fn exemplar_of<'a>(exemplars: Exemplars<'a>, lower: f64, upper: f64) -> Option<Exemplar<'a>> {
    let in_bucket = |exemplar: &Exemplar<'_>| {
        exemplar.value.is_some_and(|value| value.to_f64() > lower && value.to_f64() <= upper)
    };
    exemplars.filter(in_bucket).last()
}
