//! Exponential histograms: read from points, added up, made native or classic (OTLP metrics data
//! model, "ExponentialHistogram"; Prometheus documentation, "Native Histograms").
//!
//! Bucket `k` covers (base^k, base^(k+1)], base = 2^(2^-scale); halving the resolution makes bucket
//! `k` part of bucket `k >> 1`. Invariant: a side never has more than [`BUCKETS_MAX`] buckets.

use crate::codec::otlp::ExponentialPoint;
use crate::model::BucketSpan;

/// Most buckets of one side. SDKs have 160 at most; who sends more gets them merged, or, where one
/// point alone holds more than [`BUCKETS_READ_MAX`], refused.
pub const BUCKETS_MAX: usize = 320;

/// Most buckets of one side of a point.
pub const BUCKETS_READ_MAX: usize = 4096;

/// Resolutions that native histograms have.
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;

/// Finest resolution of classic buckets: 2^(1/8), that is 9 %. Points of finer ones change scale as
/// they fill, and their buckets would be other series each time.
const CLASSIC_SCALE_MAX: i32 = 3;

/// What Prometheus takes where the threshold is not said.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Buckets above zero, or below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The first bucket's number.
    pub offset: i32,
    pub counts: Vec<u64>,
}

impl Side {
    fn set(&mut self, offset: i32, counts: impl Iterator<Item = u64>) -> bool {
        self.offset = offset;
        self.counts.clear();
        self.counts.extend(counts.take(BUCKETS_READ_MAX + 1));
        self.trim();
        // Bucket numbers are added to and shifted below: keep them far from the ends.
        self.counts.len() <= BUCKETS_READ_MAX && offset.unsigned_abs() < 1 << 30
    }

    /// Removes empty buckets at both ends.
    fn trim(&mut self) {
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        self.offset = if self.counts.is_empty() { 0 } else { self.offset + empty as i32 };
    }

    /// Merges 2^`steps` buckets into one.
    fn downscale(&mut self, steps: u32) {
        if self.counts.is_empty() || steps == 0 {
            return;
        }
        let steps = steps.min(31);
        let (first, offset) = (self.offset >> steps, self.offset);
        let mut merged = 0;
        for at in 0..self.counts.len() {
            let to = (((offset + at as i32) >> steps) - first) as usize;
            let count = self.counts[at];
            if to == merged && at > 0 {
                self.counts[to] = self.counts[to].saturating_add(count);
            } else {
                self.counts[to] = count;
            }
            merged = to;
        }
        self.counts.truncate(merged + 1);
        self.offset = first;
    }

    /// How many buckets both would need together, 2^`steps` of them merged into one.
    fn span(&self, other: &Side, steps: u32) -> usize {
        let sides = [self, other].into_iter().filter(|side| !side.counts.is_empty());
        let ends = sides.map(|side| (side.offset, side.offset + side.counts.len() as i32 - 1));
        let both = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        both.map_or(0, |(first, last)| ((last >> steps) - (first >> steps)) as usize + 1)
    }

    /// Adds counts of the same scale.
    fn add(&mut self, other: &Side) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.offset = other.offset;
        }
        let missing = (self.offset - other.offset).max(0) as usize;
        self.counts.splice(..0, std::iter::repeat_n(0, missing));
        self.offset -= missing as i32;
        let shift = (other.offset - self.offset) as usize;
        if self.counts.len() < shift + other.counts.len() {
            self.counts.resize(shift + other.counts.len(), 0);
        }
        for (to, count) in self.counts[shift..].iter_mut().zip(&other.counts) {
            *to = to.saturating_add(*count);
        }
    }

    /// Takes out the buckets that a zero bucket of that threshold covers whole or in part.
    fn take_covered(&mut self, scale: i32, threshold: f64) -> u64 {
        let covered = |number: i32| bound(number, scale) < threshold;
        let numbers = self.offset..;
        let count = numbers.zip(&self.counts).take_while(|(number, _)| covered(*number)).count();
        let sum = self.counts.drain(..count).fold(0_u64, u64::saturating_add);
        self.offset += count as i32;
        self.trim();
        sum
    }

    /// Writes spans and deltas of Prometheus' shape, whose bucket numbers are one higher.
    fn native(&self, spans: &mut Vec<BucketSpan>, deltas: &mut Vec<i64>) {
        spans.clear();
        deltas.clear();
        let (mut end, mut before) = (0, 0_i64);
        for (number, count) in (self.offset + 1..).zip(&self.counts) {
            if *count == 0 {
                continue;
            }
            match spans.last_mut() {
                Some(span) if end == number => span.length += 1,
                _ => spans.push(BucketSpan { offset: number - end, length: 1 }),
            }
            end = number + 1;
            deltas.push((*count as i64).wrapping_sub(before));
            before = *count as i64;
        }
    }
}

