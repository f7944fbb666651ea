//! `--from-statsd`: addresses and how lines become samples.

use std::path::PathBuf;

use super::component::Component;
use super::value::{self, Parsed};
use super::{Config, FlagError, Receiver};
use crate::receive::statsd::{self, Address, Timers, BUCKETS_MAX};

/// Most addresses.
pub const ADDRESSES_MAX: usize = 16;

/// Names of what timers become, as the table shows them.
pub const TIMERS: &str = "histogram|summary|exponential|gauge";

/// Longest path of a unix socket (unix(7), sun_path).
const PATH_BYTES_MAX: usize = 107;

/// A table of more series would not fit any sensible memory limit.
const SERIES_MAX: usize = 10_000_000;

/// A receive buffer's size is a signed 32-bit number to the kernel, which doubles it.
const RCVBUF_BYTES_MAX: u64 = 1 << 30;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.receivers.push(Receiver::Statsd(statsd::Config {
        listeners: given.addresses(address)?,
        interval: given.get("interval", value::interval)?,
        timers: given.get("timers", timers)?,
        buckets: given.get("buckets", buckets)?,
        idle: given.get("idle", value::duration)?,
        series_max: given.get("series_max", series_max)?,
        prefix: given.get("prefix", prefix)?,
        rcvbuf_bytes: given.get("rcvbuf", rcvbuf)?,
    }));
    Ok(())
}

fn address(text: &str) -> Parsed<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let fits = (1..=PATH_BYTES_MAX).contains(&path.len());
        let good = fits && path.starts_with('/') && !path.contains('\0');
        let why = format!("expected unix:/PATH of at most {PATH_BYTES_MAX} bytes");
        return good.then(|| Address::Unix(PathBuf::from(path))).ok_or(why);
    }
    if let Some(tcp) = text.strip_prefix("tcp://") {
        return value::listen(tcp).map(Address::Tcp);
    }
    let udp = value::listen(text.strip_prefix("udp://").unwrap_or(text)).map(Address::Udp);
    udp.map_err(|why| format!("{why}, tcp://127.0.0.1:8125 or unix:/path"))
}

fn timers(text: &str) -> Parsed<Timers> {
    Ok(match value::choice(TIMERS)(text)? {
        "summary" => Timers::Summary,
        "exponential" => Timers::Exponential,
        "gauge" => Timers::Gauge,
        _ => Timers::Histogram,
    })
}

fn buckets(text: &str) -> Parsed<Vec<f64>> {
    let bounds: Option<Vec<f64>> = text
        .split(',')
        .map(|bound| bound.parse().ok().filter(|bound: &f64| bound.is_finite()))
        .collect();
    let rising = |bounds: &Vec<f64>| bounds.windows(2).all(|pair| pair[0] < pair[1]);
    match bounds.filter(rising) {
        Some(bounds) if bounds.len() <= BUCKETS_MAX => Ok(bounds),
        Some(_) => Err(format!("expected at most {BUCKETS_MAX} bounds")),
        None => Err("expected rising bounds such as 0.1,0.5,1, without +Inf".to_owned()),
    }
}

fn series_max(text: &str) -> Parsed<usize> {
    match value::count_above_zero(text)? {
        count if count <= SERIES_MAX => Ok(count),
        _ => Err(format!("expected at most {SERIES_MAX}")),
    }
}

fn prefix(text: &str) -> Parsed<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    if text.bytes().all(good) && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("expected the beginning of a metric name: letters, digits, _ and :".to_owned())
}

