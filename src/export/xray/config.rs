//! What one X-Ray destination is told to do, checked; the flag table holds the defaults.

use crate::aws::SigV4Config;
use crate::export::pace::Pace;
use crate::net::{ClientConfig, Url};

/// Headers that the protocol fixes; `header.NAME` may not name them.
pub const OWN_HEADERS: [&str; 1] = ["Content-Type"];

/// One `--to-xray`.
#[derive(Clone, Debug)]
pub struct Config {
    /// X-Ray's endpoint, without the path of an operation.
    pub endpoint: Url,
    pub pace: Pace,
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
            pace: Pace::of_batch_s(1),
            client: ClientConfig::default(),
            sigv4: SigV4Config::default(),
        }
    }
}
