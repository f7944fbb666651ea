//! What the X-Ray receiver is told to do, checked; the flag table holds the defaults.

use std::net::SocketAddr;

use crate::net::Url;

/// One `--from-xray`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Segments by UDP and sampling requests by TCP.
    pub address: SocketAddr,
    /// Where sampling requests go instead of the region's X-Ray endpoint.
    pub upstream: Option<Url>,
    pub region: Option<String>,
}
