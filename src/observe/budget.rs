//! The memory budget: one number for everything that is buffered (`--memory-limit`).
//!
//! Whoever buffers holds a [`Reservation`] of the bytes it holds and resizes it as they change. The
//! budget never blocks and never allocates; what happens at the limit is the holder's decision.

use std::cell::Cell;
use std::rc::Rc;

/// The shared account, in bytes.
#[derive(Debug)]
pub struct Budget {
    bytes_max: u64,
    bytes_used: Cell<u64>,
}

impl Budget {
    pub fn new(bytes_max: u64) -> Rc<Budget> {
        Rc::new(Budget { bytes_max, bytes_used: Cell::new(0) })
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub fn bytes_used(&self) -> u64 {
        self.bytes_used.get()
    }

    /// True when more is held than allowed: somebody must give up something.
    pub fn is_exceeded(&self) -> bool {
        self.bytes_used.get() > self.bytes_max
    }

    /// An empty reservation on this budget.
    pub fn reservation(self: &Rc<Budget>) -> Reservation {
        Reservation { budget: Rc::clone(self), bytes: 0 }
    }
}

/// Bytes held under the budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Rc<Budget>,
    bytes: u64,
}

impl Reservation {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` from here on, whatever the limit says.
    pub fn resize(&mut self, bytes: u64) {
        let others = self.budget.bytes_used.get() - self.bytes;
        self.budget.bytes_used.set(others + bytes);
        self.bytes = bytes;
    }

    /// Whether the budget could hold so much if nobody else held anything.
    pub fn could_hold(&self, bytes: u64) -> bool {
        bytes <= self.budget.bytes_max
    }

    /// Holds `bytes` if the budget has room for them; otherwise changes nothing and says false.
    pub fn try_resize(&mut self, bytes: u64) -> bool {
        let others = self.budget.bytes_used.get() - self.bytes;
        let fits = bytes <= self.bytes || others + bytes <= self.budget.bytes_max;
        if fits {
            self.resize(bytes);
        }
        fits
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_add_up_and_return() {
        let budget = Budget::new(100);
        let mut first = budget.reservation();
        let mut second = budget.reservation();
        first.resize(60);
        assert!(!second.try_resize(41));
        assert!(second.try_resize(40));
        assert_eq!((budget.bytes_used(), budget.is_exceeded()), (100, false));
        first.resize(61);
        assert!(budget.is_exceeded());
        drop(first);
        assert_eq!((budget.bytes_used(), second.bytes()), (40, 40));
    }
}
