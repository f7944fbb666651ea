//! What the ECS receiver is told to do, checked.

use std::time::Duration;

/// Under which names the task's metrics go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Those of the OpenTelemetry Collector's `awsecscontainermetrics` receiver, as ADOT sends
    /// them.
    Adot,
    /// Those of the Prometheus community's `ecs_exporter`.
    Exporter,
    /// Those of the OpenTelemetry semantic conventions for containers.
    Semconv,
}

/// `--from-ecs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// From one collection to the next; never zero.
    pub interval: Duration,
    /// Each at most once, at least one.
    pub metrics: Vec<Vocabulary>,
    /// Scrape the task's containers that ask for it by docker label.
    pub discover: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            interval: Duration::from_secs(15),
            metrics: vec![Vocabulary::Adot],
            discover: true,
        }
    }
}

impl Vocabulary {
    pub const NAMES: [&'static str; 3] = ["adot", "exporter", "semconv"];

    /// The vocabulary called `name` on the command line.
    pub fn named(name: &str) -> Option<Vocabulary> {
        match name {
            "adot" => Some(Vocabulary::Adot),
            "exporter" => Some(Vocabulary::Exporter),
            "semconv" => Some(Vocabulary::Semconv),
            _ => None,
        }
    }
}
