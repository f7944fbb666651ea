//! X-Ray exporter: segment documents in batches to PutTraceSegments (AWS X-Ray API Reference).
//!
//! Documents that came from an X-Ray SDK pass unchanged; spans become documents, a piece at a time.
//! Items are spans: a document counts as many as it has segments. A document is kept as the JSON
//! string that it is in the request, so that a batch is its strings one after the other.

mod bodies;
mod config;
mod rejected;
mod sender;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use bodies::Bodies;
pub use config::{Config, OWN_HEADERS};
pub use sender::Sender;

use super::account::ExporterAccount;
use super::outbox::Outbox;
use super::queue::{Block, Piece, Queues};
use crate::codec::json::push_escaped;
use crate::codec::otlp::Signal;
use crate::codec::xray::DOCUMENT_BYTES_MAX;
use crate::model::{Changes, Family, Sample};
use crate::observe::Registry;
use crate::pipeline::{Added, Exporter, Intake, Staging};

/// Documents in one request, as the X-Ray daemon sends them.
pub const DOCUMENTS_MAX: usize = 50;

/// A batch with more bytes is closed early.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// One destination: what is open and what waits.
pub struct Xray {
    config: Config,
    outbox: Rc<Outbox>,
    open: RefCell<Batch>,
    /// Spans that are not documents yet.
    bodies: Bodies,
}

/// Documents that wait for others to travel with.
#[derive(Default)]
struct Batch {
    /// `"…","…"`.
    strings: String,
    /// Each document with the comma before it.
    pieces: Vec<Piece>,
    items: u64,
    born: Option<Instant>,
}

impl Batch {
    fn push(&mut self, document: &str, items: u64) {
        let start = self.strings.len();
        if start > 0 {
            self.strings.push(',');
        }
        self.strings.push('"');
        push_escaped(&mut self.strings, document);
        self.strings.push('"');
        self.pieces.push(Piece {
            // Both are bounded: a document has at most DOCUMENT_BYTES_MAX bytes.
            raw_bytes: (self.strings.len() - start) as u32,
            items: items as u32,
        });
        self.items += items;
        self.born.get_or_insert_with(Instant::now);
    }

    fn held_bytes(&self) -> u64 {
        (self.strings.capacity() + self.pieces.capacity() * size_of::<Piece>()) as u64
    }

    /// The block it becomes; none where it is empty.
    fn seal(self) -> Option<Block> {
        let Batch { mut strings, mut pieces, items, born } = self;
        strings.shrink_to_fit();
        pieces.shrink_to_fit();
        let raw_bytes = strings.len() as u64;
        Some(Block { body: strings.into_bytes(), raw_bytes, items, born: born?, pieces })
    }
}

impl Xray {
    /// `destination` names it in metrics and logs; `queue_bytes_max` bounds what it holds.
    pub fn new(
        config: Config,
        destination: &str,
        registry: &Rc<Registry>,
        queues: &Rc<Queues>,
        queue_bytes_max: u64,
    ) -> Rc<Xray> {
        let account = Rc::new(ExporterAccount::new(registry, "xray", destination, "traces"));
        Rc::new(Xray {
            outbox: Outbox::new(queues.open(queue_bytes_max, Rc::clone(&account)), account),
            config,
            open: RefCell::default(),
            bodies: Bodies::default(),
        })
    }

    /// Takes a document with `items` segments, unchanged.
    pub fn take(&self, document: &[u8], items: u64) {
        self.outbox.account.queue(items);
        match std::str::from_utf8(document) {
            Ok(text) => self.add(text, items),
            Err(_) => self.outbox.account.dropped(items, "malformed"),
        }
    }

    /// Adds a document to the open batch; its items are counted as queued already.
    fn add(&self, text: &str, items: u64) {
        let text = text.trim();
        if text.len() > DOCUMENT_BYTES_MAX {
            return self.outbox.account.dropped(items, "too_large");
        }
        let (before, after, is_first, is_full) = {
            let mut open = self.open.borrow_mut();
            let before = open.held_bytes();
            open.push(text, items);
            let is_long = open.strings.len() > BATCH_BYTES_MAX;
            let is_full = is_long || open.pieces.len() == DOCUMENTS_MAX;
            (before, open.held_bytes(), open.pieces.len() == 1, is_full)
        };
        self.outbox.queue.restage(before, after);
        if is_full {
            self.seal_open();
        }
        // Nothing else changes what the sender waits for.
        if is_first || is_full {
            self.outbox.changed.notify();
        }
    }

    /// When the open batch is to be closed, if it holds anything.
    fn open_due(&self) -> Option<Instant> {
        Some(self.open.borrow().born? + self.config.pace.batch)
    }

    /// Closes the open batch and queues it.
    fn seal_open(&self) {
        let open = self.open.take();
        self.outbox.queue.restage(open.held_bytes(), 0);
        if let Some(block) = open.seal() {
            self.outbox.queue.push(block);
        }
    }
}

impl Exporter for Xray {
    fn takes(&self, signal: Signal) -> Intake {
        match signal {
            Signal::Traces => Intake::Bytes,
            Signal::Metrics | Signal::Logs => Intake::Nothing,
        }
    }

    fn relay(&self, _signal: Signal, body: &[u8], items: u64) {
        self.outbox.account.queue(items);
        self.bodies.push(self, body, items);
    }

    fn takes_segments(&self) -> bool {
        true
    }

    fn segment(&self, document: &[u8], items: u64) {
        self.take(document, items);
    }

    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        Box::new(NoSamples)
    }

    fn stop(&self) {
        self.outbox.stop();
        self.bodies.came.notify();
    }

    fn give_up(&self) -> u64 {
        self.outbox.give_up()
    }

    fn trim(&self) {}
}

/// Samples are not taken here.
struct NoSamples;

impl Staging for NoSamples {
    fn sample(&mut self, _sample: &Sample<'_>, _: Changes) {}

    fn end_family(&mut self, _family: &Family<'_>) {}

    fn commit(self: Box<Self>) {}
}
