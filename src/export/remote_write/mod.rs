//! Remote-write exporter: samples to snappy-compressed protobuf blocks, queued and sent in order.
//!
//! Follows the Prometheus Remote-Write 1.0 specification. A transaction stages into a
//! [`batch::Batch`] of its own; on commit full blocks go to the queue and the rest joins the open
//! batch, which closes on samples or time. One request is in flight at a time, so a retry is never
//! overtaken.
//!
//! Leaves out Remote-Write 2.0.

mod batch;
mod config;
mod encode;
mod metadata;
mod native;
mod sender;
mod series;
mod split;
mod staging;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use crate::codec::otlp::Signal;
use crate::export::account::ExporterAccount;
use crate::export::outbox::Outbox;
use crate::export::queue::{Block, Queues};
use crate::observe::Registry;
use crate::pipeline::{Added, Exporter, Intake, Staging};

use batch::{Batch, Workshop};
use metadata::MetadataSent;

pub use config::{Config, OWN_HEADERS};
pub use sender::Sender;

/// One destination: what is open, what waits, what is known of it.
pub struct RemoteWrite {
    config: Config,
    /// The exporter's own labels, sorted.
    labels: Vec<(String, String)>,
    outbox: Rc<Outbox>,
    workshop: RefCell<Workshop>,
    open: RefCell<Batch>,
    metadata: RefCell<MetadataSent>,
}

impl RemoteWrite {
    /// `destination` names it in metrics and logs; `queue_bytes_max` bounds what it holds.
    pub fn new(
        config: Config,
        destination: &str,
        registry: &Rc<Registry>,
        queues: &Rc<Queues>,
        queue_bytes_max: u64,
    ) -> Rc<RemoteWrite> {
        let account =
            Rc::new(ExporterAccount::new(registry, "remote-write", destination, "metrics"));
        let mut labels = config.labels.clone();
        labels.sort();
        Rc::new(RemoteWrite {
            outbox: Outbox::new(queues.open(queue_bytes_max, Rc::clone(&account)), account),
            labels,
            config,
            workshop: RefCell::default(),
            open: RefCell::default(),
            metadata: RefCell::default(),
        })
    }

    /// Takes all that waits as a sender would, and counts it as sent; returns its bytes. For
    /// benchmarks, which have no destination.
    pub fn discard_queue(&self) -> usize {
        self.seal_open();
        self.outbox.discard()
    }

    /// The same for tests, with a look at each block.
    pub fn take_queue(&self, visit: impl FnMut(&Block)) {
        self.seal_open();
        self.outbox.take_all(visit);
    }

    /// When the open batch is to be closed, if it holds anything.
    fn open_due(&self) -> Option<Instant> {
        let born = self.open.borrow().born?;
        Some(born + self.config.pace.batch)
    }

    /// Closes the open batch and queues it.
    fn seal_open(&self) {
        let block = {
            let mut open = self.open.borrow_mut();
            if open.is_empty() {
                return;
            }
            self.outbox.queue.restage(open.held_bytes(), 0);
            open.seal(&mut self.workshop.borrow_mut(), Instant::now())
        };
        self.outbox.queue.push(block);
    }

    /// Publishes what a transaction staged: full blocks, and the batch that was left.
    fn publish(&self, sealed: Vec<Block>, rest: Batch) {
        let open_items = self.open.borrow().items;
        if !sealed.is_empty() || open_items + rest.items > self.config.samples_max as u64 {
            self.seal_open();
        }
        for block in sealed {
            self.outbox.queue.push(block);
        }
        let (before, after) = {
            let mut open = self.open.borrow_mut();
            let before = open.held_bytes();
            open.append(&mut self.workshop.borrow_mut(), rest);
            (before, open.held_bytes())
        };
        self.outbox.queue.restage(before, after);
        self.outbox.changed.notify();
    }
}

impl Exporter for RemoteWrite {
    fn takes(&self, signal: Signal) -> Intake {
        match signal {
            Signal::Metrics => Intake::Samples(self.config.translate.clone()),
            Signal::Traces | Signal::Logs => Intake::Nothing,
        }
    }

    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        Box::new(staging::Staged::new(self))
    }

    fn stop(&self) {
        self.outbox.stop();
    }

    fn give_up(&self) -> u64 {
        self.outbox.give_up()
    }

    fn trim(&self) {
        self.workshop.borrow_mut().trim();
    }
}

#[cfg(test)]
mod tests;
