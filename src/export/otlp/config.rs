//! What one OTLP destination is told to do, checked; the flag table holds the defaults.

use crate::aws::SigV4Config;
use crate::codec::otlp::Signal;
use crate::export::pace::Pace;
use crate::net::{ClientConfig, Url};

/// Headers that the protocol fixes; `header.NAME` may not name them.
pub const OWN_HEADERS: [&str; 6] = [
    "Content-Type",
    "Content-Encoding",
    "Te",
    "Grpc-Encoding",
    "Grpc-Accept-Encoding",
    "Grpc-Timeout",
];

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    Http,
    Grpc,
}

/// One `--to-otlp`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests go; over HTTP a path for each signal is put behind it.
    pub url: Url,
    /// Addresses of single signals, used as they are; in the order of [`Signal`].
    pub signal_urls: [Option<Url>; 3],
    /// Which signals it takes, in the same order.
    pub signals: [bool; 3],
    pub protocol: Protocol,
    /// Requests are compressed.
    pub gzip: bool,
    pub pace: Pace,
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
            signal_urls: [None, None, None],
            signals: [true; 3],
            protocol: Protocol::Http,
            gzip: true,
            pace: Pace::of_batch_s(1),
            client: ClientConfig::default(),
            sigv4: None,
        }
    }

    /// Where requests of a signal go (OpenTelemetry specification, "Endpoint URLs for OTLP/HTTP").
    pub fn url_of(&self, signal: Signal) -> Url {
        if let Some(url) = &self.signal_urls[signal as usize] {
            return url.clone();
        }
        if self.protocol == Protocol::Grpc {
            return self.url.clone();
        }
        let (path, query) = match self.url.target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (self.url.target.as_str(), String::new()),
        };
        let target = format!("{}/v1/{}{query}", path.trim_end_matches('/'), signal.name());
        Url { target, ..self.url.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (base, expected) in [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("http://c/my", "http://c/my/v1/traces"),
            ("http://c/my/", "http://c/my/v1/traces"),
            ("https://c/my/?key=v", "https://c/my/v1/traces?key=v"),
        ] {
            let mut config = Config::for_url(Url::parse(base).unwrap());
            assert_eq!(config.url_of(Signal::Traces).to_string(), expected, "{base}");
            config.signal_urls[2] = Some(Url::parse("http://logs/in").unwrap());
            assert_eq!(config.url_of(Signal::Logs).to_string(), "http://logs/in");
            config.protocol = Protocol::Grpc;
            assert_eq!(config.url_of(Signal::Metrics), config.url);
        }
    }
}
