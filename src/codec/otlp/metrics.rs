//! Cursors over a validated metrics body: resource, scope, metric, points (opentelemetry-proto,
//! metrics.proto). Each is a borrowed slice; what it holds is read when it is asked for.

use super::attributes::Attributes;
use super::points::{ExponentialPoint, HistogramPoint, NumberPoint, SummaryPoint};
use crate::codec::protobuf::{Fields, Nested, Wire};

/// The resources of a body, or of several bodies one after the other.
pub fn resource_metrics(body: &[u8]) -> Resources<'_> {
    Resources(Children::new(body, 1))
}

/// The resources of a body.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a>(Children<'a>);

impl<'a> Iterator for Resources<'a> {
    type Item = ResourceMetrics<'a>;

    fn next(&mut self) -> Option<ResourceMetrics<'a>> {
        self.0.next().map(|message| ResourceMetrics { message })
    }
}

/// The scopes of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a>(Children<'a>);

impl<'a> Iterator for Scopes<'a> {
    type Item = ScopeMetrics<'a>;

    fn next(&mut self) -> Option<ScopeMetrics<'a>> {
        self.0.next().map(|message| ScopeMetrics { message })
    }
}

/// The metrics of a scope.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a>(Children<'a>);

impl<'a> Iterator for Metrics<'a> {
    type Item = Metric<'a>;

    fn next(&mut self) -> Option<Metric<'a>> {
        self.0.next().map(Metric::read)
    }
}

/// The submessages with one field number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Children<'a> {
    fields: Fields<'a>,
    number: u32,
}

impl<'a> Children<'a> {
    pub fn new(message: &'a [u8], number: u32) -> Children<'a> {
        Children { fields: Fields::new(message), number }
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let number = self.number;
        Some(self.fields.find(|(found, _)| *found == number)?.1.bytes())
    }
}

/// One resource and its scopes.
#[derive(Clone, Copy, Debug)]
pub struct ResourceMetrics<'a> {
    message: &'a [u8],
}

impl<'a> ResourceMetrics<'a> {
    /// The resource's attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of_part(self.message, 1, 1)
    }

    pub fn scopes(self) -> Scopes<'a> {
        Scopes(Children::new(self.message, 2))
    }
}

/// One instrumentation scope and its metrics.
#[derive(Clone, Copy, Debug)]
pub struct ScopeMetrics<'a> {
    message: &'a [u8],
}

impl<'a> ScopeMetrics<'a> {
    /// The scope's name and version.
    pub fn name_and_version(self) -> (&'a str, &'a str) {
        let mut found = ("", "");
        for (number, value) in Nested::new(self.message, 1) {
            match number {
                1 => found.0 = value.text(),
                2 => found.1 = value.text(),
                _ => {}
            }
        }
        found
    }

    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of_part(self.message, 1, 3)
    }

    pub fn schema_url(self) -> &'a str {
        let fields = Fields::new(self.message);
        fields.filter(|(number, _)| *number == 3).last().map_or("", |(_, value)| value.text())
    }

    pub fn metrics(self) -> Metrics<'a> {
        Metrics(Children::new(self.message, 2))
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
