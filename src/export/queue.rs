//! The bounded queue of encoded blocks before one destination, and who gives way when memory ends.
//!
//! The queues of a destination hold at most its share of bytes; all holders together hold at most
//! the memory budget. At either bound the oldest block of the fullest queue goes and is counted as
//! `queue_full`. What is in flight is not dropped: it is about to be settled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::account::ExporterAccount;
use crate::observe::{Budget, Reservation};

/// Encoded items that travel together.
#[derive(Debug)]
pub struct Block {
    pub body: Vec<u8>,
    /// Size before compression, in bytes.
    pub raw_bytes: u64,
    pub items: u64,
    /// When its first item came in.
    pub born: Instant,
    /// What it was put together from, where it can be taken apart again.
    pub pieces: Vec<Piece>,
}

/// One sender's part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Size before compression, in bytes.
    pub raw_bytes: u32,
    pub items: u32,
}

impl Block {
    /// What it costs in memory, in bytes.
    pub fn held_bytes(&self) -> u64 {
        let pieces_bytes = self.pieces.capacity() * size_of::<Piece>();
        (self.body.capacity() + pieces_bytes + size_of::<Block>()) as u64
    }
}

/// What the queues of one destination hold together.
pub struct Share {
    queues: Rc<Queues>,
    bytes_max: u64,
    bytes: Cell<u64>,
}

/// Every queue of the process; knows which one gives way.
pub struct Queues {
    budget: Rc<Budget>,
    queues: RefCell<Vec<Weak<Queue>>>,
}

impl Queues {
    pub fn new(budget: Rc<Budget>) -> Rc<Queues> {
        Rc::new(Queues { budget, queues: RefCell::default() })
    }

    /// A queue of its own for one destination, of at most `bytes_max`.
    pub fn open(self: &Rc<Queues>, bytes_max: u64, account: Rc<ExporterAccount>) -> Rc<Queue> {
        self.open_in(&self.share(bytes_max), account)
    }

    /// What several queues of one destination hold together is at most `bytes_max`.
    pub fn share(self: &Rc<Queues>, bytes_max: u64) -> Rc<Share> {
        Rc::new(Share { queues: Rc::clone(self), bytes_max, bytes: Cell::new(0) })
    }

    /// Memory that an exporter holds beside its queues.
    pub fn reservation(&self) -> Reservation {
        self.budget.reservation()
    }

    /// One of the queues that have a share together.
    pub fn open_in(&self, share: &Rc<Share>, account: Rc<ExporterAccount>) -> Rc<Queue> {
        let queue = Rc::new(Queue {
            share: Rc::clone(share),
            account,
            state: RefCell::new(State {
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                in_flight_bytes: 0,
                staged_bytes: 0,
                reserved_bytes: 0,
                reservation: self.budget.reservation(),
            }),
        });
        self.queues.borrow_mut().push(Rc::downgrade(&queue));
        queue
    }

    /// Gives up oldest blocks of the fullest queues until the budget holds or nothing waits.
    fn relieve(&self) {
        while self.budget.is_exceeded() && self.drop_oldest(|_| true) {}
    }

    /// Gives up the oldest block of the fullest queue among these; false when none waits.
    fn drop_oldest(&self, among: impl Fn(&Queue) -> bool) -> bool {
        let queues = self.queues.borrow();
        let open = queues.iter().filter_map(Weak::upgrade).filter(|queue| among(queue));
        open.max_by_key(|queue| queue.waiting_bytes()).is_some_and(|queue| queue.drop_oldest())
    }
}

struct State {
    waiting: VecDeque<Block>,
    waiting_bytes: u64,
    in_flight_bytes: u64,
    /// Held by transactions under way and the open batch.
    staged_bytes: u64,
    /// What the share and the budget know of, in bytes.
    reserved_bytes: u64,
    reservation: Reservation,
}

