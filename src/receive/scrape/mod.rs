//! Scraping Prometheus endpoints.

pub mod series_labels;
pub mod series_log;
pub mod series_table;
