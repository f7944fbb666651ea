//! Where receivers and exporters meet: transactions, fan-out, labels, relabelling, accounting.
//!
//! A receiver speaks to the pipeline in transactions (begin, sample…, commit), because a scrape
//! that fails at its last line must leave nothing behind. Every exporter stages what it is given
//! in its own encoding and publishes or discards it whole; the pipeline itself stores no sample.

mod account;
mod added;
mod config;
mod otlp;
pub mod relabel;
mod segments;
mod transaction;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::codec::otlp::Signal;
use crate::model::{Changes, Family, Identity, IdentityConfig, Sample};
use crate::net::sleep;
use crate::observe::Registry;
use crate::translate;

pub use account::ReceiverAccount;
pub use added::Added;
pub use config::{Action, Config, RelabelConfig};
pub use otlp::{NotTaken, OtlpIntake};
pub use relabel::Rules;
pub use transaction::{add_absent, Transaction};

/// How long samples wait for the task's identity.
const IDENTITY_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often those who wait look whether it is there.
const IDENTITY_LOOK_INTERVAL: Duration = Duration::from_millis(50);

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

    /// Whether it takes X-Ray documents as they are; their spans are then not relayed to it.
    fn takes_segments(&self) -> bool {
        false
    }

    /// Takes an X-Ray document of `items` segments, if it takes such. What does not fit under its
    /// bound is dropped and counted there.
    fn segment(&self, _document: &[u8], _items: u64) {}

    /// Opens an empty staging area for one OTLP request, if it takes the signal as bytes and piece
    /// by piece; one that does not gets the whole by [`Exporter::relay`].
    fn begin_relay(self: Rc<Self>, _signal: Signal) -> Option<Box<dyn Relay>> {
        None
    }

    /// Opens an empty staging area for one transaction of samples, which have `added`.
    fn begin(self: Rc<Self>, added: &Rc<Added>) -> Box<dyn Staging>;

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
    /// `changes` says how its labels differ from those of the sample before it.
    fn sample(&mut self, sample: &Sample<'_>, changes: Changes);

    /// Says that `family` is complete; its metadata are final.
    fn end_family(&mut self, family: &Family<'_>);

    /// Publishes everything taken, in order.
    fn commit(self: Box<Self>);
}

/// What one exporter holds of an OTLP request under way; dropping it discards it whole.
pub trait Relay {
    /// Takes at most [`RELAY_BYTES_MAX`] more.
    fn push(&mut self, piece: &[u8]);

    /// Takes the rest, as much at most, and publishes everything, which has `items`. A request of
    /// one piece is thus never staged.
    fn commit(self: Box<Self>, rest: &[u8], items: u64);
}

/// Bytes that an exporter of bytes gets at once.
pub const RELAY_BYTES_MAX: usize = 64 * 1024;

/// The way from every receiver to every exporter.
pub struct Pipeline {
    exporters: Vec<Rc<dyn Exporter>>,
    /// `--label`, sorted by name.
    labels: Vec<(String, String)>,
    identity: IdentityConfig,
    added: RefCell<Rc<Added>>,
    /// Until when an identity is waited for; none where none is to come, or it is there.
    identity_due: Cell<Option<Instant>>,
    /// What stands in for an identity that is late.
    identity_until_then: RefCell<Option<Identity>>,
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
        let added = RefCell::new(Rc::new(Added::new(Identity::default(), &labels)));
        Ok(Rc::new(Pipeline {
            exporters,
            labels,
            identity: config.identity.clone(),
            added,
            identity_due: Cell::default(),
            identity_until_then: RefCell::default(),
            rules,
            registry,
        }))
    }

    /// Says that an identity is to come; samples wait for it, but not for ever: then they get
    /// `until_then`.
    pub fn expect_identity(&self, until_then: Option<Identity>) {
        if self.identity != IdentityConfig::Off {
            self.identity_due.set(Some(Instant::now() + IDENTITY_WAIT_MAX));
            *self.identity_until_then.borrow_mut() = until_then;
        }
    }

    /// Takes the task's identity, as far as `--identity` wants it.
    pub fn set_identity(&self, identity: Identity) {
        let added = Added::new(identity.narrowed(&self.identity), &self.labels);
        *self.added.borrow_mut() = Rc::new(added);
        self.identity_due.set(None);
    }

    /// Waits for the identity, where one is to come.
    pub async fn identity_settled(&self) {
        while let Some(due) = self.identity_due.get() {
            if Instant::now() >= due {
                let until_then = self.identity_until_then.take();
                let how = if until_then.is_some() { "with its id alone" } else { "without it" };
                log::warn!("the task's identity is not known yet: samples go {how}");
                self.set_identity(until_then.unwrap_or_default());
                return;
            }
            sleep(IDENTITY_LOOK_INTERVAL).await;
        }
    }

    /// What samples get where they lack it, at this moment.
    pub fn added(&self) -> Rc<Added> {
        Rc::clone(&self.added.borrow())
    }

    /// The account of one receiver, to be kept by it.
    pub fn account(&self, receiver: &'static str, signal: &'static str) -> Rc<ReceiverAccount> {
        ReceiverAccount::new(&self.registry, receiver, signal)
    }

    /// Opens a transaction on every exporter that takes metrics.
    pub fn begin(self: &Rc<Pipeline>, account: &Rc<ReceiverAccount>) -> Transaction {
        self.begin_as(account, self.added())
    }

    /// The same under additions of another time, for the end of series that were published then.
    pub fn begin_as(
        self: &Rc<Pipeline>,
        account: &Rc<ReceiverAccount>,
        added: Rc<Added>,
    ) -> Transaction {
        let takes_metrics = |exporter: &&Rc<dyn Exporter>| {
            !matches!(exporter.takes(Signal::Metrics), Intake::Nothing)
        };
        let exporters = self.exporters.iter().filter(takes_metrics);
        let staged = exporters.map(|exporter| Rc::clone(exporter).begin(&added)).collect();
        Transaction::to(Rc::clone(self), Rc::clone(account), added, staged)
    }
}
