//! A histogram whose buckets adapt to the values (OTLP data model, "ExponentialHistogram").
//!
//! Bucket `i` at scale `s` covers (2^(i·2⁻ˢ), 2^((i+1)·2⁻ˢ)]. It starts at [`SCALE_FIRST`] and
//! halves its resolution whenever the values span more buckets than it may have. Values that are
//! not positive share one bucket below all others. Counts are weights, with fractions.

/// Width of a bucket at the beginning: 2^(1/8), that is 9 %. Finer ones would have bounds that
/// change with nearly every value.
const SCALE_FIRST: i32 = 3;

/// Most buckets: 11 octaves at the first scale, and 704 bytes.
const BUCKETS_MAX: usize = 88;

#[derive(Clone, Debug)]
pub struct Exponential {
    scale: i32,
    /// The first bucket's number.
    first: i32,
    counts: Vec<f64>,
    /// Weight of values that are zero or less.
    low: f64,
    pub count: f64,
    pub sum: f64,
    min: f64,
    max: f64,
}

impl Default for Exponential {
    fn default() -> Exponential {
        Exponential {
            scale: SCALE_FIRST,
            first: 0,
            counts: Vec::new(),
            low: 0.0,
            count: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Exponential {
    /// The most that a histogram holds on the heap.
    pub const HEAP_BYTES_MAX: usize = BUCKETS_MAX * size_of::<f64>();

    pub fn record(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum = (self.sum + value * weight).clamp(f64::MIN, f64::MAX);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value <= 0.0 {
            self.low += weight;
            return;
        }
        loop {
            let number = number(value, self.scale);
            if self.make_room(number) {
                self.counts[(number - self.first) as usize] += weight;
                return;
            }
            self.halve();
        }
    }

    /// Stretches the buckets to the one of that number; false where they would be too many.
    fn make_room(&mut self, number: i32) -> bool {
        if self.counts.is_empty() {
            self.first = number;
        }
        let first = self.first.min(number);
        let end = (self.first + self.counts.len() as i32).max(number + 1);
        let needed = (end - first) as usize;
        if needed > BUCKETS_MAX {
            return false;
        }
        // Exactly, in small steps: doubling would waste more than the rest of a series takes.
        let missing = needed.next_multiple_of(8).saturating_sub(self.counts.len());
        self.counts.reserve_exact(missing);
        if first < self.first {
            let missing = (self.first - first) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.first = first;
        }
        self.counts.resize(needed, 0.0);
        true
    }

    /// Joins buckets two by two.
    fn halve(&mut self) {
        let old_first = self.first;
        self.scale -= 1;
        self.first >>= 1;
        let counts = std::mem::take(&mut self.counts);
        for (at, count) in counts.into_iter().enumerate() {
            let to = ((old_first + at as i32) >> 1) - self.first;
            if to as usize == self.counts.len() {
                self.counts.push(0.0);
            }
            self.counts[to as usize] += count;
        }
    }

    /// Forgets the values; the buckets keep their bounds.
    pub fn clear(&mut self) {
        *self = Exponential { counts: std::mem::take(&mut self.counts), ..Exponential::default() };
        self.counts.clear();
    }

    /// The bounds there are: their scale, and the numbers of the first and last.
    pub fn bounds(&self) -> Bounds {
        let last = self.first + self.counts.len() as i32;
        Bounds { scale: self.scale, first: self.first, last }
    }

    /// How much lies at or below the bound of that number.
    pub fn below(&self, bound: i32) -> f64 {
        let buckets = bound.saturating_sub(self.first).clamp(0, self.counts.len() as i32) as usize;
        self.low + self.counts[..buckets].iter().sum::<f64>()
    }

    /// The value below which the share `rank` of the weight lies; NaN without values.
    pub fn quantile(&self, rank: f64) -> f64 {
        if self.count <= 0.0 {
            return f64::NAN;
        }
        let wanted = rank * self.count;
        if wanted <= self.low {
            return self.min;
        }
        let mut below = self.low;
        for (at, count) in self.counts.iter().enumerate() {
            if *count > 0.0 && below + count >= wanted {
                let share = (wanted - below) / count;
                let width = exp2(-f64::from(self.scale));
                let value = exp2((f64::from(self.first + at as i32) + share) * width);
                return value.clamp(self.min, self.max);
            }
            below += count;
        }
        self.max
    }
}

/// Which bounds a histogram shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    scale: i32,
    pub first: i32,
    pub last: i32,
}

impl Bounds {
    /// The value of the bound of that number.
    pub fn value(&self, bound: i32) -> f64 {
        exp2(f64::from(bound) * exp2(-f64::from(self.scale)))
    }

    /// The bounds of these that `later`, of the same histogram, does not have.
    pub fn gone_in(self, later: Bounds) -> impl Iterator<Item = f64> {
        let halvings = (self.scale - later.scale).clamp(0, 30);
        let stays = move |bound: i32| {
            let number = bound >> halvings;
            number << halvings == bound && (later.first..=later.last).contains(&number)
        };
        (self.first..=self.last).filter(move |bound| !stays(*bound)).map(move |b| self.value(b))
    }
}

/// The bucket of a positive value.
fn number(value: f64, scale: i32) -> i32 {
    (value.log2() * exp2(f64::from(scale))).ceil() as i32 - 1
}

fn exp2(exponent: f64) -> f64 {
    exponent.exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket_whatever_the_scale() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let mut histogram = Exponential::default();
            let octaves = [1, 10, 100, 1000][round % 4];
            let mut values: Vec<f64> = (0..300)
                .map(|_| f64::from(random.i32(-octaves..octaves)).exp2() * (1.0 + random.f64()))
                .filter(|value| value.is_finite() && *value > 0.0)
                .collect();
            values.iter().for_each(|value| histogram.record(*value, 0.5));
            values.sort_by(f64::total_cmp);
            let bounds = histogram.bounds();
            assert!(bounds.last - bounds.first <= BUCKETS_MAX as i32);
            for bound in bounds.first..=bounds.last {
                // Powers of two are exact; elsewhere a logarithm may err by its last digit.
                let limit = bounds.value(bound) * (1.0 + 1e-12);
                let least = bounds.value(bound) * (1.0 - 1e-12);
                let at_most = values.iter().filter(|value| **value <= limit).count() as f64;
                let at_least = values.iter().filter(|value| **value <= least).count() as f64;
                let below = histogram.below(bound);
                assert!((at_least * 0.5..=at_most * 0.5).contains(&below), "{bound} {below}");
            }
            assert_eq!(histogram.below(bounds.last), values.len() as f64 / 2.0);
        }
    }