/// The lower bound of bucket `number`.
fn bound(number: i32, scale: i32) -> f64 {
    (f64::from(number) * f64::from(-scale).exp2()).exp2()
}

/// A whole histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    pub scale: i32,
    pub count: u64,
    pub sum: Option<f64>,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: Side,
    pub negative: Side,
}

impl Exponential {
    /// Reads a point; false where it has more buckets than anybody would send.
    pub fn read(&mut self, point: &ExponentialPoint<'_>) -> bool {
        (self.scale, self.count, self.sum) = (point.scale, point.count, point.sum);
        (self.zero_count, self.zero_threshold) = (point.zero_count, point.zero_threshold);
        let positive = self.positive.set(point.positive().offset(), point.positive().counts());
        let negative = self.negative.set(point.negative().offset(), point.negative().counts());
        let is_good = positive && negative && (-32..=64).contains(&self.scale);
        if is_good {
            self.fit(&Exponential::default());
        }
        is_good
    }

    fn downscale(&mut self, scale: i32) {
        let steps = u32::try_from(self.scale - scale).unwrap_or(0);
        self.positive.downscale(steps);
        self.negative.downscale(steps);
        self.scale -= steps as i32;
    }

    /// Halves the resolution until `self` and `other`, of the same scale, fit together.
    fn fit(&mut self, other: &Exponential) -> u32 {
        let span = |steps| {
            let positive = self.positive.span(&other.positive, steps);
            positive.max(self.negative.span(&other.negative, steps))
        };
        // At 2^31 to one there are two buckets at most.
        let steps = (0..31).find(|steps| span(*steps) <= BUCKETS_MAX).unwrap_or(31);
        self.downscale(self.scale - steps as i32);
        steps
    }

    /// Adds a histogram of the time after this one. A sum stays where both have one.
    pub fn add(&mut self, other: &mut Exponential) {
        let scale = self.scale.min(other.scale);
        self.downscale(scale);
        other.downscale(scale);
        let threshold = self.zero_threshold.max(other.zero_threshold);
        for side in [&mut *self, &mut *other] {
            side.zero_threshold = threshold;
            let covered = [&mut side.positive, &mut side.negative]
                .map(|buckets| buckets.take_covered(scale, threshold));
            side.zero_count = side.zero_count.saturating_add(covered[0]).saturating_add(covered[1]);
        }
        let steps = self.fit(other);
        other.downscale(scale - steps as i32);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
    }

    /// Brings it to a resolution that native histograms have; false where it is too coarse.
    pub fn make_native(&mut self) -> bool {
        self.downscale(self.scale.min(SCHEMA_MAX));
        if self.zero_threshold == 0.0 {
            self.zero_threshold = ZERO_THRESHOLD;
        }
        self.scale >= SCHEMA_MIN
    }

    /// Visits classic buckets upwards: upper bound and cumulative count, without the last, +Inf.
    /// All buckets between the first and the last of a side are there, so that a series that was
    /// seen once is seen each time.
    pub fn classic(&mut self, mut visit: impl FnMut(f64, u64)) {
        self.downscale(self.scale.min(CLASSIC_SCALE_MAX));
        let mut total = 0_u64;
        for (at, count) in self.negative.counts.iter().enumerate().rev() {
            let number = self.negative.offset + at as i32;
            total = total.saturating_add(*count);
            visit(-bound(number, self.scale), total);
        }
        total = total.saturating_add(self.zero_count);
        visit(self.zero_threshold, total);
        let first = bound(self.positive.offset, self.scale);
        if !self.positive.counts.is_empty() && first > self.zero_threshold {
            visit(first, total);
        }
        for (number, count) in (self.positive.offset..).zip(&self.positive.counts) {
            total = total.saturating_add(*count);
            let upper = bound(number + 1, self.scale);
            if upper.is_finite() && upper > self.zero_threshold {
                visit(upper, total);
            }
        }
    }
}

/// Buffers for the two sides of a native histogram.
#[derive(Debug, Default)]
pub struct Native {
    pub positive: (Vec<BucketSpan>, Vec<i64>),
    pub negative: (Vec<BucketSpan>, Vec<i64>),
}

