//! `--to-remote-write`: one destination.

use super::component::Component;
use super::{client, value, Config, Exporter, FlagError};
use crate::export::remote_write;

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.exporters.push(Exporter::RemoteWrite(remote_write::Config {
        url: given.address(value::url)?,
        batch: given.get("batch", value::interval)?,
        samples_max: given.get("samples_max", value::count_above_zero)?,
        metadata: given.get("metadata", value::switch)?,
        labels: given.named("label.", value::label_name)?,
        queue: given.optional("queue", value::size)?,
        retry_for: given.get("retry_for", value::duration)?,
        client: client::fill(given, &remote_write::OWN_HEADERS)?,
    }));
    Ok(())
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
        assert_eq!((destination.batch.as_secs(), destination.samples_max), (5, 2000));
        assert_eq!((destination.metadata, destination.queue), (true, None));
        assert_eq!((destination.retry_for.as_secs(), destination.labels.len()), (3600, 0));
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
        assert_eq!(destination.batch, Duration::from_millis(500));
        assert_eq!((destination.samples_max, destination.metadata), (1, false));
        assert_eq!(destination.labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!((destination.queue, destination.retry_for), (Some(1 << 20), Duration::ZERO));
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
            "http://h sigv4",
            "--to-remote-write: unknown setting sigv4; see --help=to-remote-write",
        );
        bad_destination(
            "http://h retry=1h",
            "--to-remote-write: unknown setting retry; see --help=to-remote-write",
        );
    }
}
