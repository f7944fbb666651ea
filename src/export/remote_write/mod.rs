//! Remote write: sends samples to a Prometheus-compatible database.

mod config;

pub use config::{Config, OWN_HEADERS};