    #[test]
    fn bounds_that_survive_halving_keep_their_value() {
        let mut histogram = Exponential::default();
        histogram.record(1.0, 1.0);
        histogram.record(1000.0, 1.0);
        let before = histogram.bounds();
        assert_eq!(before.gone_in(before).count(), 0);
        histogram.record(1e9, 1.0);
        let after = histogram.bounds();
        let all = |bounds: Bounds| (bounds.first..=bounds.last).map(move |at| bounds.value(at));
        let kept: Vec<f64> = all(before).filter(|old| all(after).any(|new| new == *old)).collect();
        let gone: Vec<f64> = before.gone_in(after).collect();
        assert!(kept.len() > 10 && gone.len() > 10, "{kept:?} {gone:?}");
        assert_eq!(kept.len() + gone.len(), all(before).count());
    }

    #[test]
    fn quantiles() {
        let mut histogram = Exponential::default();
        assert!(histogram.quantile(0.5).is_nan());
        (1..=1000).for_each(|value| histogram.record(f64::from(value), 1.0));
        for rank in [0.01, 0.5, 0.9, 0.99] {
            let (found, exact) = (histogram.quantile(rank), rank * 1000.0);
            assert!((found / exact - 1.0).abs() < 0.05, "{rank}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), 1000.0);
        histogram.clear();
        assert!(histogram.quantile(0.5).is_nan());
        [-5.0, -5.0, 0.0, 7.0].iter().for_each(|value| histogram.record(*value, 1.0));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.99)), (-5.0, 7.0));
        assert_eq!((histogram.count, histogram.sum, histogram.below(i32::MIN)), (4.0, -3.0, 3.0));
    }

    #[test]
    fn the_extremes_fit() {
        let mut histogram = Exponential::default();
        for value in [f64::MIN_POSITIVE, 5e-324, f64::MAX, 1.0] {
            histogram.record(value, 1.0);
        }
        assert!(histogram.counts.capacity() <= BUCKETS_MAX);
        assert_eq!(histogram.below(histogram.bounds().last), 4.0);
    }
}
