//! Accounting of one destination: items = sent + dropped + queued, at every instant.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use crate::observe::{Counter, Registry};

/// The counters of one exporter, destination and signal.
pub struct ExporterAccount {
    exporter: &'static str,
    destination: String,
    signal: &'static str,
    registry: Rc<Registry>,
    items: Counter,
    sent: Counter,
    queued: Counter,
    queue_bytes: Counter,
    retries: Counter,
    last_success: Counter,
    dropped: RefCell<BTreeMap<&'static str, Counter>>,
    answers: RefCell<BTreeMap<u16, Counter>>,
}

impl ExporterAccount {
    pub fn new(
        registry: &Rc<Registry>,
        exporter: &'static str,
        destination: &str,
        signal: &'static str,
    ) -> ExporterAccount {
        let place = [("exporter", exporter), ("destination", destination)];
        let labels = [place[0], place[1], ("signal", signal)];
        ExporterAccount {
            exporter,
            destination: destination.to_owned(),
            signal,
            registry: Rc::clone(registry),
            items: registry.counter("otlet_exporter_items_total", &labels),
            sent: registry.counter("otlet_exporter_sent_items_total", &labels),
            queued: registry.gauge("otlet_exporter_queued_items", &labels),
            queue_bytes: registry.gauge("otlet_exporter_queue_bytes", &place),
            retries: registry.counter("otlet_exporter_retries_total", &place),
            last_success: registry.gauge("otlet_exporter_last_success_timestamp_seconds", &place),
            dropped: RefCell::default(),
            answers: RefCell::default(),
        }
    }

    /// Counts items that the exporter holds from here on.
    pub fn queue(&self, items: u64) {
        self.items.add(items);
        self.queued.set(self.queued.value() + items as f64);
    }

    /// Moves queued items to sent.
    pub fn sent(&self, items: u64) {
        self.sent.add(items);
        self.queued.set(self.queued.value() - items as f64);
    }

    /// Moves queued items to dropped.
    pub fn dropped(&self, items: u64, reason: &'static str) {
        if items == 0 {
            return;
        }
        self.queued.set(self.queued.value() - items as f64);
        if reason == "queue_full" {
            // The same words each time, so that the log says them once.
            log::warn!(
                "{} to {}: more waits than the queue takes: the oldest {} are dropped",
                self.exporter,
                self.destination,
                self.signal
            );
        }
        let mut dropped = self.dropped.borrow_mut();
        let make = || {
            let labels = [
                ("exporter", self.exporter),
                ("destination", self.destination.as_str()),
                ("signal", self.signal),
                ("reason", reason),
            ];
            self.registry.counter("otlet_exporter_dropped_items_total", &labels)
        };
        dropped.entry(reason).or_insert_with(make).add(items);
    }

    /// Its name in metrics and logs.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    pub fn queued_items(&self) -> u64 {
        self.queued.get()
    }

    pub fn sent_items(&self) -> u64 {
        self.sent.get()
    }

    /// Shows how much is held, in bytes.
    pub fn held(&self, bytes: u64) {
        self.queue_bytes.set(bytes as f64);
    }

    pub fn retry(&self) {
        self.retries.increment();
    }

    /// Counts an answer by its HTTP status; 0 is no answer.
    pub fn answer(&self, status: u16) {
        let mut answers = self.answers.borrow_mut();
        let make = || {
            let code = if status == 0 { "error".to_owned() } else { status.to_string() };
            let labels = [
                ("exporter", self.exporter),
                ("destination", self.destination.as_str()),
                ("code", code.as_str()),
            ];
            self.registry.counter("otlet_exporter_requests_total", &labels)
        };
        answers.entry(status).or_insert_with(make).increment();
    }

    /// One line about a request that was answered, where somebody looks for what goes wrong.
    pub fn log_answer(&self, status: u16, bytes: usize, since: Instant) {
        let took_ms = since.elapsed().as_millis();
        let ExporterAccount { exporter, signal, destination, .. } = self;
        log::debug!(
            "{exporter}: {status} from {destination} to {bytes} bytes of {signal} in {took_ms} ms"
        );
    }

    pub fn succeeded_at(&self, unix_ms: i64) {
        self.last_success.set(unix_ms as f64 / 1000.0);
    }
}
