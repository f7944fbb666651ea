//! `--from-ecs` and `--identity`: the task's own metrics, and which task samples are of.

use super::component::Component;
use super::value::{self, Parsed};
use super::{Config, FlagError, Receiver};
use crate::model::IdentityConfig;
use crate::receive::ecs::{self, Vocabulary};

pub fn fill(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    config.receivers.push(Receiver::Ecs(ecs::Config {
        interval: given.get("interval", value::interval)?,
        metrics: given.get("metrics", vocabularies)?,
        discover: given.get("discover", value::switch)?,
    }));
    Ok(())
}

pub fn fill_identity(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let parse =
        |text: &str| IdentityConfig::parse(text).map_err(|expected| format!("expected {expected}"));
    config.pipeline.identity = given.address(parse)?;
    Ok(())
}

fn vocabularies(text: &str) -> Parsed<Vec<Vocabulary>> {
    let expected = || format!("expected some of {}", Vocabulary::NAMES.join(","));
    let mut found = Vec::new();
    for name in value::list(text).map_err(|_| expected())? {
        let vocabulary = Vocabulary::named(&name).ok_or_else(expected)?;
        if !found.contains(&vocabulary) {
            found.push(vocabulary);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;
    use std::time::Duration;

    fn ecs(argument: &str) -> ecs::Config {
        match config(&[argument]).receivers.remove(0) {
            Receiver::Ecs(ecs) => ecs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn from_ecs() {
        assert_eq!(ecs("--from-ecs"), ecs::Config::default());
        let ecs = ecs("--from-ecs=interval=1m metrics=semconv,adot,adot discover=false");
        assert_eq!(ecs.interval, Duration::from_secs(60));
        assert_eq!(ecs.metrics, [Vocabulary::Semconv, Vocabulary::Adot]);
        assert!(!ecs.discover);
        for metrics in ["", "adt", "adot,"] {
            bad(
                &[&format!("--from-ecs=metrics={metrics}")],
                &format!(
                    "--from-ecs: metrics=\"{metrics}\": expected some of adot,exporter,semconv"
                ),
            );
        }
    }

    #[test]
    fn identity() {
        let identity = |args: &[&str]| config(args).pipeline.identity;
        assert_eq!(identity(&[]), IdentityConfig::On);
        assert_eq!(identity(&["--identity=off"]), IdentityConfig::Off);
        let only = IdentityConfig::Only(vec!["ecs_task_id".to_owned()]);
        assert_eq!(identity(&["--identity=ecs_task_id"]), only);
        bad(
            &["--identity=maybe"],
            "--identity: \"maybe\": expected on, off, or a list of \
             ecs_cluster,ecs_service,ecs_task_family,ecs_task_id",
        );
    }
}
