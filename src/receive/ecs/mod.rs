//! The task's own metrics, from its metadata (Amazon ECS Developer Guide, "Task metadata endpoint
//! version 4"): translation to samples in three vocabularies, and discovery of scrape targets.
//!
//! All but `endpoint` and `receiver` is pure: documents come in, samples come out in families. A
//! series exists only if the documents have its source; nothing is zero because it is unknown.
//! Containers that ECS adds by itself are never written. Where all containers share one network,
//! its counters are written once. Left out: the soft memory limit and per-CPU times, which the
//! endpoint does not have everywhere.
//!
//! `lifecycle` goes with every vocabulary but the exporter's alone, which is kept as it is.

mod adot;
mod config;
pub mod discover;
mod emit;
mod endpoint;
mod exporter;
mod image;
mod lifecycle;
mod receiver;
mod semconv;
#[cfg(test)]
mod tests;
mod view;

use crate::aws::task_metadata::{StatsEntry, Task};
use crate::model::{Family, Label, Sample};

pub use config::{Config, Vocabulary};
pub use receiver::Ecs;
pub use view::State;

use emit::Emitter;
use view::View;

/// One collection: both documents, and what every sample of it shares.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    pub task: &'a Task<'a>,
    pub stats: &'a [StatsEntry<'a>],
    /// Unix time of the collection; all samples carry it.
    pub now_ms: i64,
    /// Labels for every sample that has not its own of the same name; names unique, none empty.
    pub labels: &'a [Label<'a>],
    pub vocabularies: &'a [Vocabulary],
}

/// What a collection says: the samples of a family, then that it is complete.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    Sample(&'a Sample<'a>),
    EndFamily(&'a Family<'a>),
}

/// Translates one collection. `state` is what the collections before it left for rates.
pub fn collect(cycle: &Cycle<'_>, state: &mut State, output: &mut dyn FnMut(Output<'_>)) {
    let view = View::new(cycle.task, cycle.stats, state);
    let mut emitter = Emitter::new(cycle.now_ms, cycle.labels, output);
    let wants = |vocabulary| cycle.vocabularies.contains(&vocabulary);
    if wants(Vocabulary::Adot) {
        adot::write(&view, &mut emitter);
    }
    if wants(Vocabulary::Exporter) {
        exporter::write(&view, &mut emitter);
    }
    if wants(Vocabulary::Semconv) {
        semconv::write(&view, &mut emitter);
    }
    if wants(Vocabulary::Adot) || wants(Vocabulary::Semconv) {
        lifecycle::write(&view, wants(Vocabulary::Exporter), &mut emitter);
    }
}
