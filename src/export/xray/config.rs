//! What one X-Ray destination is told to do, checked; the flag table holds the defaults.

use std::time::Duration;

use crate::aws::SigV4Config;
use crate::net::{ClientConfig, Url};

/// Headers that the protocol fixes; `header.NAME` may not name them.
pub const OWN_HEADERS: [&str; 1] = ["Content-Type"];

/// One `--to-xray`.
#[derive(Clone, Debug)]
pub struct Config {
    /// X-Ray's endpoint, without the path of an operation.
    pub endpoint: Url,
    /// How long a batch stays open; never zero.
    pub batch: Duration,
    /// Bytes that may wait; none is an equal share of the memory limit.
    pub queue: Option<u64>,
    /// Age at which a request that keeps failing is given up; zero sends once.
    pub retry_for: Duration,
    /// How to connect.
    pub client: ClientConfig,
    /// Requests are always signed.
    pub sigv4: SigV4Config,
}

impl Config {
    /// The defaults, for tests and benchmarks.
    pub fn for_endpoint(endpoint: Url) -> Config {
        Config {
            endpoint,
            batch: Duration::from_secs(1),
            queue: None,
            retry_for: Duration::from_secs(3600),
            client: ClientConfig::default(),
            sigv4: SigV4Config::default(),
        }
    }
}
