//! Stdout: one line per sample, what a person reads first.

mod config;

pub use config::{Config, Format};
