//! What one transaction has for this destination until it is published or discarded.

use std::mem;
use std::rc::Rc;
use std::time::Instant;

use super::batch::Batch;
use super::encode;
use super::series::LastSeries;
use super::RemoteWrite;
use crate::export::queue::Block;
use crate::model::{Changes, Family, Sample};
use crate::pipeline::Staging;

pub struct Staged {
    exporter: Rc<RemoteWrite>,
    sealed: Vec<Block>,
    sealed_bytes: u64,
    batch: Batch,
    items: u64,
    /// Items given up because they alone exceed what the exporter may hold.
    items_dropped: u64,
    /// Fingerprints of the families whose metadata is in here.
    families: Vec<u64>,
    /// What the queue knows we hold.
    held_bytes: u64,
}

impl Staged {
    pub fn new(exporter: Rc<RemoteWrite>) -> Staged {
        Staged {
            exporter,
            sealed: Vec::new(),
            sealed_bytes: 0,
            batch: Batch::default(),
            items: 0,
            items_dropped: 0,
            families: Vec::new(),
            held_bytes: 0,
        }
    }

    fn push(&mut self, items: u64, encode: impl FnOnce(&mut Vec<u8>, &mut LastSeries)) {
        if self.batch.born.is_none() {
            self.batch.born = Some(Instant::now());
        }
        self.batch.push(&mut self.exporter.workshop.borrow_mut(), items, encode);
        if self.batch.items >= self.exporter.config.samples_max as u64 {
            let mut workshop = self.exporter.workshop.borrow_mut();
            let block = self.batch.seal(&mut workshop, Instant::now());
            self.sealed_bytes += block.held_bytes();
            self.sealed.push(block);
        }
        self.account_for_memory();
    }

    /// Tells the queue what is held here, and gives up the oldest if even an empty queue lacks
    /// room.
    #[inline]
    fn account_for_memory(&mut self) {
        let held = self.sealed_bytes + self.batch.held_bytes();
        if held != self.held_bytes {
            self.hold(held);
        }
    }

    #[inline(never)]
    fn hold(&mut self, held: u64) {
        self.exporter.outbox.queue.restage(self.held_bytes, held);
        self.held_bytes = held;
        if self.exporter.outbox.queue.is_overfull() && self.exporter.outbox.queue.is_empty() {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let freed = if self.sealed.is_empty() {
            let batch = mem::take(&mut self.batch);
            self.items_dropped += batch.items;
            let bytes = batch.held_bytes();
            batch.discard(&mut self.exporter.workshop.borrow_mut());
            bytes
        } else {
            let block = self.sealed.remove(0);
            self.items_dropped += block.items;
            self.sealed_bytes -= block.held_bytes();
            block.held_bytes()
        };
        self.exporter.outbox.queue.restage(self.held_bytes, self.held_bytes - freed);
        self.held_bytes -= freed;
    }
}

impl Staging for Staged {
    fn sample(&mut self, sample: &Sample<'_>, changes: Changes) {
        self.items += 1;
        let exporter = Rc::clone(&self.exporter);
        self.push(1, |out, last| last.push(out, sample, &exporter.labels, changes));
    }

    fn end_family(&mut self, family: &Family<'_>) {
        if !self.exporter.config.metadata {
            return;
        }
        let due = self.exporter.metadata.borrow().due(family, Instant::now());
        if let Some(fingerprint) = due.filter(|fingerprint| !self.families.contains(fingerprint)) {
            self.families.push(fingerprint);
            self.push(0, |out, _| encode::push_metadata(out, family));
        }
    }

    fn commit(mut self: Box<Self>) {
        self.exporter.outbox.account.queue(self.items);
        self.exporter.outbox.account.dropped(self.items_dropped, "queue_full");
        self.exporter.metadata.borrow_mut().sent(&self.families, Instant::now());
        self.exporter.outbox.queue.restage(mem::take(&mut self.held_bytes), 0);
        let sealed = mem::take(&mut self.sealed);
        let batch = mem::take(&mut self.batch);
        self.exporter.publish(sealed, batch);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.exporter.outbox.queue.restage(self.held_bytes, 0);
        let batch = mem::take(&mut self.batch);
        if let Ok(mut workshop) = self.exporter.workshop.try_borrow_mut() {
            batch.discard(&mut workshop);
        }
    }
}
