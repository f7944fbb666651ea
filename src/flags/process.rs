//! The flags of the process itself: memory, admin port, stopping, log.

use log::LevelFilter;

use super::component::Component;
use super::table::{FORMATS, LEVELS};
use super::value::{self, Parsed};
use super::{Config, FlagError};
use crate::admin;
use crate::observe::log::Format;

/// Below this the program could not hold one batch and one response.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;

pub fn fill_memory_limit(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.memory_limit_bytes = given.address(|text| match value::size(text)? {
        bytes if bytes < MEMORY_BYTES_MIN => Err("expected at least 1MiB".to_owned()),
        bytes => Ok(bytes),
    })?;
    Ok(())
}

pub fn fill_admin(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.admin = given.address(|text| -> Parsed<admin::Config> {
        let listen = match text {
            "off" => None,
            address => Some(value::listen(address).map_err(|why| why + ", or off")?),
        };
        Ok(admin::Config { listen })
    })?;
    Ok(())
}

pub fn fill_stop_timeout(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.stop_timeout = given.address(value::interval)?;
    Ok(())
}

pub fn fill_linger(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.linger = given.address(value::duration)?;
    Ok(())
}

pub fn fill_log_level(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.log_level = match given.address(value::choice(LEVELS))? {
        "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        _ => LevelFilter::Info,
    };
    Ok(())
}

pub fn fill_log_format(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.log_format = match given.address(value::choice(FORMATS))? {
        "json" => Format::Json,
        _ => Format::Text,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config, config_in};
    use super::*;
    use std::time::Duration;

    fn with(arg: &str) -> Config {
        config(&["--from-scrape=http://h", arg])
    }

    #[test]
    fn memory_limit() {
        let limit = |arg, cgroup| {
            let args = ["--from-scrape=http://h", "--log-level=info", arg];
            let args = if arg.is_empty() { &args[..2] } else { &args[..] };
            config_in(args, cgroup).memory_limit_bytes
        };
        assert_eq!(limit("", None), 32 << 20);
        assert_eq!(limit("", Some(1 << 30)), 32 << 20);
        assert_eq!(limit("", Some(u64::MAX)), 32 << 20);
        assert_eq!(limit("", Some(40 << 20)), 20 << 20);
        assert_eq!(limit("", Some(1)), MEMORY_BYTES_MIN);
        assert_eq!(limit("--memory-limit=32MiB", Some(40 << 20)), 32 << 20, "given is given");
        assert_eq!(limit("--memory-limit=1048576", None), MEMORY_BYTES_MIN);
        bad(&["--memory-limit=1023KiB"], "--memory-limit: \"1023KiB\": expected at least 1MiB");
        bad(
            &["--memory-limit=32MB"],
            "--memory-limit: \"32MB\": expected a size such as 64KiB, 8MiB, 1GiB or plain bytes",
        );
        bad(&["--memory-limit", ""], "--memory-limit: expected SIZE");
        bad(
            &["--memory-limit=1MiB 2MiB"],
            "--memory-limit: unknown setting 2MiB; see --help=memory-limit",
        );
    }

    #[test]
    fn admin() {
        assert_eq!(config(&["--from-scrape=http://h"]).admin, admin::Config::default());
        assert_eq!(with("--admin=off").admin.listen, None);
        assert_eq!(with("--admin=0.0.0.0:80").admin.listen, "0.0.0.0:80".parse().ok());
        assert_eq!(with("--admin=[::1]:0").admin.listen, "[::1]:0".parse().ok());
        bad(
            &["--admin=13133"],
            "--admin: \"13133\": expected an address such as 127.0.0.1:13133, or off",
        );
    }

    #[test]
    fn stop_timeout_and_linger() {
        let default = config(&["--from-scrape=http://h"]);
        assert_eq!((default.stop_timeout.as_secs(), default.linger.as_secs()), (20, 1));
        let short = with("--stop-timeout=500ms");
        assert_eq!((short.stop_timeout, short.linger), {
            let half = Duration::from_millis(500);
            (half, half)
        });
        assert_eq!(with("--linger=0s").linger, Duration::ZERO);
        bad(&["--stop-timeout=0s"], "--stop-timeout: \"0s\": expected a duration above zero");
        bad(&["--linger=1"], "--linger: \"1\": expected a duration such as 500ms, 15s, 5m or 1h");
    }

    #[test]
    fn log_level_and_format() {
        let default = config(&["--from-scrape=http://h"]);
        assert_eq!((default.log_level, default.log_format), (LevelFilter::Info, Format::Text));
        for level in LEVELS.split('|') {
            let config = with(&format!("--log-level={level}"));
            assert_eq!(config.log_level.as_str().to_ascii_lowercase(), level);
        }
        assert_eq!(with("--log-format=json").log_format, Format::Json);
        bad(
            &["--log-level=warning"],
            "--log-level: \"warning\": expected error, warn, info, debug, trace",
        );
        bad(&["--log-format=JSON"], "--log-format: \"JSON\": expected text, json");
    }
}
