//! Where the admin pages are served.

use std::net::{Ipv4Addr, SocketAddr};

/// Health port of the AWS Distro for OpenTelemetry collector, whose place otlet takes.
const PORT: u16 = 13133;

/// `--admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; none is off.
    pub listen: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Config {
        Config { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))) }
    }
}
