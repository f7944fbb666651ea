//! Receivers: one room per way in. They speak to the pipeline and never to an exporter.

pub mod ecs;
pub mod otlp;
pub mod scrape;
pub mod statsd;
pub mod xray;
