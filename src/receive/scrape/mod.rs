//! Scrape: fetches Prometheus text from an address at a steady interval.

mod config;

pub use config::{Config, OWN_HEADERS};