impl Share {
    fn is_exceeded(&self) -> bool {
        self.bytes.get() > self.bytes_max
    }
}

impl State {
    fn held_bytes(&self) -> u64 {
        self.waiting_bytes + self.in_flight_bytes + self.staged_bytes
    }
}

/// Blocks of one destination, oldest first.
pub struct Queue {
    share: Rc<Share>,
    account: Rc<ExporterAccount>,
    state: RefCell<State>,
}

impl Queue {
    /// Appends a block whose items are counted as queued already.
    pub fn push(&self, block: Block) {
        {
            let mut state = self.state.borrow_mut();
            state.waiting_bytes += block.held_bytes();
            state.waiting.push_back(block);
        }
        self.settle();
    }

    /// Takes the oldest block into flight. The caller settles it with [`Queue::landed`].
    pub fn take(&self) -> Option<Block> {
        self.take_if(|_| true)
    }

    /// Takes the oldest block into flight if it pleases `accept`.
    pub fn take_if(&self, accept: impl FnOnce(&Block) -> bool) -> Option<Block> {
        let mut state = self.state.borrow_mut();
        let pleases = state.waiting.front().is_some_and(accept);
        let block = if pleases { state.waiting.pop_front() } else { None }?;
        state.waiting_bytes -= block.held_bytes();
        state.in_flight_bytes += block.held_bytes();
        Some(block)
    }

    /// Says that a block of this size, taken before, is settled and freed.
    pub fn landed(&self, held_bytes: u64) {
        self.state.borrow_mut().in_flight_bytes -= held_bytes;
        self.settle();
    }

    /// Says that staging grew or shrank to or from here by this many bytes.
    pub fn restage(&self, before_bytes: u64, after_bytes: u64) {
        {
            let mut state = self.state.borrow_mut();
            state.staged_bytes = state.staged_bytes + after_bytes - before_bytes;
        }
        self.settle();
    }

    /// True when even an empty queue leaves no room for what is staged and in flight.
    pub fn is_overfull(&self) -> bool {
        self.share.is_exceeded() || self.share.queues.budget.is_exceeded()
    }

    pub fn is_empty(&self) -> bool {
        self.state.borrow().waiting.is_empty()
    }

    /// When the oldest waiting block was born.
    pub fn oldest_born(&self) -> Option<Instant> {
        self.state.borrow().waiting.front().map(|block| block.born)
    }

    fn waiting_bytes(&self) -> u64 {
        self.state.borrow().waiting_bytes
    }

