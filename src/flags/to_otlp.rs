//! `--to-otlp`: one destination for up to three signals.

use super::component::Component;
use super::{client, value, Config, Exporter, FlagError};
use crate::codec::otlp::Signal;
use crate::export::otlp::{self, Protocol};

/// Ways to travel.
pub const PROTOCOLS: &str = "http|grpc";

/// Ways to pack.
pub const COMPRESSIONS: &str = "gzip|none";

/// The key of each signal's own address, in the order of [`Signal`].
const URL_KEYS: [&str; 3] = ["metrics_url", "traces_url", "logs_url"];

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let client = client::fill(given, &otlp::OWN_HEADERS)?;
    let protocol = match given.get("protocol", value::choice(PROTOCOLS))? {
        "grpc" => Protocol::Grpc,
        _ => Protocol::Http,
    };
    let sigv4 = client::signing(given, &client)?;
    let url = given.address(value::url)?;
    let mut signal_urls = [None, None, None];
    for (own, key) in signal_urls.iter_mut().zip(URL_KEYS) {
        *own = given.optional(key, value::url)?;
    }
    if protocol == Protocol::Grpc {
        if sigv4.is_some() {
            return Err(given.error("sigv4", "AWS's endpoints do not speak protocol=grpc"));
        }
        let urls = [("", Some(&url))]
            .into_iter()
            .chain(URL_KEYS.into_iter().zip(signal_urls.iter().map(Option::as_ref)));
        for (key, url) in urls {
            if url.is_some_and(|url| url.target != "/") {
                return Err(given.error(key, "protocol=grpc has no path; write http://host:port"));
            }
        }
    }
    config.exporters.push(Exporter::Otlp(otlp::Config {
        url,
        signal_urls,
        signals: given.get("signals", signals)?,
        protocol,
        gzip: given.get("compression", value::choice(COMPRESSIONS))? == "gzip",
        pace: client::pace(given)?,
        sigv4,
        client,
    }));
    Ok(())
}

/// Names of signals, in any order.
fn signals(text: &str) -> value::Parsed<[bool; 3]> {
    let expected = "expected a list of metrics,traces,logs";
    let mut taken = [false; 3];
    for name in value::list(text).map_err(|_| expected.to_owned())? {
        let known = Signal::ALL.into_iter().find(|signal| signal.name() == name);
        taken[known.ok_or(expected)? as usize] = true;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn destination(value: &str) -> otlp::Config {
        match config(&["--from-scrape=http://h", "--to-otlp", value]).exporters.remove(0) {
            Exporter::Otlp(destination) => destination,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let destination = destination("http://h:4318");
        // Debug shows every field; secrets have no default.
        let in_code = otlp::Config::for_url(destination.url.clone());
        assert_eq!(format!("{destination:?}"), format!("{in_code:?}"));
    }

    #[test]
    fn settings() {
        let some = destination(
            "https://h/base signals=logs,traces compression=none batch=200ms queue=1MiB \
             retry_for=0s logs_url=https://logs.eu-west-1.amazonaws.com/v1/logs sigv4",
        );
        assert_eq!((some.signals, some.gzip), ([false, true, true], false));
        assert_eq!((some.pace.batch.as_millis(), some.pace.queue), (200, Some(1 << 20)));
        assert_eq!(some.url_of(Signal::Traces).to_string(), "https://h/base/v1/traces");
        assert_eq!(some.url_of(Signal::Logs).host, "logs.eu-west-1.amazonaws.com");
        assert!(some.sigv4.is_some() && some.pace.retry_for.is_zero());
        let grpc = destination("http://h:4317 protocol=grpc");
        assert_eq!(
            (grpc.protocol, grpc.url_of(Signal::Logs).to_string().as_str()),
            (Protocol::Grpc, "http://h:4317/")
        );
    }

    #[test]
    fn bad_values() {
        let no_scheme =
            "expected a URL: `h:4317` has no scheme; write http://h:4317 or https://h:4317";
        let no_path = "protocol=grpc has no path; write http://host:port";
        for (value, key, message) in [
            ("h:4317", "\"h:4317\"", no_scheme),
            ("http://h protocol=udp", "protocol=\"udp\"", "expected http, grpc"),
            ("http://h compression=zstd", "compression=\"zstd\"", "expected gzip, none"),
            (
                "http://h signals=spans",
                "signals=\"spans\"",
                "expected a list of metrics,traces,logs",
            ),
            ("http://h signals=", "signals=\"\"", "expected a list of metrics,traces,logs"),
            ("http://h batch=0s", "batch=\"0s\"", "expected a duration above zero"),
            (
                "https://h protocol=grpc sigv4",
                "sigv4",
                "AWS's endpoints do not speak protocol=grpc",
            ),
            ("https://h/x protocol=grpc", "", no_path),
            ("https://h protocol=grpc logs_url=http://l/x", "logs_url", no_path),
            ("http://h header.Te=x", "header.Te", "this header is set by otlet itself"),
        ] {
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            bad(&["--to-otlp", value], &format!("--to-otlp: {key}{message}"));
        }
    }
}
