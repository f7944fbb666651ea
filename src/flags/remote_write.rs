//! `--to-remote-write`: one destination.

use super::component::Component;
use super::table::NAMES;
use super::{client, value, Config, Exporter, FlagError};
use crate::export::remote_write;
use crate::translate::{self, Names, ResourceLabels};

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let client = client::fill(given, &remote_write::OWN_HEADERS)?;
    config.exporters.push(Exporter::RemoteWrite(remote_write::Config {
        url: given.address(value::url)?,
        pace: client::pace(given)?,
        samples_max: given.get("samples_max", value::count_above_zero)?,
        metadata: given.get("metadata", value::switch)?,
        translate: translation(given)?,
        labels: given.named("label.", value::label_name)?,
        sigv4: client::signing(given, &client)?,
        client,
    }));
    Ok(())
}

/// How OTLP points become samples.
fn translation(given: &Component) -> Result<translate::Config, FlagError> {
    let resource_labels = match given.get("resource_labels", value::text)?.as_str() {
        "" => ResourceLabels::default(),
        "all" => ResourceLabels::All,
        _ => ResourceLabels::Only(given.get("resource_labels", value::list)?),
    };
    Ok(translate::Config {
        names: match given.get("names", value::choice(NAMES))? {
            "adot" => Names::Adot,
            _ => Names::Prometheus,
        },
        resource_labels,
        scope_labels: given.get("scope_labels", value::switch)?,
        native_histograms: given.get("native_histograms", value::switch)?,
        streams_max: given.get("streams_max", value::count_above_zero)?,
        stale: given.get("stale", value::interval)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;
    use std::time::Duration;

    fn destination(value: &str) -> remote_write::Config {
        let args = ["--from-scrape=http://h", "--to-remote-write", value];
        match config(&args).exporters.remove(0) {
            Exporter::RemoteWrite(destination) => destination,
            other => panic!("{other:?}"),
        }
    }

    fn bad_destination(value: &str, message: &str) {
        bad(&["--to-remote-write", value], message);
    }

    #[test]
    fn defaults() {
        let destination = destination("https://h/api/v1/write");
        assert_eq!(destination.url.to_string(), "https://h/api/v1/write");
        assert_eq!((destination.pace.batch.as_secs(), destination.samples_max), (5, 2000));
        assert_eq!((destination.metadata, destination.pace.queue), (true, None));
        assert_eq!((destination.pace.retry_for.as_secs(), destination.labels.len()), (3600, 0));
        assert_eq!(destination.client.timeout.as_secs(), 30);
        // Debug shows every field; secrets have no default.
        let in_code = remote_write::Config::for_url(destination.url.clone());
        assert_eq!(format!("{destination:?}"), format!("{in_code:?}"));
    }

    #[test]
    fn settings() {
        let destination = destination(
            "http://h batch=500ms samples_max=1 metadata=false label.a=b queue=1MiB retry_for=0s",
        );
        assert_eq!(destination.pace.batch, Duration::from_millis(500));
        assert_eq!((destination.samples_max, destination.metadata), (1, false));
        assert_eq!(destination.labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            (destination.pace.queue, destination.pace.retry_for),
            (Some(1 << 20), Duration::ZERO)
        );
        let destination = super::tests::destination(
            "http://h names=adot resource_labels=service.version,k8s.pod.name scope_labels \
             native_histograms streams_max=5 stale=1m",
        );
        let only = ["service.version", "k8s.pod.name"].map(str::to_owned).to_vec();
        assert_eq!(
            destination.translate,
            translate::Config {
                names: Names::Adot,
                resource_labels: ResourceLabels::Only(only),
                scope_labels: true,
                native_histograms: true,
                streams_max: 5,
                stale: Duration::from_secs(60),
            }
        );
        let all = super::tests::destination("http://h resource_labels=all").translate;
        assert_eq!(all.resource_labels, ResourceLabels::All);
    }

    #[test]
    fn bad_values() {
        bad_destination("", "--to-remote-write: expected URL");
        bad_destination("batch=5s", "--to-remote-write: expected URL");
        bad_destination(
            "http://h batch=0s",
            "--to-remote-write: batch=\"0s\": expected a duration above zero",
        );
        bad_destination(
            "http://h samples_max=0",
            "--to-remote-write: samples_max=\"0\": expected a whole number above zero",
        );
        bad_destination(
            "http://h metadata=1",
            "--to-remote-write: metadata=\"1\": expected true, false",
        );
        bad_destination(
            "http://h queue=1MB",
            "--to-remote-write: queue=\"1MB\": \
             expected a size such as 64KiB, 8MiB, 1GiB or plain bytes",
        );
        bad_destination(
            "http://h sigv5",
            "--to-remote-write: unknown setting sigv5; nearest is sigv4",
        );
        bad_destination(
            "http://h retry=1h",
            "--to-remote-write: unknown setting retry; see --help=to-remote-write",
        );
    }
}
