//! What one scrape target is told to do, checked; the flag table holds the defaults.

use std::time::Duration;

use crate::net::{ClientConfig, Url};

/// Headers that the scrape writes itself; `header.NAME` may not name them.
pub const OWN_HEADERS: [&str; 3] =
    ["Accept", "Accept-Encoding", "X-Prometheus-Scrape-Timeout-Seconds"];

/// One `--from-scrape`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the metrics are.
    pub url: Url,
    /// The label `job`.
    pub job: String,
    /// From one scrape to the next; never zero.
    pub interval: Duration,
    /// For one scrape as a whole; never longer than the interval, never zero.
    pub timeout: Duration,
    /// Added to the target's labels, in the order given.
    pub labels: Vec<(String, String)>,
    /// Labels in the data win over the target's labels.
    pub honor_labels: bool,
    /// Timestamps in the data win over the time of the scrape.
    pub honor_timestamps: bool,
    /// More samples than this fail the scrape; zero is no limit.
    pub sample_limit: u64,
    /// More labels than this on one sample fail the scrape; zero is no limit.
    pub label_limit: u64,
    /// A longer body, in bytes after decompression, fails the scrape; never zero.
    pub body_limit: u64,
    /// Metrics to keep: a regular expression that compiles as `^(?s:…)$`.
    pub keep: Option<String>,
    /// Metrics to drop: a regular expression that compiles as `^(?s:…)$`.
    pub drop: Option<String>,
    /// How to connect; its timeout is the scrape's.
    pub client: ClientConfig,
}

impl Config {
    /// What the flag table's defaults come to, for targets that are found and not given; a test
    /// holds them together.
    pub fn for_url(url: Url) -> Config {
        Config {
            url,
            job: "otlet".to_owned(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            labels: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            label_limit: 0,
            body_limit: 64 << 20,
            keep: None,
            drop: None,
            client: ClientConfig { timeout: Duration::from_secs(10), ..ClientConfig::default() },
        }
    }
}
