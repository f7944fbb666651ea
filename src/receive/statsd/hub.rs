//! Where all listeners meet: the table, the counters, and what is logged of bad lines.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::series::Table;
use crate::observe::log::shorten;
use crate::observe::{Counter, Registry};
use crate::pipeline::ReceiverAccount;

/// Longest datagram taken whole; a longer one, which only unix sockets carry, is cut.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Bad lines logged between two flushes, and how much of each.
const SHOWN_LINES_MAX: u32 = 3;
const SHOWN_CHARS_MAX: usize = 120;

/// Shared by all listeners.
pub struct Hub {
    pub table: RefCell<Table>,
    /// One for all: a datagram is done with before the next is read.
    pub buffer: RefCell<Vec<u8>>,
    pub datagrams: Counter,
    pub truncated: Counter,
    pub kernel_drops: Counter,
    pub connections: Counter,
    pub refused_connections: Counter,
    lines: Rc<ReceiverAccount>,
    registry: Rc<Registry>,
    opened: Instant,
    shown: Cell<u32>,
    hidden: Cell<u64>,
}

impl Hub {
    pub fn new(table: Table, lines: Rc<ReceiverAccount>, registry: &Rc<Registry>) -> Rc<Hub> {
        let counter = |name| registry.counter(name, &[]);
        Rc::new(Hub {
            table: RefCell::new(table),
            buffer: RefCell::new(vec![0; DATAGRAM_BYTES_MAX]),
            datagrams: counter("otlet_statsd_datagrams_total"),
            truncated: counter("otlet_statsd_truncated_datagrams_total"),
            kernel_drops: counter("otlet_statsd_kernel_drops_total"),
            connections: registry.gauge("otlet_statsd_connections", &[]),
            refused_connections: counter("otlet_statsd_refused_connections_total"),
            lines,
            registry: Rc::clone(registry),
            opened: Instant::now(),
            shown: Cell::new(0),
            hidden: Cell::new(0),
        })
    }

    /// Seconds since the start, for ages.
    pub fn age_s(&self) -> u32 {
        u32::try_from(self.opened.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Tells the table its age; once a turn is enough.
    pub fn set_age(&self) {
        self.table.borrow_mut().set_age(self.age_s());
    }

    /// Takes whole lines in.
    pub fn take(&self, text: &[u8]) {
        let mut table = self.table.borrow_mut();
        let taken = table.take(text, |line, reason| self.refuse(line, reason));
        self.lines.accept(taken);
    }

    /// Counts a line that is not taken, and shows the first few bad ones.
    pub fn refuse(&self, line: &[u8], reason: &'static str) {
        self.lines.refuse(1, reason);
        // These are good lines; the second kind has a message of its own.
        if matches!(reason, "event" | "series_max") {
            return;
        }
        if self.shown.get() < SHOWN_LINES_MAX {
            self.shown.set(self.shown.get() + 1);
            log::warn!("statsd: refused \"{}\": {reason}", shorten(line, SHOWN_CHARS_MAX));
        } else {
            self.hidden.set(self.hidden.get() + 1);
        }
    }

    /// Says what was held back since the last flush, and counts faults.
    pub fn sum_up(&self) {
        self.shown.set(0);
        let hidden = self.hidden.take();
        if hidden > 0 {
            log::warn!("statsd: refused {hidden} more lines since the last flush");
        }
        let faults = self.table.borrow_mut().take_faults();
        for (fault, count) in faults.each().into_iter().filter(|(_, count)| *count > 0) {
            self.registry.counter("otlet_statsd_faults_total", &[("fault", fault)]).add(count);
        }
    }
}
