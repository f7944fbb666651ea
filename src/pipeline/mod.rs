//! The pipeline: where receivers and exporters meet.

mod config;
pub mod relabel;

pub use config::{Action, Config, RelabelConfig};
