//! Cursors over a validated body down to its items: resource, scope, then metrics, spans or log
//! records (opentelemetry-proto, metrics.proto, trace.proto, logs.proto). Each is a borrowed slice;
//! what it holds is read when it is asked for.
//!
//! The three signals are alike this far: a resource is field 1 and its scopes are field 2, a scope
//! is field 1 and its items are field 2, a schema URL is field 3.

use super::attributes::Attributes;
use super::logs::LogRecords;
use super::metrics::Metrics;
use super::traces::Spans;
use crate::codec::protobuf::{Fields, Nested};

/// The resources of a metrics body, or of several bodies one after the other.
pub fn resource_metrics(body: &[u8]) -> Resources<'_> {
    Resources(Children::new(body, 1))
}

/// The resources of a traces body; see [`resource_metrics`].
pub fn resource_spans(body: &[u8]) -> Resources<'_> {
    resource_metrics(body)
}

/// The resources of a logs body; see [`resource_metrics`].
pub fn resource_logs(body: &[u8]) -> Resources<'_> {
    resource_metrics(body)
}

/// The submessages with one field number.
#[derive(Clone, Copy, Debug, Default)]
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

/// The resources of a body.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a>(Children<'a>);

impl<'a> Iterator for Resources<'a> {
    type Item = Resource<'a>;

    fn next(&mut self) -> Option<Resource<'a>> {
        self.0.next().map(|message| Resource { message })
    }
}

/// One resource and its scopes: a ResourceMetrics, ResourceSpans or ResourceLogs.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    message: &'a [u8],
}

impl<'a> Resource<'a> {
    /// The resource's attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of_part(self.message, 1, 1)
    }

    pub fn scopes(self) -> Scopes<'a> {
        Scopes(Children::new(self.message, 2))
    }
}

/// The scopes of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scopes<'a>(Children<'a>);

impl<'a> Iterator for Scopes<'a> {
    type Item = Scope<'a>;

    fn next(&mut self) -> Option<Scope<'a>> {
        self.0.next().map(|message| Scope { message })
    }
}

/// One instrumentation scope and its items: a ScopeMetrics, ScopeSpans or ScopeLogs.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    message: &'a [u8],
}

impl<'a> Scope<'a> {
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

    /// Of a metrics body.
    pub fn metrics(self) -> Metrics<'a> {
        Metrics(Children::new(self.message, 2))
    }

    /// Of a traces body.
    pub fn spans(self) -> Spans<'a> {
        Spans(Children::new(self.message, 2))
    }

    /// Of a logs body.
    pub fn log_records(self) -> LogRecords<'a> {
        LogRecords(Children::new(self.message, 2))
    }
}
