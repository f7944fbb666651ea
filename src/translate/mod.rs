//! Between the two shapes of metrics: OTLP points to Prometheus samples, and samples to points.
//!
//! [`Translator`] reads a validated OTLP body and says samples, following the OpenTelemetry
//! specification ("Prometheus and OpenMetrics Compatibility") and, where it leaves room, the two
//! programs whose series dashboards know: Prometheus' receiver and the collector's exporter.
//! [`Regroup`] takes samples family by family and writes OTLP metrics.
//!
//! Left out: native histograms with custom buckets, `__type__` and `__unit__` labels, UTF-8 names.
//! Invariants: no I/O and no clock; nothing is allocated per point once buffers have grown; what
//! is dropped is counted by reason.

mod config;
mod delta;
mod emit;
mod exponential;
mod label_names;
mod label_set;
mod names;
mod point;
mod prefork;
pub mod regroup;
pub mod segment;
mod to_samples;
mod values;

#[cfg(test)]
mod tests;

pub use config::{Config, Names, ResourceLabels};
pub use regroup::{Regroup, Starts};
pub use to_samples::{Report, Translator, Walk};

use crate::model::{Family, Sample};

/// What the translation says, in order.
pub enum Out<'a> {
    Sample(&'a Sample<'a>),
    EndFamily(&'a Family<'a>),
}

/// Why a point did not become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Neither delta nor cumulative.
    Temporality,
    /// No value and no flag that says so.
    NoValue,
    /// Nothing is left of the metric's name, or of a label's.
    Name,
    /// A delta point that is not later than the one before it.
    OutOfOrder,
    /// A delta point of a series beyond `streams_max`.
    Streams,
    /// More buckets than the bound, or a scale that native histograms do not have.
    Buckets,
}

impl Reason {
    pub const ALL: [Reason; 6] = [
        Reason::Temporality,
        Reason::NoValue,
        Reason::Name,
        Reason::OutOfOrder,
        Reason::Streams,
        Reason::Buckets,
    ];

    /// For the label `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Reason::Temporality => "temporality",
            Reason::NoValue => "no_value",
            Reason::Name => "name",
            Reason::OutOfOrder => "out_of_order",
            Reason::Streams => "streams_max",
            Reason::Buckets => "buckets",
        }
    }
}
