//! Accounting of what receivers take: items = accepted + refused, at every instant.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::observe::{Counter, Registry};

/// The counters of one receiver and signal.
pub struct ReceiverAccount {
    receiver: &'static str,
    signal: &'static str,
    registry: Rc<Registry>,
    items: Counter,
    accepted: Counter,
    refused: RefCell<BTreeMap<&'static str, Counter>>,
    errors: RefCell<BTreeMap<&'static str, Counter>>,
    dropped: RefCell<BTreeMap<&'static str, Counter>>,
}

impl ReceiverAccount {
    pub fn new(
        registry: &Rc<Registry>,
        receiver: &'static str,
        signal: &'static str,
    ) -> Rc<ReceiverAccount> {
        let labels = [("receiver", receiver), ("signal", signal)];
        Rc::new(ReceiverAccount {
            receiver,
            signal,
            registry: Rc::clone(registry),
            items: registry.counter("otlet_receiver_items_total", &labels),
            accepted: registry.counter("otlet_receiver_accepted_items_total", &labels),
            refused: RefCell::default(),
            errors: RefCell::default(),
            dropped: RefCell::default(),
        })
    }

    pub fn accept(&self, items: u64) {
        self.items.add(items);
        self.accepted.add(items);
    }

    /// Counts items that were received and not taken.
    pub fn refuse(&self, items: u64, reason: &'static str) {
        if items == 0 {
            return;
        }
        self.items.add(items);
        self.by_reason(&self.refused, "otlet_receiver_refused_items_total", reason).add(items);
    }

    /// Counts a collection that failed; it is not an item.
    pub fn error(&self, reason: &'static str) {
        let mut errors = self.errors.borrow_mut();
        let make = || {
            let labels = [("receiver", self.receiver), ("reason", reason)];
            self.registry.counter("otlet_receiver_errors_total", &labels)
        };
        errors.entry(reason).or_insert_with(make).increment();
    }

    /// Counts items that were accepted and then lost between receiver and exporters.
    pub fn drop_in_pipeline(&self, items: u64, reason: &'static str) {
        if items > 0 {
            self.by_reason(&self.dropped, "otlet_pipeline_dropped_items_total", reason).add(items);
        }
    }

    fn by_reason(
        &self,
        counters: &RefCell<BTreeMap<&'static str, Counter>>,
        metric: &'static str,
        reason: &'static str,
    ) -> Counter {
        let make = || {
            let labels = [("receiver", self.receiver), ("signal", self.signal), ("reason", reason)];
            self.registry.counter(metric, &labels)
        };
        counters.borrow_mut().entry(reason).or_insert_with(make).clone()
    }
}
