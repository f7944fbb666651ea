//! The pipeline: where receivers and exporters meet.

mod config;

pub use config::{Action, Config, RelabelConfig};
