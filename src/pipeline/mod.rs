//! Where receivers and exporters meet: transactions, fan-out, labels, relabelling, accounting.
//!
//! A receiver speaks to the pipeline in transactions (begin, sample…, commit), because a scrape
//! that fails at its last line must leave nothing behind. Every exporter stages what it is given
//! in its own encoding and publishes or discards it whole; the pipeline itself stores no sample.

mod account;
mod config;
mod otlp;
pub mod relabel;
mod transaction;

use std::rc::Rc;

use crate::codec::otlp::Signal;
use crate::model::{Family, Sample};
use crate::observe::Registry;
use crate::translate;

pub use account::ReceiverAccount;
pub use config::{Action, Config, RelabelConfig};
pub use otlp::OtlpIntake;
pub use relabel::Rules;
pub use transaction::Transaction;

/// How an exporter wants a signal that came in as OTLP.
pub enum Intake {
    /// It does not take it.
    Nothing,
    /// As samples, translated like this; metrics only.
    Samples(translate::Config),
    /// As the request's bytes.
    Bytes,
}

/// A way out.
pub trait Exporter {
    /// How it takes a signal.
    fn takes(&self, signal: Signal) -> Intake;

    /// Takes a validated OTLP request of `items`, if it takes the signal as bytes. What does not
    /// fit under its bound is dropped and counted there.
    fn relay(&self, _signal: Signal, _body: &[u8], _items: u64) {}

    /// Opens an empty staging area for one transaction of samples.
    fn begin(self: Rc<Self>) -> Box<dyn Staging>;

    /// Asks for what is left to be sent; the exporter's own task ends when it is.
    fn stop(&self);

    /// Gives up what is left, once that task is gone; returns the number of items.
    fn give_up(&self) -> u64;

    /// Frees what is kept only for speed.
    fn trim(&self);
}

/// What one exporter holds of a transaction under way; dropping it discards it whole.
pub trait Staging {
    /// Takes one sample. What does not fit under the exporter's bound is dropped and counted there.
    fn sample(&mut self, sample: &Sample<'_>);

    /// Says that `family` is complete; its metadata are final.
    fn end_family(&mut self, family: &Family<'_>);

    /// Publishes everything taken, in order.
    fn commit(self: Box<Self>);
}

/// The way from every receiver to every exporter.
pub struct Pipeline {
    exporters: Vec<Rc<dyn Exporter>>,
    /// `--label`, sorted by name: added where a sample lacks the name.
    labels: Vec<(String, String)>,
    rules: Rules,
    registry: Rc<Registry>,
}

impl Pipeline {
    /// Fails where a relabel rule does not compile; the text says which.
    pub fn new(
        config: &Config,
        exporters: Vec<Rc<dyn Exporter>>,
        registry: Rc<Registry>,
    ) -> Result<Rc<Pipeline>, String> {
        let mut labels = config.labels.clone();
        labels.sort();
        let rules = Rules::compile(&config.relabel)?;
        Ok(Rc::new(Pipeline { exporters, labels, rules, registry }))
    }

    /// The account of one receiver, to be kept by it.
    pub fn account(&self, receiver: &'static str, signal: &'static str) -> Rc<ReceiverAccount> {
        ReceiverAccount::new(&self.registry, receiver, signal)
    }

    /// Opens a transaction on every exporter that takes metrics.
    pub fn begin(self: &Rc<Pipeline>, account: &Rc<ReceiverAccount>) -> Transaction {
        let takes_metrics = |exporter: &&Rc<dyn Exporter>| {
            !matches!(exporter.takes(Signal::Metrics), Intake::Nothing)
        };
        let exporters = self.exporters.iter().filter(takes_metrics);
        let staged = exporters.map(|exporter| Rc::clone(exporter).begin()).collect();
        Transaction::to(Rc::clone(self), Rc::clone(account), staged)
    }
}
