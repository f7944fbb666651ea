//! The vocabulary every room shares: label, family, sample, exemplar, staleness marker.
//!
//! A sample is what Prometheus speaks: a label set, a value and a time, borrowed from the input it
//! was read from. It points at its [`Family`] and says which [`Part`] of it it is, so nothing
//! downstream guesses from names. Nothing here does I/O or owns more than it must.

mod changes;
mod float;
mod histogram;
mod identity;
mod labels;

pub use changes::Changes;
pub use float::{push_float, FloatStyle};
pub use histogram::{BucketSpan, NativeBuckets, NativeHistogram};
pub use identity::{Identity, IdentityConfig, IDENTITY_LABELS};
pub use labels::{insertion_sort, is_after, recycle, sort_labels, OwnedLabels};

/// The label that holds the metric's name (Prometheus data model).
pub const NAME_LABEL: &str = "__name__";

/// Bits of the staleness marker: a NaN with a payload of its own, to be moved and never computed
/// with (Prometheus Remote-Write 1.0 specification, "Stale Markers").
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Bits of the one ordinary NaN that Prometheus stores, whatever NaN the text said.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// One label; both texts are borrowed from the input or the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

impl<'a> Label<'a> {
    pub const fn new(name: &'a str, value: &'a str) -> Label<'a> {
        Label { name, value }
    }
}

/// A metric family's type; the discriminants are those of Remote-Write's
/// `MetricMetadata.MetricType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricType {
    #[default]
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
    Summary = 5,
    Info = 6,
    StateSet = 7,
}

/// What is known of a metric family: its name without sample suffixes and its metadata.
/// `unit` and `help` are empty where the source did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family<'a> {
    pub name: &'a str,
    pub metric_type: MetricType,
    pub unit: &'a str,
    pub help: &'a str,
}

/// Which series of its family a sample belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The value itself: gauge, counter total, info, state, or a sample of unknown type.
    #[default]
    Value,
    /// A cumulative histogram bucket; its bound is the label `le`.
    Bucket,
    /// The sum of a histogram or summary.
    Sum,
    /// The count of a histogram or summary.
    Count,
    /// A summary's quantile; its rank is the label `quantile`.
    Quantile,
    /// The time (seconds) at which the series began (OpenMetrics `_created`).
    Created,
}

/// An exemplar; `timestamp_ms` is Unix time, absent where the source gave none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    pub labels: &'a [Label<'a>],
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}

/// One sample of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    pub family: &'a Family<'a>,
    pub part: Part,
    /// Sorted bytewise by name, names unique, no empty names or values; `__name__` among them.
    pub labels: &'a [Label<'a>],
    pub value: f64,
    /// Unix time in milliseconds.
    pub timestamp_ms: i64,
    pub exemplar: Option<Exemplar<'a>>,
    /// A native histogram, with [`Part::Value`]; the value is its count, for who cannot write it.
    pub histogram: Option<&'a NativeHistogram<'a>>,
}

impl<'a> Sample<'a> {
    /// The metric's name, empty where the labels have none.
    pub fn name(&self) -> &'a str {
        label_value(self.labels, NAME_LABEL)
    }

    /// True for the marker that ends a series.
    pub fn is_stale_marker(&self) -> bool {
        self.value.to_bits() == STALE_NAN_BITS
    }
}

/// The value of the label `name`, empty where it is absent (Prometheus treats both alike).
pub fn label_value<'a>(labels: &[Label<'a>], name: &str) -> &'a str {
    labels.iter().find(|label| label.name == name).map_or("", |label| label.value)
}
