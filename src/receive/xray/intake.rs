//! From a datagram to the sink: header, document, spans; and what became of each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::ended::Ended;
use super::held::{Held, Holding};
use super::Takes;
use crate::codec::utf8::repair;
use crate::codec::xray::{document, HeaderError};
use crate::net::{self, Notify};
use crate::observe::log::shorten;
use crate::observe::{Budget, Counter, Registry, Reservation};
use crate::pipeline::ReceiverAccount;
use crate::translate::segment::{Segments, Summary, KEPT_BYTES_MAX};

/// The longest that UDP carries.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Bad datagrams logged in a row, and how much of each.
const SHOWN_MAX: u32 = 3;
const SHOWN_BYTES_MAX: usize = 120;

/// Takes a document, spans made of it as an OTLP body, or both, and how many spans they are. The
/// document is empty where it was given before, when the segment was in progress.
pub trait Sink: Fn(&[u8], Option<&[u8]>, u64) + 'static {}

impl<S: Fn(&[u8], Option<&[u8]>, u64) + 'static> Sink for S {}

/// Shared by all sockets.
pub struct Intake<S> {
    sink: S,
    takes: Takes,
    pub buffer: RefCell<Vec<u8>>,
    segments: RefCell<Segments>,
    body: RefCell<Vec<u8>>,
    holding: RefCell<Holding>,
    ended: RefCell<Ended>,
    reservation: RefCell<Reservation>,
    /// Something is held where nothing was.
    held: Notify,
    budget: Rc<Budget>,
    registry: Rc<Registry>,
    spans: Rc<ReceiverAccount>,
    repaired: Counter,
    /// Segments held at this moment.
    held_segments: Counter,
    pub datagrams: Counter,
    pub kernel_drops: Counter,
    shown: Cell<u32>,
}

impl<S: Sink> Intake<S> {
    pub fn new(
        spans: Rc<ReceiverAccount>,
        takes: Takes,
        registry: &Rc<Registry>,
        budget: &Rc<Budget>,
        sink: S,
    ) -> Rc<Intake<S>> {
        Rc::new(Intake {
            sink,
            takes,
            buffer: RefCell::new(vec![0; DATAGRAM_BYTES_MAX]),
            segments: RefCell::default(),
            body: RefCell::default(),
            holding: RefCell::default(),
            ended: RefCell::default(),
            reservation: RefCell::new(budget.reservation()),
            held: Notify::default(),
            budget: Rc::clone(budget),
            registry: Rc::clone(registry),
            spans,
            repaired: registry
                .counter("otlet_receiver_repaired_strings_total", &[("receiver", "xray")]),
            held_segments: registry.gauge("otlet_xray_held_segments", &[]),
            datagrams: registry.counter("otlet_xray_datagrams_total", &[]),
            kernel_drops: registry.counter("otlet_xray_kernel_drops_total", &[]),
            shown: Cell::new(0),
        })
    }

    /// Takes one datagram; what is no UTF-8 in its document is replaced in place.
    pub fn take(&self, datagram: &mut [u8]) {
        self.datagrams.increment();
        let start = match document(datagram) {
            Ok(document) => datagram.len() - document.len(),
            Err(HeaderError::Malformed) => return self.refuse("header", "no header", datagram),
            Err(HeaderError::Empty) => return self.refuse("empty", "no document", datagram),
        };
        let document = &mut datagram[start..];
        if std::str::from_utf8(document).is_err() {
            self.repaired.add(repair(document));
        }
        let read = self.segments.borrow_mut().read(document);
        match read {
            Ok(summary) => self.take_document(document, summary),
            Err(refusal) => self.refuse(refusal.reason(), &refusal.to_string(), document),
        }
    }

    fn take_document(&self, document: &[u8], summary: Summary) {
        let spans = summary.spans;
        self.spans.refuse(summary.skipped, "subsegment");
        if self.takes == Takes::Nothing {
            return self.spans.refuse(spans, "no_exporter");
        }
        self.spans.accept(spans);
        if self.takes == Takes::Documents {
            return (self.sink)(document, None, spans);
        }
        let key = (summary.trace_id, summary.span_id);
        let mut holding = self.holding.borrow_mut();
        if !summary.in_progress {
            let superseded = holding.remove(key);
            drop(holding);
            self.ended.borrow_mut().add(key);
            self.supersede(superseded);
            return self.write(document, document, spans);
        }
        (self.sink)(document, None, spans);
        if self.ended.borrow().has(key) {
            return self.spans.drop_in_pipeline(spans, "superseded");
        }
        let was_empty = holding.due().is_none();
        let superseded = holding.hold(key, document, spans, Instant::now());
        drop(holding);
        self.supersede(superseded);
        self.release_due();
        if was_empty {
            self.held.notify();
        }
    }

    /// Gives the spans of the document that was read last, and `given` of it.
    fn write(&self, document: &[u8], given: &[u8], spans: u64) {
        let mut body = self.body.borrow_mut();
        self.segments.borrow_mut().write_spans(document, &mut body);
        (self.sink)(given, Some(&body), spans);
        body.clear();
        body.shrink_to(KEPT_BYTES_MAX);
    }

    /// Counts spans that their own later version replaces, which is no loss.
    fn supersede(&self, held: Option<Held>) {
        if let Some(held) = held {
            self.spans.drop_in_pipeline(held.spans, "superseded");
        }
        self.account_held();
    }

    /// Gives what is over a bound as it is, without its end.
    fn release_due(&self) {
        loop {
            let others = self.budget.bytes_used() - self.reservation.borrow().bytes();
            let left = self.budget.bytes_max().saturating_sub(others);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let due = self.holding.borrow_mut().pop_due(Instant::now(), left);
            match due {
                Some((held, reason)) => self.release(held, reason),
                None => return self.account_held(),
            }
        }
    }

    /// Gives everything, at the end.
    pub fn release_all(&self) {
        loop {
            let oldest = self.holding.borrow_mut().pop();
            match oldest {
                Some(held) => self.release(held, "shutdown"),
                None => return self.account_held(),
            }
        }
    }

    fn release(&self, held: Held, reason: &'static str) {
        let labels = [("reason", reason)];
        self.registry.counter("otlet_xray_released_segments_total", &labels).increment();
        // It was read before and cannot be refused.
        if self.segments.borrow_mut().read(&held.document).is_ok() {
            self.write(&held.document, &[], held.spans);
        }
    }

    fn account_held(&self) {
        let holding = self.holding.borrow();
        self.reservation.borrow_mut().resize(holding.bytes() as u64);
        self.held_segments.set(holding.count() as f64);
    }

    /// Gives up what is held for too long, for ever.
    pub async fn watch(self: Rc<Self>) {
        loop {
            let due = self.holding.borrow().due();
            match due {
                Some(due) => net::sleep_until(due).await,
                None => self.held.notified().await,
            }
            self.release_due();
        }
    }

    /// Counts a datagram that was cut.
    pub fn refuse_cut(&self, datagram: &[u8]) {
        self.datagrams.increment();
        self.refuse("truncated", "longer than the buffer", datagram);
    }

    fn refuse(&self, reason: &'static str, why: &str, bytes: &[u8]) {
        self.spans.refuse(1, reason);
        let shown = self.shown.get();
        if shown < SHOWN_MAX {
            self.shown.set(shown + 1);
            log::warn!("xray: refused \"{}\": {why}", shorten(bytes, SHOWN_BYTES_MAX));
        } else {
            log::debug!("xray: refused a datagram: {why}");
        }
    }
}