fn rcvbuf(text: &str) -> Parsed<usize> {
    match value::size(text)? {
        bytes if bytes <= RCVBUF_BYTES_MAX => Ok(bytes as usize),
        _ => Err("expected at most 1GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn statsd(argument: &str) -> statsd::Config {
        match config(&[argument]).receivers.remove(0) {
            Receiver::Statsd(statsd) => statsd,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let statsd = statsd("--from-statsd");
        assert_eq!(statsd.listeners, [Address::Udp("127.0.0.1:8125".parse().unwrap())]);
        assert_eq!((statsd.interval.as_secs(), statsd.idle.as_secs()), (10, 300));
        assert_eq!((statsd.timers, statsd.series_max), (Timers::Histogram, 10_000));
        assert_eq!((statsd.prefix.as_str(), statsd.rcvbuf_bytes), ("", 4 << 20));
        assert_eq!((statsd.buckets.len(), statsd.buckets[0]), (11, 0.005));
    }

    #[test]
    fn settings() {
        let statsd = statsd(
            "--from-statsd=0.0.0.0:1 udp://[::]:2 tcp://localhost:3 unix:/run/a.sock unix:///b \
             interval=1s timers=summary buckets=-1,0,1e3 idle=0s series_max=5 prefix=my:app_ \
             rcvbuf=1MiB",
        );
        let shown: Vec<_> = statsd.listeners.iter().map(Address::to_string).collect();
        assert_eq!(
            shown,
            ["0.0.0.0:1", "[::]:2", "tcp://127.0.0.1:3", "unix:/run/a.sock", "unix:/b"]
        );
        assert_eq!((statsd.interval.as_secs(), statsd.idle.as_secs()), (1, 0));
        assert_eq!((statsd.timers, statsd.series_max), (Timers::Summary, 5));
        assert_eq!((statsd.prefix.as_str(), statsd.rcvbuf_bytes), ("my:app_", 1 << 20));
        assert_eq!(statsd.buckets, [-1.0, 0.0, 1000.0]);
        let timers = |name: &str| {
            let argument = format!("--from-statsd=timers={name}");
            super::tests::statsd(&argument).timers
        };
        assert_eq!(timers("exponential"), Timers::Exponential);
        assert_eq!(timers("gauge"), Timers::Gauge);
    }

    #[test]
    fn bad_values() {
        let bad = |value: &str, message: &str| {
            bad(&[&format!("--from-statsd={value}")], &format!("--from-statsd: {message}"));
        };
        let listen = "expected an address such as 127.0.0.1:13133";
        bad("host:1", &format!("\"host:1\": {listen}, tcp://127.0.0.1:8125 or unix:/path"));
        bad("tcp://:1", &format!("\"tcp://:1\": {listen}"));
        for path in ["unix:", "unix:relative"] {
            bad(path, &format!("\"{path}\": expected unix:/PATH of at most 107 bytes"));
        }
        bad("interval=0s", "interval=\"0s\": expected a duration above zero");
        bad("timers=histo", "timers=\"histo\": expected histogram, summary, exponential, gauge");
        for list in ["", "1,1", "2,1", "1,+Inf", "1,x", "1,,2", "NaN"] {
            bad(
                &format!("buckets={list}"),
                &format!(
                    "buckets=\"{list}\": expected rising bounds such as 0.1,0.5,1, without +Inf"
                ),
            );
        }
        bad("series_max=0", "series_max=\"0\": expected a whole number above zero");
        bad("series_max=10000001", "series_max=\"10000001\": expected at most 10000000");
        for prefix in ["a.b", "1a", "é"] {
            bad(
                &format!("prefix={prefix}"),
                &format!(
                    "prefix=\"{prefix}\": expected the beginning of a metric name: letters, \
                     digits, _ and :"
                ),
            );
        }
        bad("rcvbuf=2GiB", "rcvbuf=\"2GiB\": expected at most 1GiB");
        let many: Vec<String> = (0..=BUCKETS_MAX).map(|bound| bound.to_string()).collect();
        let many = format!("--from-statsd=buckets={}", many.join(","));
        let error = super::super::tests::run(&[&many]).unwrap_err().to_string();
        assert!(error.ends_with("expected at most 96 bounds"), "{error}");
        super::super::tests::bad(&["--from-statsd", "--from-statsd"], "--from-statsd: given twice");
    }
}
