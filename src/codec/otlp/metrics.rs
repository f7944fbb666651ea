//! Metrics over a validated metrics body, and their points (opentelemetry-proto, metrics.proto).
//! Each is a borrowed slice; what it holds is read when it is asked for.

use super::attributes::Attributes;
use super::points::{ExponentialPoint, HistogramPoint, NumberPoint, SummaryPoint};
use super::resource::Children;
use crate::codec::protobuf::{Fields, Nested, Wire};

/// The metrics of a scope.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a>(pub(super) Children<'a>);

impl<'a> Iterator for Metrics<'a> {
    type Item = Metric<'a>;

    fn next(&mut self) -> Option<Metric<'a>> {
        self.0.next().map(Metric::read)
    }
}

/// How the points of a metric follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Not said, or a value nobody has defined.
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

/// What kind of points a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Gauge,
    Sum {
        temporality: Temporality,
        is_monotonic: bool,
    },
    Histogram(Temporality),
    ExponentialHistogram(Temporality),
    Summary,
    /// None that this program knows.
    Unknown,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub unit: &'a str,
    pub data: Data,
    message: &'a [u8],
    /// The field that holds its data.
    field: u32,
}

impl<'a> Metric<'a> {
    fn read(message: &'a [u8]) -> Metric<'a> {
        let (name, data) = ("", Data::Unknown);
        let mut metric = Metric { name, description: "", unit: "", data, message, field: 0 };
        for (number, value) in Fields::new(message) {
            match number {
                1 => metric.name = value.text(),
                2 => metric.description = value.text(),
                3 => metric.unit = value.text(),
                5 | 7 | 9 | 10 | 11 => metric.field = number,
                _ => {}
            }
        }
        metric.data = metric.read_data();
        metric
    }

    fn read_data(&self) -> Data {
        let (mut temporality, mut is_monotonic) = (Temporality::Unspecified, false);
        for (number, value) in Nested::new(self.message, self.field) {
            match (number, value) {
                (2, Wire::Varint(1)) => temporality = Temporality::Delta,
                (2, Wire::Varint(2)) => temporality = Temporality::Cumulative,
                (2, _) => temporality = Temporality::Unspecified,
                (3, _) => is_monotonic = value.number() != 0,
                _ => {}
            }
        }
        match self.field {
            5 => Data::Gauge,
            7 => Data::Sum { temporality, is_monotonic },
            9 => Data::Histogram(temporality),
            10 => Data::ExponentialHistogram(temporality),
            11 => Data::Summary,
            _ => Data::Unknown,
        }
    }

    /// `Metric.metadata`: what other formats knew about it.
    pub fn metadata(self) -> Attributes<'a> {
        Attributes::new(self.message, 12)
    }

    /// Its points, of the kind that [`Metric::data`] says.
    pub fn points(self) -> Points<'a> {
        Points { fields: Nested::new(self.message, self.field) }
    }
}

/// The points of a metric. They are all of one kind; which, the metric knows, and the caller asks
/// for it by name.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    fields: Nested<'a>,
}

impl<'a> Points<'a> {
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        Some(self.fields.find(|(number, _)| *number == 1)?.1.bytes())
    }

    pub fn next_number(&mut self) -> Option<NumberPoint<'a>> {
        self.next().map(NumberPoint::read)
    }

    pub fn next_histogram(&mut self) -> Option<HistogramPoint<'a>> {
        self.next().map(HistogramPoint::read)
    }

    pub fn next_exponential(&mut self) -> Option<ExponentialPoint<'a>> {
        self.next().map(ExponentialPoint::read)
    }

    pub fn next_summary(&mut self) -> Option<SummaryPoint<'a>> {
        self.next().map(SummaryPoint::read)
    }

    /// How many are left.
    pub fn count(mut self) -> u64 {
        let mut points = 0;
        while self.next().is_some() {
            points += 1;
        }
        points
    }
}
