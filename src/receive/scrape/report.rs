//! The series every scrape reports of itself: `up` and the `scrape_*` (Prometheus documentation,
//! "Jobs and instances"). They carry the target's labels only and no filter touches them.

use crate::model::{
    sort_labels, Family, Label, MetricType, Part, Sample, NAME_LABEL, STALE_NAN_BITS,
};
use crate::pipeline::Transaction;

use super::page::Counts;

/// What one scrape has to report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub up: bool,
    pub duration_s: f64,
    pub counts: Counts,
}

impl Report {
    fn values(&self) -> [(&'static str, f64); 5] {
        [
            ("up", f64::from(u8::from(self.up))),
            ("scrape_duration_seconds", self.duration_s),
            ("scrape_samples_scraped", self.counts.scraped as f64),
            ("scrape_samples_post_metric_relabeling", self.counts.kept as f64),
            ("scrape_series_added", self.counts.added as f64),
        ]
    }
}

/// Stages the report.
pub fn push(
    transaction: &mut Transaction,
    target: &[(String, String)],
    timestamp_ms: i64,
    report: &Report,
) {
    for (name, value) in report.values() {
        push_one(transaction, target, timestamp_ms, name, value);
    }
}

/// Stages the markers that end the report's series.
pub fn push_end(transaction: &mut Transaction, target: &[(String, String)], timestamp_ms: i64) {
    for (name, _) in Report::default().values() {
        push_one(transaction, target, timestamp_ms, name, f64::from_bits(STALE_NAN_BITS));
    }
}

fn push_one(
    transaction: &mut Transaction,
    target: &[(String, String)],
    timestamp_ms: i64,
    name: &str,
    value: f64,
) {
    let mut labels: Vec<_> = target.iter().map(|(name, value)| Label::new(name, value)).collect();
    labels.push(Label::new(NAME_LABEL, name));
    sort_labels(&mut labels);
    let family = Family { name, metric_type: MetricType::Gauge, ..Family::default() };
    let (part, labels) = (Part::Value, labels.as_slice());
    transaction.sample(&Sample {
        family: &family,
        part,
        labels,
        value,
        timestamp_ms,
        exemplar: None,
        histogram: None,
    });
    transaction.end_family(&family);
}
