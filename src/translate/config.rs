//! How points become samples.

use std::time::Duration;

/// Whose names, where the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Those of Prometheus' own OTLP receiver.
    #[default]
    Prometheus,
    /// Those of the AWS ADOT collector's remote-write exporter.
    Adot,
}

/// Which resource attributes become labels of every sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceLabels {
    /// These keys, as OTLP has them.
    Only(Vec<String>),
    All,
}

impl Default for ResourceLabels {
    fn default() -> ResourceLabels {
        ResourceLabels::Only(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub names: Names,
    pub resource_labels: ResourceLabels,
    /// Adds `otel_scope_name`, `otel_scope_version` and the scope's attributes.
    pub scope_labels: bool,
    /// Exponential histograms become native ones, else classic ones.
    pub native_histograms: bool,
    /// Most series of delta temporality that are summed up; further ones are dropped.
    pub streams_max: usize,
    /// Silence after which such a series is forgotten.
    pub stale: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            names: Names::default(),
            resource_labels: ResourceLabels::default(),
            scope_labels: false,
            native_histograms: false,
            streams_max: 10_000,
            stale: Duration::from_secs(300),
        }
    }
}
