//! What the program does instead of running: help, version, health check.
//!
//! Help wins over version, version over the health check; the other flags are then not looked at.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use super::arguments::{find, unknown, Argument};
use super::component::{Component, Env};
use super::{given, value, Command, Config, FlagError, Topic};

/// The name under which the program is its own health check, as in ADOT's image.
const HEALTHCHECK: &str = "healthcheck";

/// Where ADOT's health check asks.
const HEALTHCHECK_PORT: u16 = 13133;

/// Fills nothing in: these flags are commands.
pub fn nothing(_: &Component, _: &mut Config) -> Result<(), FlagError> {
    Ok(())
}

/// The command among `arguments` that replaces running, if there is one.
pub fn instead_of_running(arguments: &[Argument], env: Env) -> Result<Option<Command>, FlagError> {
    if let Some(help) = given(arguments, "help") {
        return topic(help.value.as_deref().unwrap_or_default()).map(Command::Help).map(Some);
    }
    if given(arguments, "version").is_some() {
        return Ok(Some(Command::Version));
    }
    let Some(healthcheck) = given(arguments, HEALTHCHECK) else { return Ok(None) };
    let address = healthcheck.value.as_deref().unwrap_or_default();
    let address = Component::parse(healthcheck.flag, address, env)?.address(value::listen)?;
    Ok(Some(Command::Healthcheck { address }))
}

/// The topic that the value of `--help=` names, with or without dashes.
fn topic(value: &str) -> Result<Option<Topic>, FlagError> {
    match value.trim_start_matches('-') {
        "" => Ok(None),
        "client" => Ok(Some(Topic::Client)),
        name => find(name).map(|flag| Some(Topic::Flag(flag))).ok_or_else(|| unknown(name)),
    }
}

/// Whether the program was called by the health check's name.
pub fn is_healthcheck(argv0: &str) -> bool {
    argv0.rsplit('/').next() == Some(HEALTHCHECK)
}

/// The arguments of ADOT's `healthcheck`: `-port N`, in the spellings of Go's flag package.
pub fn healthcheck(args: impl IntoIterator<Item = OsString>) -> Result<Command, FlagError> {
    let expected = || FlagError::new("healthcheck: expected -port N, or nothing".to_owned());
    let args: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut port = HEALTHCHECK_PORT;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).ok_or_else(expected)?;
        let number = match name.split_once('=') {
            Some(("port", number)) => number,
            None if name == "port" => rest.next().ok_or_else(expected)?,
            _ => return Err(expected()),
        };
        port = number.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?;
    }
    Ok(Command::Healthcheck { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, run};
    use super::*;

    #[track_caller]
    fn asks(args: &[&str], expected: &str) {
        match run(args) {
            Ok(Command::Healthcheck { address }) => assert_eq!(address.to_string(), expected),
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn healthcheck_flag() {
        asks(&["--healthcheck"], "127.0.0.1:13133");
        asks(&["--healthcheck="], "127.0.0.1:13133");
        asks(&["--healthcheck=localhost:80"], "127.0.0.1:80");
        asks(&["--healthcheck=[::1]:80", "--from-scrape=x"], "[::1]:80");
        bad(
            &["--healthcheck=80"],
            "--healthcheck: \"80\": expected an address such as 127.0.0.1:13133",
        );
    }

    #[test]
    fn healthcheck_by_name() {
        let called = |argv0: &str, args: &[&str]| {
            let args = args.iter().map(OsString::from);
            match super::super::parse(argv0, args, &|_| None, None) {
                Ok(Command::Healthcheck { address }) => Ok(address.port()),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            }
        };
        assert_eq!(called("/healthcheck", &[]), Ok(13133));
        for args in [&["-port", "80"][..], &["--port", "80"], &["-port=80"], &["--port=80"]] {
            assert_eq!(called("healthcheck", args), Ok(80), "{args:?}");
        }
        for args in [&["80"][..], &["-port"], &["-port", "0"], &["-port=65536"], &["-ports=1"]] {
            let expected = "healthcheck: expected -port N, or nothing".to_owned();
            assert_eq!(called("/bin/healthcheck", args), Err(expected), "{args:?}");
        }
        assert_eq!(
            called("/healthcheck/otlet", &["-port"]),
            Err("-p: unknown flag; flags begin with two dashes, see --help".to_owned())
        );
    }

    #[test]
    fn help_and_version() {
        let topic = |args: &[&str]| match run(args) {
            Ok(Command::Help(None)) => "all",
            Ok(Command::Help(Some(Topic::Client))) => "client keys",
            Ok(Command::Help(Some(Topic::Flag(flag)))) => flag.name,
            other => panic!("{args:?}: {other:?}"),
        };
        assert_eq!(topic(&["--help"]), "all");
        assert_eq!(topic(&["--help", "--version", "--linger=x"]), "all");
        assert_eq!(topic(&["--help=client"]), "client keys");
        assert_eq!(topic(&["--help=linger"]), "linger");
        assert_eq!(topic(&["--help=--from-scrape"]), "from-scrape");
        bad(&["--help=lingr"], "--lingr: unknown flag; nearest is --linger");
        assert!(matches!(run(&["--version", "--healthcheck"]), Ok(Command::Version)));
        bad(&["--version=1"], "--version: expected no value");
    }

    #[test]
    fn check() {
        let args = ["--check", "--from-scrape=http://h"];
        assert!(matches!(run(&args), Ok(Command::Check(_))));
        assert!(matches!(run(&["--check"]), Ok(Command::Check(_))));
    }
}
