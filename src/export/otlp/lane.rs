//! The way of one signal to one destination: the open batch and what waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::batch::{Batch, Workshop};
use crate::codec::otlp::Signal;
use crate::export::account::ExporterAccount;
use crate::export::outbox::Outbox;
use crate::export::queue::{Block, Queues, Share};
use crate::observe::Registry;

pub struct Lane {
    pub signal: Signal,
    pub outbox: Rc<Outbox>,
    /// How long a batch stays open.
    batch: Duration,
    workshop: Rc<RefCell<Workshop>>,
    open: RefCell<Batch>,
}

impl Lane {
    /// One of the lanes to `destination`, which hold at most `share` together.
    pub fn new(
        signal: Signal,
        destination: &str,
        registry: &Rc<Registry>,
        (queues, share): (&Rc<Queues>, &Rc<Share>),
        (batch, workshop): (Duration, &Rc<RefCell<Workshop>>),
    ) -> Rc<Lane> {
        let account = ExporterAccount::new(registry, "otlp", destination, signal.name());
        let account = Rc::new(account);
        let outbox = Outbox::new(queues.open_in(share, Rc::clone(&account)), account);
        let (workshop, open) = (Rc::clone(workshop), RefCell::default());
        Rc::new(Lane { signal, outbox, batch, workshop, open })
    }

    /// When the open batch is to be closed, if it holds anything.
    pub fn open_due(&self) -> Option<Instant> {
        Some(self.open.borrow().born? + self.batch)
    }

    /// Closes the open batch and queues it.
    pub fn seal_open(&self) {
        let block = {
            let mut open = self.open.borrow_mut();
            if open.is_empty() {
                return;
            }
            self.outbox.queue.restage(open.held_bytes(), 0);
            open.seal(&mut self.workshop.borrow_mut())
        };
        self.outbox.queue.push(block);
    }

    /// Queues what a transaction sealed, and adds the rest to the open batch.
    fn publish(&self, sealed: Vec<Block>, rest: Batch) {
        if !sealed.is_empty() || !self.open.borrow().has_room(&rest) {
            self.seal_open();
        }
        for block in sealed {
            self.outbox.queue.push(block);
        }
        self.grow_open(|open, workshop| match open.is_empty() {
            true => *open = rest,
            false => open.append(workshop, rest),
        });
    }

    /// Adds a request of `items` to the open batch.
    fn append(&self, request: &[u8], items: u64) {
        self.outbox.account.queue(items);
        if !self.open.borrow().has_room_for(request.len() as u64, items) {
            self.seal_open();
        }
        self.grow_open(|open, workshop| {
            open.push(workshop, request);
            open.end_piece(items);
        });
    }

    /// Lets the open batch grow, and closes it where it must not stay open. The sender is woken for
    /// what is queued, and for a batch that begins, whose end it waits for.
    fn grow_open(&self, grow: impl FnOnce(&mut Batch, &mut Workshop)) {
        let (before, after, begins, is_full) = {
            let mut open = self.open.borrow_mut();
            let (before, begins) = (open.held_bytes(), open.is_empty());
            grow(&mut open, &mut self.workshop.borrow_mut());
            (before, open.held_bytes(), begins, open.is_full())
        };
        self.outbox.queue.restage(before, after);
        // What is queued can be given up; an open batch cannot.
        let must_close = is_full || self.outbox.queue.is_overfull();
        if must_close {
            self.seal_open();
        }
        if begins || must_close {
            self.outbox.changed.notify();
        }
    }
}

/// What one transaction has for this lane until it is published or discarded.
pub struct Staged {
    lane: Rc<Lane>,
    sealed: Vec<Block>,
    batch: Batch,
    items: u64,
    /// Items given up because they alone exceed what the destination may hold.
    items_dropped: u64,
    /// What the queue knows we hold.
    held_bytes: u64,
}

impl Staged {
    pub fn new(lane: &Rc<Lane>) -> Staged {
        Staged {
            lane: Rc::clone(lane),
            sealed: Vec::new(),
            batch: Batch::default(),
            items: 0,
            items_dropped: 0,
            held_bytes: 0,
        }
    }

    /// Appends to the request under way.
    pub fn push(&mut self, bytes: &[u8]) {
        self.batch.push(&mut self.lane.workshop.borrow_mut(), bytes);
        self.account_for_memory();
    }

    /// Ends that request, which has `items`.
    pub fn end_piece(&mut self, items: u64) {
        self.items += items;
        self.batch.end_piece(items);
        if self.batch.is_full() {
            let block = self.batch.seal(&mut self.lane.workshop.borrow_mut());
            self.sealed.push(block);
        }
        self.account_for_memory();
    }

    /// Takes the rest of the request under way and commits; one that is whole in `rest` goes to
    /// the open batch at once.
    pub fn commit_request(mut self, rest: &[u8], items: u64) {
        if self.batch.is_empty() && self.items == 0 {
            return self.lane.append(rest, items);
        }
        self.push(rest);
        self.end_piece(items);
        self.commit();
    }

    pub fn commit(mut self) {
        let account = &self.lane.outbox.account;
        account.queue(self.items);
        account.dropped(self.items_dropped, "queue_full");
        self.lane.outbox.queue.restage(std::mem::take(&mut self.held_bytes), 0);
        let sealed = std::mem::take(&mut self.sealed);
        let batch = std::mem::take(&mut self.batch);
        self.lane.publish(sealed, batch);
    }

    /// Tells the queue what is held here, and gives up the oldest if even an empty queue lacks
    /// room.
    fn account_for_memory(&mut self) {
        let sealed: u64 = self.sealed.iter().map(Block::held_bytes).sum();
        let held = sealed + self.batch.held_bytes();
        if held == self.held_bytes {
            return;
        }
        let queue = Rc::clone(&self.lane.outbox.queue);
        queue.restage(self.held_bytes, held);
        self.held_bytes = held;
        if queue.is_overfull() && queue.is_empty() && !self.sealed.is_empty() {
            let block = self.sealed.remove(0);
            self.items_dropped += block.items;
            queue.restage(held, held - block.held_bytes());
            self.held_bytes -= block.held_bytes();
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.lane.outbox.queue.restage(self.held_bytes, 0);
        let batch = std::mem::take(&mut self.batch);
        if let Ok(mut workshop) = self.lane.workshop.try_borrow_mut() {
            batch.discard(&mut workshop);
        }
    }
}