impl Native {
    pub fn set(&mut self, from: &Exponential) {
        from.positive.native(&mut self.positive.0, &mut self.positive.1);
        from.negative.native(&mut self.negative.0, &mut self.negative.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(offset: i32, counts: &[u64]) -> Side {
        Side { offset, counts: counts.to_vec() }
    }

    fn positive(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        let count = counts.iter().sum();
        let positive = side(offset, counts);
        Exponential { scale, count, sum: Some(1.0), positive, ..Exponential::default() }
    }

    #[test]
    fn downscaling_follows_the_definition() {
        let down = |mut from: Side, steps, expected: Side| {
            from.downscale(steps);
            assert_eq!(from, expected);
        };
        down(side(0, &[0, 0, 5, 7]), 1, side(0, &[0, 12]));
        down(side(-3, &[1, 2, 4, 8]), 1, side(-2, &[1, 6, 8]));
        down(side(-1, &[1, 2]), 5, side(-1, &[1, 2]));
        down(side(3, &[1; 8]), 2, side(0, &[1, 4, 3]));
        down(side(7, &[3]), 31, side(0, &[3]));
        down(side(0, &[]), 3, side(0, &[]));
    }

    #[test]
    fn native_spans_and_deltas() {
        // The example of the compatibility specification, without its empty buckets.
        let mut native = Native::default();
        native.set(&positive(0, 3, &[10, 0, 0, 20, 5, 2]));
        let spans = [BucketSpan { offset: 4, length: 1 }, BucketSpan { offset: 2, length: 3 }];
        assert_eq!(native.positive, (spans.to_vec(), vec![10, 10, -15, -3]));
        native.set(&positive(0, -5, &[1, 1]));
        assert_eq!(native.positive.0, [BucketSpan { offset: -4, length: 2 }]);
        let mut fine = positive(9, 0, &[0, 0, 5, 7]);
        fine.positive.trim();
        assert!(fine.make_native());
        assert_eq!((fine.scale, fine.zero_threshold), (8, 1e-128));
        native.set(&fine);
        assert_eq!(native.positive, (vec![BucketSpan { offset: 2, length: 1 }], vec![12]));
        assert!(!positive(-5, 0, &[1]).make_native());
    }

    #[test]
    fn adding() {
        let mut sum = positive(1, 0, &[1, 2]);
        sum.add(&mut positive(0, -1, &[4, 8]));
        assert_eq!((sum.scale, sum.count, sum.sum), (0, 15, Some(2.0)));
        assert_eq!(sum.positive, side(-1, &[4, 11]));
        // Too far apart: the resolution goes down until both fit.
        let mut sum = positive(3, 0, &[1]);
        sum.add(&mut positive(3, 4000, &[1]));
        assert!(sum.positive.counts.len() <= BUCKETS_MAX && sum.scale == -1);
        assert_eq!(sum.positive.counts.iter().sum::<u64>(), 2);
        // A wider zero bucket swallows what it covers.
        let mut sum = positive(0, -2, &[3, 5]);
        let zero_threshold = 0.5;
        sum.add(&mut Exponential { zero_count: 1, zero_threshold, ..Exponential::default() });
        assert_eq!((sum.zero_count, sum.sum), (4, None));
        assert_eq!(sum.positive, side(-1, &[5]));
    }

    #[test]
    fn classic_buckets() {
        let shown = |mut from: Exponential| {
            let mut buckets = Vec::new();
            from.classic(|bound, count| buckets.push((bound, count)));
            buckets
        };
        let mut histogram = positive(0, 0, &[1, 0, 2]);
        histogram.negative = side(1, &[4, 5]);
        histogram.zero_count = 1;
        let expected =
            [(-4.0, 5), (-2.0, 9), (0.0, 10), (1.0, 10), (2.0, 11), (4.0, 11), (8.0, 13)];
        assert_eq!(shown(histogram), expected);
        assert_eq!(shown(positive(4, 16, &[1, 2])), [(0.0, 0), (2.0, 0), (2.0_f64.powf(1.125), 3)]);
        assert_eq!(shown(Exponential::default()), [(0.0, 0)]);
        // The last bucket of all doubles ends at infinity, which is written anyway.
        assert_eq!(shown(positive(-10, 0, &[1])), [(0.0, 0), (1.0, 0)]);
    }
}
