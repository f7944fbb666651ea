//! The command line as a whole, and what the tests of single flags share.

use super::*;

/// Parses with a small environment and no container limit.
pub fn run(args: &[&str]) -> Result<Command, FlagError> {
    run_in(args, None)
}

fn run_in(args: &[&str], cgroup_limit_bytes: Option<u64>) -> Result<Command, FlagError> {
    let env = |name: &str| match name {
        "SECRET" => Some("s3 \"cret".to_owned()),
        "AZ" => Some("eu-1a".to_owned()),
        "URL" => Some("http://h:1/m".to_owned()),
        _ => None,
    };
    parse("/otlet", args.iter().map(OsString::from), &env, cgroup_limit_bytes)
}

/// The configuration of arguments that are right.
#[track_caller]
pub fn config(args: &[&str]) -> Config {
    config_in(args, None)
}

#[track_caller]
pub fn config_in(args: &[&str], cgroup_limit_bytes: Option<u64>) -> Config {
    match run_in(args, cgroup_limit_bytes) {
        Ok(Command::Run(config)) => config,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// Arguments that are wrong, and exactly what is said about them.
#[track_caller]
pub fn bad(args: &[&str], message: &str) {
    match run(args) {
        Ok(command) => panic!("{args:?}: {command:?}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

#[test]
fn alone_it_opens_the_default_receivers_and_prints() {
    for args in [&[][..], &["--to-stdout"]] {
        let config = config(args);
        let receivers = &config.receivers[..];
        assert!(matches!(receivers, [Receiver::Statsd(_), Receiver::Otlp(_), Receiver::Xray(_)]));
        assert!(matches!(config.exporters[..], [Exporter::Stdout(_)]));
    }
    let config = config(&["--from-scrape", "http://h"]);
    assert!(matches!(config.exporters[..], [Exporter::Stdout(_)]));
    assert!(matches!(config.receivers[..], [Receiver::Scrape(_)]));
}

#[test]
fn order_is_kept() {
    let config = config(&[
        "--to-stdout",
        "--from-scrape=http://a",
        "--to-remote-write=http://b",
        "--from-scrape=http://c",
    ]);
    assert!(matches!(config.exporters[..], [Exporter::Stdout(_), Exporter::RemoteWrite(_)]));
    let hosts = config.receivers.iter().filter_map(|receiver| match receiver {
        Receiver::Scrape(target) => Some(target.url.host.as_str()),
        _ => None,
    });
    assert_eq!(hosts.collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn the_table_is_sound() {
    for (at, flag) in FLAGS.iter().enumerate() {
        assert!(FLAGS[..at].iter().all(|earlier| earlier.name != flag.name), "{}", flag.name);
        assert!(!flag.help.is_empty() && !flag.help.contains('|'), "{}", flag.name);
        assert_eq!(flag.addresses_max > 0, !flag.address.is_empty(), "{}", flag.name);
        let has_value = flag.addresses_max > 0 || !flag.settings.is_empty();
        assert_eq!(flag.takes != table::Takes::Nothing, has_value, "{}", flag.name);
        assert_eq!(
            flag.role == Role::Process,
            flag.takes == table::Takes::Required && !flag.default.is_empty(),
            "{}",
            flag.name
        );
        let settings: Vec<_> = component::settings_of(flag).collect();
        for (at, setting) in settings.iter().enumerate() {
            assert!(settings[..at].iter().all(|earlier| earlier.key != setting.key));
            assert!(!setting.help.is_empty() && !setting.value.is_empty(), "{}", setting.key);
            assert!(!setting.secret || setting.default.is_empty(), "{}", setting.key);
        }
    }
}

#[test]
fn every_message_is_one_line_and_bounded() {
    let long = "x".repeat(100_000);
    for args in [
        format!("--{long}"),
        long.clone(),
        format!("{long}=1"),
        format!("--from-scrape={long}"),
        format!("--from-scrape=http://h {long}"),
        format!("--from-scrape=http://h {long}=1"),
        format!("--from-scrape=http://h interval={long}"),
        format!("--from-scrape=http://h label.{long}=1 label.{long}=1"),
        format!("--from-scrape=http://h label.{long}"),
        format!("--from-scrape=http://h label.{long}="),
        format!("--from-scrape=http://h header.{long}=\"a b\" header.Host=x"),
        format!("--from-scrape=http://h header.a({long}=1"),
        format!("--label={long}=1 {long}"),
        format!("--from-scrape=http://h job=${{{long}}}"),
        format!("--from-scrape=http://h keep={}", "(".repeat(100_000)),
        format!("--from-scrape=http://h keep={}", "(a{999})".repeat(10_000)),
        format!("--help={long}"),
        "--from-scrape=http://\nh".to_owned(),
        "--from-scrape=http://h a\\\u{1b}[0m=1".to_owned(),
        "--from-scrape=\"http://h\r\n\"".to_owned(),
    ] {
        let message = run(&[&args]).map(|_| ()).unwrap_err().to_string();
        let shown = &args[..args.len().min(60)];
        assert!(!message.contains(char::is_control) && message.len() < 500, "{shown}: {message}");
    }
}

#[test]
fn random_arguments_never_panic() {
    let pieces = [
        "--from-scrape",
        "--to-stdout",
        "--label",
        "--relabel",
        "--admin",
        "--help",
        "=",
        " ",
        "\"",
        "http://h",
        "off",
        "a",
        "job",
        "action=",
        "target=",
        "labelmap",
        "${AZ}",
        "$",
        "\\",
        "é",
        "regex=",
        "(",
        ")",
        "15s",
        "interval=",
        "header.",
        "password",
        "-",
        "tls.key",
    ];
    let mut seed = 11_u64;
    let mut next = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % bound
    };
    for _ in 0..20_000 {
        let args: Vec<String> = (0..1 + next(3))
            .map(|_| (0..1 + next(6)).map(|_| pieces[next(pieces.len())]).collect())
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if let Err(error) = run(&args) {
            assert!(!error.to_string().contains('\n'), "{args:?}");
        }
    }
}
