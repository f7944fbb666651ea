//! `--to-stdout`.

use super::component::Component;
use super::table::FORMATS;
use super::{value, Config, Exporter, FlagError};
use crate::export::stdout::{self, Format};

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let format = match given.get("format", value::choice(FORMATS))? {
        "json" => Format::Json,
        _ => Format::Text,
    };
    config.exporters.push(Exporter::Stdout(stdout::Config { format }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn formats(args: &[&str]) -> Vec<Format> {
        let exporters = config(&[&["--from-scrape=http://h"], args].concat()).exporters;
        let format = |exporter: &Exporter| match exporter {
            Exporter::Stdout(config) => config.format,
            other => panic!("{other:?}"),
        };
        exporters.iter().map(format).collect()
    }

    #[test]
    fn to_stdout() {
        assert_eq!(formats(&[]), [stdout::Config::default().format]);
        assert_eq!(formats(&["--to-stdout"]), [Format::Text]);
        assert_eq!(formats(&["--to-stdout=", "--to-stdout=format=json"]).len(), 2);
        assert_eq!(formats(&["--to-stdout=format=json"]), [Format::Json]);
        bad(
            &["--to-stdout=format=jsn"],
            "--to-stdout: format=\"jsn\": expected text, json; nearest is json",
        );
        bad(&["--to-stdout=json"], "--to-stdout: unknown setting json; see --help=to-stdout");
    }
}