    /// Drops everything that waits.
    pub fn clear(&self, reason: &'static str) {
        let waiting = {
            let mut state = self.state.borrow_mut();
            state.waiting_bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        let items = waiting.iter().map(|block| block.items).sum();
        self.account.dropped(items, reason);
        self.settle();
    }

    /// Restores both bounds and shows the result.
    fn settle(&self) {
        self.reserve();
        let Share { queues, .. } = &*self.share;
        let is_ours = |queue: &Queue| Rc::ptr_eq(&queue.share, &self.share);
        while self.share.is_exceeded() && queues.drop_oldest(is_ours) {}
        queues.relieve();
    }

    fn reserve(&self) {
        let mut state = self.state.borrow_mut();
        let bytes = state.held_bytes();
        self.share.bytes.set(self.share.bytes.get() + bytes - state.reserved_bytes);
        state.reserved_bytes = bytes;
        state.reservation.resize(bytes);
        self.account.held(self.share.bytes.get());
    }

    /// Gives up the oldest waiting block; false when none waits.
    fn drop_oldest(&self) -> bool {
        let block = {
            let mut state = self.state.borrow_mut();
            let Some(block) = state.waiting.pop_front() else { return false };
            state.waiting_bytes -= block.held_bytes();
            block
        };
        self.account.dropped(block.items, "queue_full");
        self.reserve();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Registry;

    fn block(items: u64, bytes: usize) -> Block {
        let born = Instant::now();
        Block { body: vec![0; bytes], raw_bytes: 0, items, born, pieces: Vec::new() }
    }

    fn queues(budget_bytes: u64, shares: &[u64]) -> (Rc<Budget>, Vec<Rc<Queue>>) {
        let registry = Registry::new();
        let budget = Budget::new(budget_bytes);
        let queues = Queues::new(Rc::clone(&budget));
        let open = |(at, share): (usize, &u64)| {
            let name = at.to_string();
            let account = ExporterAccount::new(&registry, "remote-write", &name, "metrics");
            queues.open(*share, Rc::new(account))
        };
        let opened = shares.iter().enumerate().map(open).collect();
        (budget, opened)
    }

    fn push(queue: &Queue, items: u64, bytes: usize) {
        queue.account.queue(items);
        queue.push(block(items, bytes));
    }

    #[test]
    fn the_oldest_goes_at_the_share() {
        let (budget, queues) = queues(100_000, &[10_000]);
        for items in 1..=12 {
            push(&queues[0], items, 1000);
        }
        assert!(budget.bytes_used() <= 10_000);
        let first = queues[0].take().unwrap();
        assert_eq!(first.items, 4, "blocks of about 1,080 bytes: nine fit");
        assert_eq!(queues[0].account.queued_items(), (4..=12).sum::<u64>());
    }

    #[test]
    fn the_fullest_gives_way_at_the_budget() {
        let (budget, queues) = queues(10_000, &[9_000, 9_000]);
        for _ in 0..6 {
            push(&queues[0], 1, 1000);
        }
        for _ in 0..6 {
            push(&queues[1], 1, 1000);
        }
        assert!(budget.bytes_used() <= 10_000);
        assert!(queues[0].account.queued_items() >= 3);
        assert!(queues[1].account.queued_items() >= 3);
    }

    #[test]
    fn queues_of_one_share_give_way_together() {
        let registry = Registry::new();
        let queues = Queues::new(Budget::new(100_000));
        let share = queues.share(10_000);
        let [few, many] = ["traces", "logs"].map(|signal| {
            let account = ExporterAccount::new(&registry, "otlp", "h", signal);
            queues.open_in(&share, Rc::new(account))
        });
        push(&few, 1, 1000);
        for _ in 0..20 {
            push(&many, 1, 1000);
        }
        assert_eq!((few.account.queued_items(), many.account.queued_items()), (1, 8));
        let mut page = String::new();
        registry.render(&mut page);
        let bytes =
            format!("queue_bytes{{exporter=\"otlp\",destination=\"h\"}} {}", share.bytes.get());
        assert!(page.contains(&bytes), "{page}");
        few.clear("shutdown");
        many.clear("shutdown");
        assert_eq!(share.bytes.get(), 0);
    }

    #[test]
    fn what_is_in_flight_stays_and_staging_counts() {
        let (budget, queues) = queues(100_000, &[4_000]);
        push(&queues[0], 1, 1000);
        push(&queues[0], 2, 1000);
        let flying = queues[0].take().unwrap();
        queues[0].restage(0, 3_500);
        assert!(queues[0].is_empty() && queues[0].is_overfull());
        assert_eq!(queues[0].account.queued_items(), 1);
        queues[0].restage(3_500, 0);
        queues[0].landed(flying.held_bytes());
        queues[0].account.sent(flying.items);
        assert_eq!((budget.bytes_used(), queues[0].account.queued_items()), (0, 0));
    }

    #[test]
    fn clearing_counts_what_was_left() {
        let (budget, queues) = queues(100_000, &[40_000]);
        push(&queues[0], 3, 1000);
        queues[0].clear("shutdown");
        assert_eq!((budget.bytes_used(), queues[0].account.queued_items()), (0, 0));
        assert!(queues[0].take().is_none() && queues[0].oldest_born().is_none());
    }
}
