//! Scrape receiver: Prometheus text and OpenMetrics pages, fetched on a fixed beat.
//!
//! Follows the Prometheus exposition formats and the behaviour of Prometheus' own scraper: honour
//! rules, limits, `up` and `scrape_*` series, staleness markers. A page is parsed as it streams in
//! and staged; one bad line and nothing of it is published. Unlike Prometheus, markers are written
//! on shutdown too: a task's series end with the task.
//!
//! Leaves out the protobuf exposition and with it native histograms.

mod config;
mod fetch;
mod filter;
mod merge;
pub mod page;
mod probe;
mod report;
mod schedule;
pub mod series;
mod series_labels;
mod series_log;
mod series_table;
mod target;

pub use config::{Config, OWN_HEADERS};
pub use probe::probe;
pub use target::{Stop, Target};
