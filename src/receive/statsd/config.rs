//! What the StatsD receiver is told to do, checked; the flag table holds the defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One `--from-statsd`.
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one; all share one table of series.
    pub listeners: Vec<Address>,
    /// From one flush to the next; never zero.
    pub interval: Duration,
    pub timers: Timers,
    /// Upper bounds of a classic histogram's buckets, rising, finite, without +Inf; in seconds for
    /// `ms`, as sent for `h` and `d`.
    pub buckets: Vec<f64>,
    /// A series that was not heard of for so long ends; zero is never.
    pub idle: Duration,
    /// Lines that would start one more series are refused; never zero.
    pub series_max: usize,
    /// Stands before every metric's name, as it is.
    pub prefix: String,
    /// Receive buffer asked for, per socket.
    pub rcvbuf_bytes: usize,
}

/// Where lines come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    /// A unix datagram socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Udp(address) => write!(out, "{address}"),
            Address::Tcp(address) => write!(out, "tcp://{address}"),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// What timers, histograms and distributions become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timers {
    /// A classic histogram with the buckets of the configuration.
    #[default]
    Histogram,
    /// Quantiles of each interval, with sum and count.
    Summary,
    /// Buckets that adapt to the values, as in an OTLP exponential histogram; written as classic
    /// buckets at their own bounds as long as no exporter takes native ones.
    Exponential,
    /// The last value.
    Gauge,
}
