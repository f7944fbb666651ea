//! Data points of the five kinds, and exemplars: scalars read at once, lists when asked for
//! (opentelemetry-proto, metrics.proto). Times are Unix nanoseconds, 0 where not said.

use super::attributes::Attributes;
use super::resource::Children;
use crate::codec::protobuf::{Fields, Fixed64s, Nested, Varints};

/// The bit of `flags` that says that there is no value: the series ends (DataPointFlags).
pub const NO_RECORDED_VALUE: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }
}

/// A point of a gauge or a sum.
#[derive(Clone, Copy, Debug)]
pub struct NumberPoint<'a> {
    pub start_ns: u64,
    pub time_ns: u64,
    pub value: Option<Number>,
    pub flags: u32,
    has_exemplars: bool,
    message: &'a [u8],
}

impl<'a> NumberPoint<'a> {
    #[inline]
    pub(super) fn read(message: &'a [u8]) -> NumberPoint<'a> {
        let (start_ns, time_ns, value, flags, has_exemplars) = (0, 0, None, 0, false);
        let mut point = NumberPoint { start_ns, time_ns, value, flags, has_exemplars, message };
        for (number, value) in Fields::new(message) {
            match number {
                2 => point.start_ns = value.number(),
                3 => point.time_ns = value.number(),
                4 => point.value = Some(Number::Double(value.double())),
                5 => point.has_exemplars = true,
                6 => point.value = Some(Number::Int(value.number() as i64)),
                8 => point.flags = value.number() as u32,
                _ => {}
            }
        }
        point
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 7)
    }

    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars::new(self.message, 5, self.has_exemplars)
    }
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Copy, Debug)]
pub struct HistogramPoint<'a> {
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub flags: u32,
    has_exemplars: bool,
    message: &'a [u8],
}

impl<'a> HistogramPoint<'a> {
    pub(super) fn read(message: &'a [u8]) -> HistogramPoint<'a> {
        let (start_ns, time_ns, count, flags, has_exemplars) = (0, 0, 0, 0, false);
        let (sum, min, max) = (None, None, None);
        let mut point = HistogramPoint {
            start_ns,
            time_ns,
            count,
            sum,
            min,
            max,
            flags,
            has_exemplars,
            message,
        };
        for (number, value) in Fields::new(message) {
            match number {
                2 => point.start_ns = value.number(),
                3 => point.time_ns = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = Some(value.double()),
                8 => point.has_exemplars = true,
                10 => point.flags = value.number() as u32,
                11 => point.min = Some(value.double()),
                12 => point.max = Some(value.double()),
                _ => {}
            }
        }
        point
    }

    /// Counts of the buckets, not cumulative; one more than bounds, or none at all.
    pub fn bucket_counts(&self) -> impl Iterator<Item = u64> + Clone + 'a {
        Fixed64s::new(self.message, 6)
    }

    /// Upper bounds of all buckets but the last.
    pub fn bounds(&self) -> impl Iterator<Item = f64> + Clone + 'a {
        Fixed64s::new(self.message, 7).map(f64::from_bits)
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 9)
    }

    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars::new(self.message, 8, self.has_exemplars)
    }
}

/// A point of an exponential histogram: bucket `k` covers (base^k, base^(k+1)], where base is
/// 2^(2^-scale).
#[derive(Clone, Copy, Debug)]
pub struct ExponentialPoint<'a> {
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub flags: u32,
    has_exemplars: bool,
    message: &'a [u8],
}

impl<'a> ExponentialPoint<'a> {
    pub(super) fn read(message: &'a [u8]) -> ExponentialPoint<'a> {
        let mut point = ExponentialPoint {
            start_ns: 0,
            time_ns: 0,
            count: 0,
            sum: None,
            min: None,
            max: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            flags: 0,
            has_exemplars: false,
            message,
        };
        for (number, value) in Fields::new(message) {
            match number {
                2 => point.start_ns = value.number(),
                3 => point.time_ns = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = Some(value.double()),
                6 => point.scale = value.sint32(),
                7 => point.zero_count = value.number(),
                10 => point.flags = value.number() as u32,
                11 => point.has_exemplars = true,
                12 => point.min = Some(value.double()),
                13 => point.max = Some(value.double()),
                14 => point.zero_threshold = value.double(),
                _ => {}
            }
        }
        point
    }

    pub fn positive(&self) -> Buckets<'a> {
        Buckets { message: self.message, field: 8 }
    }

