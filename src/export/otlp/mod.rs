//! OTLP exporter: three signals to one destination, over HTTP or gRPC (OTLP specification 1.10).
//!
//! What came in as OTLP is relayed as bytes; samples are put together to points first
//! ([`crate::translate::regroup`]). Each signal has a lane of its own (open batch, queue, sender),
//! so that one that is refused does not hold up the others; they share the destination's bytes.
//! A batch closes on bytes, items or time. Items are points, spans and log records.
//!
//! Leaves out JSON and profiles.

mod answer;
mod batch;
mod config;
mod grpc;
mod lane;
mod samples;
mod sender;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

use crate::aws::Aws;
use crate::codec::otlp::Signal;
use crate::export::queue::Queues;
use crate::net::dns::Resolver;
use crate::net::{spawn, Task};
use crate::observe::Registry;
use crate::pipeline::{Added, Exporter, Intake, Relay, Staging};

use batch::Workshop;
use lane::{Lane, Staged};
use samples::Samples;

pub use config::{Config, Protocol, OWN_HEADERS};
pub use sender::Sender;

/// One destination.
pub struct Otlp {
    config: Config,
    /// Those of the signals it takes.
    lanes: Vec<Rc<Lane>>,
    workshop: Rc<RefCell<Workshop>>,
    samples: samples::Shop,
}

impl Otlp {
    /// `destination` names it in metrics and logs; `queue_bytes_max` bounds what it holds; `seed`
    /// is random.
    pub fn new(
        config: Config,
        destination: &str,
        registry: &Rc<Registry>,
        queues: &Rc<Queues>,
        queue_bytes_max: u64,
        seed: u64,
    ) -> Rc<Otlp> {
        let share = queues.share(queue_bytes_max);
        let workshop = Rc::new(RefCell::new(Workshop::new(config.gzip)));
        let lane = |signal: &Signal| {
            let batching = (config.pace.batch, &workshop);
            Lane::new(*signal, destination, registry, (queues, &share), batching)
        };
        let taken = Signal::ALL.iter().filter(|signal| config.signals[**signal as usize]);
        let lanes = taken.map(lane).collect();
        Rc::new(Otlp {
            lanes,
            workshop,
            config,
            samples: samples::Shop::new(seed, queues.reservation()),
        })
    }

    /// Who sends, one for each signal.
    pub fn senders(
        &self,
        resolver: &Rc<Resolver>,
        aws: &Rc<Aws>,
    ) -> Result<Vec<(Signal, Sender)>, String> {
        let sender = |lane: &Rc<Lane>| {
            Sender::new(&self.config, lane, (resolver, aws)).map(|sender| (lane.signal, sender))
        };
        self.lanes.iter().map(sender).collect()
    }

    /// Starts the senders; what is returned ends when they do.
    pub fn start(&self, resolver: &Rc<Resolver>, aws: &Rc<Aws>) -> Result<Task<()>, String> {
        let retry_for = self.config.pace.retry_for;
        let senders = self.senders(resolver, aws)?.into_iter();
        let tasks: Vec<_> = senders.map(|(_, sender)| spawn(sender.run(retry_for))).collect();
        Ok(spawn(async {
            for task in tasks {
                task.await;
            }
        }))
    }

    /// Takes all that waits as senders would, and counts it as sent; returns its bytes. For tests
    /// and benchmarks, which have no destination.
    pub fn discard_queues(&self) -> usize {
        let discard = |lane: &Rc<Lane>| {
            lane.seal_open();
            lane.outbox.discard()
        };
        self.lanes.iter().map(discard).sum()
    }

    fn lane(&self, signal: Signal) -> Option<&Rc<Lane>> {
        self.lanes.iter().find(|lane| lane.signal == signal)
    }
}

impl Exporter for Otlp {
    fn takes(&self, signal: Signal) -> Intake {
        match self.lane(signal) {
            Some(_) => Intake::Bytes,
            None => Intake::Nothing,
        }
    }

    fn begin_relay(self: Rc<Self>, signal: Signal) -> Option<Box<dyn Relay>> {
        Some(Box::new(Staged::new(self.lane(signal)?)))
    }

    fn begin(self: Rc<Self>, added: &Rc<Added>) -> Box<dyn Staging> {
        let staged = self.lane(Signal::Metrics).map(Staged::new);
        Box::new(Samples::new(staged, self.samples.clone(), Rc::clone(added)))
    }

    fn stop(&self) {
        self.lanes.iter().for_each(|lane| lane.outbox.stop());
    }

    fn give_up(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.outbox.give_up()).sum()
    }

    fn trim(&self) {
        self.workshop.borrow_mut().trim();
        self.samples.trim();
    }
}

impl Relay for Staged {
    fn push(&mut self, piece: &[u8]) {
        Staged::push(self, piece);
    }

    fn commit(self: Box<Self>, rest: &[u8], items: u64) {
        self.commit_request(rest, items);
    }
}
