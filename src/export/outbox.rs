//! What an exporter and the task that sends for it share: the queue, the account, and two bells.

use std::cell::Cell;
use std::rc::Rc;

use super::account::ExporterAccount;
use super::queue::{Block, Queue};
use crate::net::Notify;

/// The way from an exporter to its delivery.
pub struct Outbox {
    pub account: Rc<ExporterAccount>,
    pub queue: Rc<Queue>,
    /// Told when something was committed, and when to stop.
    pub changed: Notify,
    /// Told once when to stop waiting between retries.
    pub hurry: Notify,
    stopping: Cell<bool>,
}

impl Outbox {
    pub fn new(queue: Rc<Queue>, account: Rc<ExporterAccount>) -> Rc<Outbox> {
        let (changed, hurry) = (Notify::default(), Notify::default());
        Rc::new(Outbox { account, queue, changed, hurry, stopping: Cell::new(false) })
    }

    /// Asks for what is left to be sent.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.changed.notify();
        self.hurry.notify();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Takes all that waits as a sender would, and counts it as sent; returns its bytes. For tests
    /// and benchmarks, which have no destination.
    pub fn discard(&self) -> usize {
        let mut bytes = 0;
        self.take_all(|block| bytes += block.body.len());
        bytes
    }

    /// The same, with a look at each block.
    pub fn take_all(&self, mut visit: impl FnMut(&Block)) {
        while let Some(block) = self.queue.take() {
            visit(&block);
            self.account.sent(block.items);
            self.queue.landed(block.held_bytes());
        }
    }

    /// Gives up what is left, once nobody sends any more; returns the number of items.
    pub fn give_up(&self) -> u64 {
        let left = self.account.queued_items();
        self.queue.clear("shutdown");
        self.account.dropped(self.account.queued_items(), "shutdown");
        left
    }
}
