//! `--from-scrape`: one target.

use super::component::Component;
use super::{client, value, Config, FlagError, Receiver};
use crate::receive::scrape;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let interval = given.get("interval", value::interval)?;
    let timeout = given.get("timeout", value::interval)?.min(interval);
    let mut client = client::fill(given, &scrape::OWN_HEADERS)?;
    client.timeout = timeout;
    if client::signing(given, &client)?.is_some() {
        let why = "only what is sent is signed; expected it in a --to-… flag";
        return Err(given.error("sigv4", why));
    }
    config.receivers.push(Receiver::Scrape(scrape::Config {
        url: given.address(value::url)?,
        job: given.get("job", value::filled)?,
        interval,
        timeout,
        labels: given.named("label.", value::label_name)?,
        honor_labels: given.get("honor_labels", value::switch)?,
        honor_timestamps: given.get("honor_timestamps", value::switch)?,
        sample_limit: given.get("sample_limit", value::count)?,
        label_limit: given.get("label_limit", value::count)?,
        body_limit: given.get("body_limit", value::size)?,
        keep: given.optional("keep", value::regex)?,
        drop: given.optional("drop", value::regex)?,
        client,
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;
    use std::time::Duration;

    fn target(value: &str) -> scrape::Config {
        match config(&["--from-scrape", value]).receivers.remove(0) {
            Receiver::Scrape(target) => target,
            other => panic!("{other:?}"),
        }
    }

    fn bad_target(value: &str, message: &str) {
        bad(&["--from-scrape", value], message);
    }

    #[test]
    fn defaults() {
        let target = target("http://localhost:8080/metrics?x=y");
        assert_eq!(target.url.to_string(), "http://localhost:8080/metrics?x=y");
        assert_eq!((target.job.as_str(), target.labels.len()), ("otlet", 0));
        assert_eq!((target.interval.as_secs(), target.timeout.as_secs()), (15, 10));
        assert_eq!((target.honor_labels, target.honor_timestamps), (false, true));
        assert_eq!((target.sample_limit, target.label_limit), (0, 0));
        assert_eq!(target.client.timeout, target.timeout);
        // Debug shows every field; secrets have no default.
        let in_code = scrape::Config::for_url(target.url.clone());
        assert_eq!(format!("{target:?}"), format!("{in_code:?}"));
        assert_eq!((target.body_limit, target.keep, target.drop), (64 << 20, None, None));
    }

    #[test]
    fn settings() {
        let target = target(
            "https://h job=\"my app\" interval=5s label.tier=front label.az=${AZ} honor_labels \
             honor_timestamps=false sample_limit=9 label_limit=8 body_limit=1KiB keep=http_\\d+ \
             drop=go_.*",
        );
        assert_eq!((target.job.as_str(), target.interval.as_secs()), ("my app", 5));
        assert_eq!(target.timeout, Duration::from_secs(5), "never longer than the interval");
        let labels = [("tier", "front"), ("az", "eu-1a")];
        assert_eq!(target.labels, labels.map(|(name, value)| (name.into(), value.into())));
        assert_eq!((target.honor_labels, target.honor_timestamps), (true, false));
        assert_eq!((target.sample_limit, target.label_limit, target.body_limit), (9, 8, 1024));
        assert_eq!(target.keep.as_deref(), Some("http_\\d+"));
        assert_eq!(target.drop.as_deref(), Some("go_.*"));
        let two = config(&["--from-scrape=http://a", "--from-scrape=${URL}"]);
        assert_eq!(two.receivers.len(), 2);
    }

    #[test]
    fn bad_values() {
        bad_target(
            "http://h lable.tier=a",
            "--from-scrape: unknown setting lable.tier; nearest is label.NAME",
        );
        bad_target("", "--from-scrape: expected URL");
        bad_target("job=web", "--from-scrape: expected URL");
        bad_target(
            "ftp://h",
            "--from-scrape: \"ftp://h\": expected a URL: scheme must be http or https, not `ftp`",
        );
        bad_target(
            "http://u:p@h",
            "--from-scrape: ***: expected a URL without credentials; they have their own keys",
        );
        bad_target(
            "http://h intervall=5s",
            "--from-scrape: unknown setting intervall; nearest is interval",
        );
        bad_target(
            "http://h http://i",
            "--from-scrape: unknown setting http://i; see --help=from-scrape",
        );
    }

    #[test]
    fn bad_settings() {
        bad_target(
            "http://h interval=5",
            "--from-scrape: interval=\"5\": expected a duration such as 500ms, 15s, 5m or 1h",
        );
        bad_target("http://h interval", "--from-scrape: interval: expected interval=DURATION");
        bad_target("http://h job=a job=b", "--from-scrape: job: given twice");
        bad_target("http://h label.a=a label.a=b", "--from-scrape: label.a: given twice");
        bad_target(
            "http://h label.a-b=a",
            "--from-scrape: label.a-b: expected a label name of letters, digits and _",
        );
        bad_target(
            "http://h label.__a=a",
            "--from-scrape: label.__a: expected a label name that does not start with __",
        );
        bad_target(
            "http://h honor_labels=yes",
            "--from-scrape: honor_labels=\"yes\": expected true, false",
        );
        bad_target(
            "http://h sample_limit=-1",
            "--from-scrape: sample_limit=\"-1\": expected a whole number",
        );
        bad_target(
            "http://h body_limit=0",
            "--from-scrape: body_limit=\"0\": expected a size above zero",
        );
        bad_target(
            "http://h keep=(",
            "--from-scrape: keep=\"(\": expected a regular expression: \
             found open group without closing ')'",
        );
        bad_target(
            "http://h job=${UNSET}",
            "--from-scrape: job: environment variable UNSET is not set",
        );
        bad_target("${UNSET}", "--from-scrape: environment variable UNSET is not set");
        bad_target("${SECRET}", "--from-scrape: ***: expected a URL");
        bad_target("http://h job=\"a", "--from-scrape: word 2: expected a closing quote");
        bad_target("http://h job=", "--from-scrape: job=\"\": expected a text that is not empty");
    }
}