    pub fn negative(&self) -> Buckets<'a> {
        Buckets { message: self.message, field: 9 }
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 1)
    }

    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars::new(self.message, 11, self.has_exemplars)
    }
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    message: &'a [u8],
    field: u32,
}

impl<'a> Buckets<'a> {
    /// The number of the first bucket.
    pub fn offset(self) -> i32 {
        let offset = Nested::new(self.message, self.field).filter(|(number, _)| *number == 1);
        offset.last().map_or(0, |(_, value)| value.sint32())
    }

    /// Counts from that bucket on.
    pub fn counts(self) -> impl Iterator<Item = u64> + Clone + 'a {
        Children::new(self.message, self.field).flat_map(|piece| Varints::new(piece, 2))
    }
}

/// A point of a summary.
#[derive(Clone, Copy, Debug)]
pub struct SummaryPoint<'a> {
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: f64,
    pub flags: u32,
    message: &'a [u8],
}

impl<'a> SummaryPoint<'a> {
    pub(super) fn read(message: &'a [u8]) -> SummaryPoint<'a> {
        let (start_ns, time_ns, count, sum, flags) = (0, 0, 0, 0.0, 0);
        let mut point = SummaryPoint { start_ns, time_ns, count, sum, flags, message };
        for (number, value) in Fields::new(message) {
            match number {
                2 => point.start_ns = value.number(),
                3 => point.time_ns = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = value.double(),
                8 => point.flags = value.number() as u32,
                _ => {}
            }
        }
        point
    }

    /// Pairs of quantile and value.
    pub fn quantiles(&self) -> impl Iterator<Item = (f64, f64)> + Clone + 'a {
        Children::new(self.message, 6).map(|message| {
            let mut pair = (0.0, 0.0);
            for (number, value) in Fields::new(message) {
                match number {
                    1 => pair.0 = value.double(),
                    2 => pair.1 = value.double(),
                    _ => {}
                }
            }
            pair
        })
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 7)
    }
}

/// An example of what was measured, and in which trace. Ids are empty or whole.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a> {
    pub time_ns: u64,
    pub value: Option<Number>,
    pub span_id: &'a [u8],
    pub trace_id: &'a [u8],
    message: &'a [u8],
}

impl<'a> Exemplar<'a> {
    fn read(message: &'a [u8]) -> Exemplar<'a> {
        let (time_ns, value) = (0, None);
        let mut exemplar = Exemplar { time_ns, value, span_id: &[], trace_id: &[], message };
        for (number, value) in Fields::new(message) {
            match number {
                2 => exemplar.time_ns = value.number(),
                3 => exemplar.value = Some(Number::Double(value.double())),
                4 => exemplar.span_id = value.bytes(),
                5 => exemplar.trace_id = value.bytes(),
                6 => exemplar.value = Some(Number::Int(value.number() as i64)),
                _ => {}
            }
        }
        exemplar
    }

    /// Attributes that the metric's own set left out.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 7)
    }
}

/// The exemplars of a point.
#[derive(Clone, Copy, Debug)]
pub struct Exemplars<'a>(Children<'a>);

impl<'a> Exemplars<'a> {
    /// Those that are field `number` of `message`; where there are none nothing is read.
    fn new(message: &'a [u8], number: u32, has_any: bool) -> Exemplars<'a> {
        Exemplars(Children::new(if has_any { message } else { &[] }, number))
    }
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = Exemplar<'a>;

    fn next(&mut self) -> Option<Exemplar<'a>> {
        self.0.next().map(Exemplar::read)
    }
}
