//! What one remote-write destination is told to do, checked; the flag table holds the defaults.

use crate::aws::SigV4Config;
use crate::export::pace::Pace;
use crate::net::{ClientConfig, Url};
use crate::translate;

/// Headers that the protocol fixes; `header.NAME` may not name them.
pub const OWN_HEADERS: [&str; 3] =
    ["Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version"];

/// One `--to-remote-write`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests are posted.
    pub url: Url,
    pub pace: Pace,
    /// A batch with this many samples is closed early; never zero.
    pub samples_max: usize,
    /// Type, unit and help of metrics are sent too.
    pub metadata: bool,
    /// How OTLP points become samples.
    pub translate: translate::Config,
    /// Added to every sample that lacks them, for this destination alone.
    pub labels: Vec<(String, String)>,
    /// How to connect.
    pub client: ClientConfig,
    /// How to sign; none is not at all.
    pub sigv4: Option<SigV4Config>,
}

impl Config {
    /// What the flag table's defaults come to, for tests and benchmarks; a test holds them
    /// together.
    pub fn for_url(url: Url) -> Config {
        Config {
            url,
            pace: Pace::of_batch_s(5),
            samples_max: 2000,
            metadata: true,
            translate: translate::Config::default(),
            labels: Vec::new(),
            client: ClientConfig::default(),
            sigv4: None,
        }
    }
}
