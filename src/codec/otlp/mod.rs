//! OTLP bodies (opentelemetry-proto 1.10): validated once, then read by cursors or relayed as they
//! are.
//!
//! One table, [`schema`], says what every message consists of. By it [`validate`] checks a whole
//! request before anything of it is accepted, and [`Conversion`] turns OTLP/JSON into protobuf.
//! [`resource_metrics`], [`resource_spans`] and [`resource_logs`] open cursors over a validated
//! body; nothing is ever built as a tree. Bodies concatenate: every request has only the repeated
//! field 1, so that the encoding of A followed by that of B is a request with A's resources and
//! then B's (protobuf.dev, "Last One Wins").
//!
//! Left out: profiles, which are in development.

mod attributes;
mod json;
mod logs;
mod metrics;
mod points;
mod resource;
mod schema;
mod splice;
mod traces;
mod validate;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod records_tests;
#[cfg(test)]
mod tests;

pub use attributes::{AnyValue, Attribute, Attributes};
pub use json::{from_json, Conversion, Stop};
pub use logs::{LogRecord, LogRecords};
pub use metrics::{Data, Metric, Metrics, Points, Temporality};
pub use points::{
    Buckets, Exemplar, Exemplars, ExponentialPoint, HistogramPoint, Number, NumberPoint,
    SummaryPoint, NO_RECORDED_VALUE,
};
pub use resource::{
    resource_logs, resource_metrics, resource_spans, Resource, Resources, Scope, Scopes,
};
pub use splice::{splice_resource, spliced_bytes};
pub use traces::{Link, Span, SpanEvent, SpanKind, Spans, StatusCode};
pub use validate::{validate, Counts, Refusal, Validation};

/// What a request carries; each has its own request message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    Metrics,
    Traces,
    Logs,
}

impl Signal {
    pub const ALL: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

    /// As in paths and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }
}
