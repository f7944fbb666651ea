//! stdout exporter: one line per sample, for a person or (as JSON) for a machine.
//!
//! Lines are made when a transaction is staged and queued in blocks when it is committed. Whoever
//! reads may be slow, or gone: writing never blocks, what does not fit the queue is dropped oldest
//! first and counted, and a closed stdout only counts.

mod config;
mod line;

use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use crate::codec::otlp::Signal;
use crate::export::account::ExporterAccount;
use crate::export::queue::{Block, Queue, Queues};
use crate::model::{Family, Sample};
use crate::net::{self, Notify};
use crate::observe::output::Output;
use crate::observe::Registry;
use crate::pipeline::{Added, Exporter, Intake, Staging};
use crate::translate;

pub use config::{Config, Format};

/// Size at which a block of lines is closed.
const BLOCK_BYTES: usize = 32 * 1024;

/// The queue towards stdout.
pub struct Stdout {
    format: Format,
    account: Rc<ExporterAccount>,
    queue: Rc<Queue>,
    changed: Notify,
    stopping: Cell<bool>,
}

impl Stdout {
    pub fn new(
        config: &Config,
        destination: &str,
        registry: &Rc<Registry>,
        queues: &Rc<Queues>,
        queue_bytes_max: u64,
    ) -> Rc<Stdout> {
        let account = Rc::new(ExporterAccount::new(registry, "stdout", destination, "metrics"));
        Rc::new(Stdout {
            format: config.format,
            queue: queues.open(queue_bytes_max, Rc::clone(&account)),
            account,
            changed: Notify::default(),
            stopping: Cell::new(false),
        })
    }

    /// Writes until the exporter is stopped and nothing is left.
    pub async fn run(self: Rc<Self>) {
        let mut output = Output::stdout();
        loop {
            let Some(block) = self.queue.take() else {
                if self.stopping.get() {
                    return;
                }
                self.changed.notified().await;
                continue;
            };
            output.push(&block.body);
            while !output.flush() {
                net::writable(rustix::stdio::stdout()).await;
            }
            if output.is_closed() {
                log::warn!("stdout is closed; samples for it are dropped");
                self.account.dropped(block.items, "closed");
            } else {
                self.account.sent(block.items);
            }
            self.queue.landed(block.held_bytes());
            net::yield_now().await;
        }
    }
}

impl Exporter for Stdout {
    fn takes(&self, signal: Signal) -> Intake {
        match signal {
            Signal::Metrics => Intake::Samples(translate::Config::default()),
            Signal::Traces | Signal::Logs => Intake::Nothing,
        }
    }

    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        Box::new(Staged {
            exporter: self,
            sealed: Vec::new(),
            sealed_bytes: 0,
            text: String::new(),
            lines: 0,
            items_dropped: 0,
        })
    }

    fn stop(&self) {
        self.stopping.set(true);
        self.changed.notify();
    }

    fn give_up(&self) -> u64 {
        let left = self.account.queued_items();
        self.queue.clear("shutdown");
        self.account.dropped(self.account.queued_items(), "shutdown");
        left
    }

    fn trim(&self) {}
}

/// The lines of one transaction.
struct Staged {
    exporter: Rc<Stdout>,
    sealed: Vec<Block>,
    sealed_bytes: u64,
    text: String,
    lines: u64,
    items_dropped: u64,
}

impl Staged {
    fn seal(&mut self) {
        if self.lines == 0 {
            return;
        }
        let body = mem::take(&mut self.text).into_bytes();
        let raw_bytes = body.len() as u64;
        let items = mem::take(&mut self.lines);
        let born = Instant::now();
        let block = Block { body, raw_bytes, items, born, pieces: Vec::new() };
        self.restage(self.sealed_bytes + block.held_bytes());
        self.sealed.push(block);
        while self.exporter.queue.is_overfull() && self.exporter.queue.is_empty() {
            if self.sealed.is_empty() {
                break;
            }
            let oldest = self.sealed.remove(0);
            self.items_dropped += oldest.items;
            self.restage(self.sealed_bytes - oldest.held_bytes());
        }
    }

    fn restage(&mut self, bytes: u64) {
        self.exporter.queue.restage(self.sealed_bytes, bytes);
        self.sealed_bytes = bytes;
    }
}

impl Staging for Staged {
    fn sample(&mut self, sample: &Sample<'_>) {
        line::push(&mut self.text, sample, self.exporter.format);
        self.lines += 1;
        if self.text.len() >= BLOCK_BYTES {
            self.seal();
        }
    }

    fn end_family(&mut self, _family: &Family<'_>) {}

    fn commit(mut self: Box<Self>) {
        self.seal();
        let exporter = Rc::clone(&self.exporter);
        exporter.account.queue(self.items_dropped);
        exporter.account.dropped(self.items_dropped, "queue_full");
        self.restage(0);
        for block in mem::take(&mut self.sealed) {
            exporter.account.queue(block.items);
            exporter.queue.push(block);
        }
        exporter.changed.notify();
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.restage(0);
    }
}
