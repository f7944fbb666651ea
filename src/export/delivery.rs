//! The loop that sends: one request in flight, retries in place, everything settled exactly once.
//!
//! What a request looks like and what an answer means is the [`Courier`]'s; when to send, to wait,
//! to send again in parts and to give up is decided here, for every protocol in the same way. No
//! item is given up that was not sent at least once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::queue::Block;
use super::retry::{Backoff, Verdict};
use crate::net::http1::client::IDLE_MS_MAX;
use crate::net::{self, clock, Notify};

/// Blocks that waited longer than this are joined, so that a backlog needs fewer requests.
const CATCHING_UP: Duration = Duration::from_secs(15);

/// Load balancers close idle connections after 60 s; ours go first.
const IDLE_MAX: Duration = Duration::from_millis(IDLE_MS_MAX);

/// Blocks that travel in one request, oldest first.
pub struct Parcel {
    pub blocks: Vec<Block>,
    pub items: u64,
    held_bytes: u64,
    /// How often what is in here was cut.
    cuts: u8,
}

impl Parcel {
    pub fn new(block: Block) -> Parcel {
        let (items, held_bytes) = (block.items, block.held_bytes());
        Parcel { blocks: vec![block], items, held_bytes, cuts: 0 }
    }

    fn add(&mut self, block: Block) {
        self.items += block.items;
        self.held_bytes += block.held_bytes();
        self.blocks.push(block);
    }

    pub fn raw_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.raw_bytes).sum()
    }
}

/// How one attempt ended.
pub struct Outcome {
    pub verdict: Verdict,
    /// How long the server asks to wait.
    pub wait: Option<Duration>,
    /// For the log: status and the server's words, or what went wrong.
    pub answer: String,
    /// Items of an accepted request that were not taken all the same.
    pub rejected_items: u64,
    /// The server took everything and has something to say.
    pub is_warning: bool,
}

impl Outcome {
    pub fn new(verdict: Verdict, answer: impl Into<String>) -> Outcome {
        Outcome { verdict, wait: None, answer: answer.into(), rejected_items: 0, is_warning: false }
    }
}

/// An attempt under way; boxed, so that this loop exists once for all protocols.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Carries parcels in one protocol to one address.
pub trait Courier {
    /// Sends a parcel, again at once where a refusal taught something.
    fn attempt<'a>(&'a mut self, parcel: &'a Parcel) -> Attempt<'a>;

    fn is_idle_connection(&self) -> bool;

    /// Closes the kept connection if it has not been used for this long.
    fn close_if_idle(&mut self, longer_than: Duration);

    /// When the open batch is to be closed, if it holds anything.
    fn open_due(&self) -> Option<Instant>;

    /// Closes the open batch and queues it.
    fn seal_open(&self);

    /// Whether all that came is in the batch or the queue.
    fn is_drained(&self) -> bool {
        true
    }

    /// Whether an old parcel may take this block along.
    fn has_room(&self, _parcel: &Parcel, _block: &Block) -> bool {
        false
    }

    /// A block that was refused as a whole, in parts that may be taken; `cuts` says how often it
    /// was cut before. None where that makes no sense.
    fn cut(&mut self, _block: &Block, _verdict: Verdict, _cuts: u8) -> Option<Vec<Block>> {
        None
    }

    /// Learns that a parcel was given up.
    fn gave_up(&mut self) {}
}

/// Sends one queue.
pub struct Delivery {
    outbox: Rc<Outbox>,
    courier: Box<dyn Courier>,
    /// For the log: the protocol and the items, as in "remote write" and "samples".
    words: (&'static str, &'static str),
    retry_for: Duration,
    backoff: Backoff,
    failing: bool,
}

impl Delivery {
    pub fn new(
        outbox: Rc<Outbox>,
        courier: Box<dyn Courier>,
        words: (&'static str, &'static str),
        retry_for: Duration,
    ) -> Delivery {
        let backoff = Backoff::default();
        Delivery { outbox, courier, words, retry_for, backoff, failing: false }
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(mut self) {
        while let Some(block) = self.next().await {
            let parcel = self.join(block);
            self.deliver(parcel).await;
        }
    }

    /// The next block, when there is one; None when all is sent and the exporter stops.
    async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(block) = self.outbox.queue.take() {
                return Some(block);
            }
            let due = self.courier.open_due();
            let is_ending = self.outbox.is_stopping() && self.courier.is_drained();
            if due.is_some_and(|due| due <= Instant::now() || is_ending) {
                self.courier.seal_open();
                continue;
            }
            if is_ending {
                return None;
            }
            self.courier.close_if_idle(IDLE_MAX);
            let idle_check = self.courier.is_idle_connection().then(|| Instant::now() + IDLE_MAX);
            wait(&self.outbox.changed, [due, idle_check].into_iter().flatten().min()).await;
        }
    }

    /// Adds waiting blocks to an old one.
    fn join(&self, block: Block) -> Parcel {
        let is_old = block.born.elapsed() > CATCHING_UP;
        let mut parcel = Parcel::new(block);
        while let Some(next) =
            self.outbox.queue.take_if(|next| is_old && self.courier.has_room(&parcel, next))
        {
            parcel.add(next);
        }
        parcel
    }

    /// Sends a parcel until all that is in it is accepted, refused for good or too old.
    async fn deliver(&mut self, parcel: Parcel) {
        let mut left = VecDeque::from([parcel]);
        while let Some(mut parcel) = left.pop_front() {
            let outcome = self.courier.attempt(&parcel).await;
            match outcome.verdict {
                Verdict::Sent => self.settle_sent(&parcel, &outcome),
                Verdict::Retry => {
                    self.expire(&mut parcel, &outcome);
                    self.pause(&parcel, &outcome).await;
                    if !parcel.blocks.is_empty() {
                        left.push_front(parcel);
                    }
                }
                Verdict::TooLarge | Verdict::BadData => {
                    match self.take_apart(parcel, outcome.verdict) {
                        Ok(parts) => parts.into_iter().rev().for_each(|part| left.push_front(part)),
                        Err(parcel) => self.settle_dropped(&parcel, &outcome),
                    }
                }
                Verdict::Unauthorized | Verdict::Refused => self.settle_dropped(&parcel, &outcome),
            }
        }
    }

    /// Gives up the blocks at the front that were tried for too long.
    fn expire(&mut self, parcel: &mut Parcel, outcome: &Outcome) {
        while parcel.blocks.first().is_some_and(|block| block.born.elapsed() >= self.retry_for) {
            let block = parcel.blocks.remove(0);
            // The last one stands for all that is still accounted as in flight.
            let held_bytes = match parcel.blocks.is_empty() {
                true => parcel.held_bytes,
                false => block.held_bytes(),
            };
            parcel.items -= block.items;
            parcel.held_bytes -= held_bytes;
            let limit_s = self.retry_for.as_secs();
            let answer = format!("not accepted within {limit_s} s: {}", outcome.answer);
            let old = Parcel { items: block.items, held_bytes, cuts: 0, blocks: vec![block] };
            self.settle_dropped(&old, &Outcome::new(Verdict::Retry, answer));
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, parcel: &Parcel, outcome: &Outcome) {
        // What the server asks for is for the request that it refused.
        let asked = outcome.wait.filter(|_| !parcel.blocks.is_empty());
        let wait_for = self.backoff.next(fastrand::f64(), asked);
        self.failing = true;
        if !parcel.blocks.is_empty() {
            self.outbox.account.retry();
            let (protocol, items) = self.words;
            log::warn!(
                "{protocol} to {}: {}; {} {items} wait, next try in {:.1} s",
                self.outbox.account.destination(),
                outcome.answer,
                self.outbox.account.queued_items().max(parcel.items),
                wait_for.as_secs_f64()
            );
        }
        if self.courier.is_idle_connection() {
            self.courier.close_if_idle(Duration::ZERO);
        }
        wait(&self.outbox.hurry, Some(Instant::now() + wait_for)).await;
    }

    /// The parts of a parcel that was refused as a whole, or the parcel where it has none.
    fn take_apart(&mut self, parcel: Parcel, verdict: Verdict) -> Result<Vec<Parcel>, Parcel> {
        let Parcel { blocks, held_bytes, mut cuts, .. } = parcel;
        let blocks = match <[Block; 1]>::try_from(blocks) {
            Ok([block]) => match self.courier.cut(&block, verdict, cuts) {
                Some(parts) => {
                    cuts += 1;
                    parts
                }
                None => return Err(Parcel { held_bytes, cuts, ..Parcel::new(block) }),
            },
            Err(joined) => joined,
        };
        let mut parts: Vec<Parcel> = blocks.into_iter().map(Parcel::new).collect();
        for part in &mut parts {
            (part.held_bytes, part.cuts) = (0, cuts);
        }
        // The whole stays accounted as in flight until its last part is settled.
        if let Some(last) = parts.last_mut() {
            last.held_bytes = held_bytes;
        }
        Ok(parts)
    }

    fn settle_sent(&mut self, parcel: &Parcel, outcome: &Outcome) {
        self.backoff.reset();
        let (protocol, items) = self.words;
        let destination = self.outbox.account.destination();
        if std::mem::take(&mut self.failing) {
            log::info!("{protocol} to {destination}: works again");
        }
        let rejected_items = outcome.rejected_items.min(parcel.items);
        if rejected_items > 0 {
            log::warn!(
                "{protocol} to {destination}: {}; dropped {rejected_items} {items}",
                outcome.answer
            );
        } else if outcome.is_warning {
            log::warn!("{protocol} to {destination}: {}; took all {items}", outcome.answer);
        }
        let account = &self.outbox.account;
        account.succeeded_at(clock::unix_ms());
        account.dropped(rejected_items, "rejected");
        account.sent(parcel.items - rejected_items);
        self.outbox.queue.landed(parcel.held_bytes);
    }

    fn settle_dropped(&mut self, parcel: &Parcel, outcome: &Outcome) {
        let reason = match outcome.verdict {
            Verdict::Retry => "expired",
            Verdict::TooLarge => "too_large",
            Verdict::Unauthorized => "unauthorized",
            Verdict::Sent | Verdict::BadData | Verdict::Refused => "refused",
        };
        if reason != "expired" {
            // The server is there: the next request does not wait.
            self.backoff.reset();
        }
        let (protocol, items) = self.words;
        let (destination, count) = (self.outbox.account.destination(), parcel.items);
        log::warn!("{protocol} to {destination}: {}; dropped {count} {items}", outcome.answer);
        self.outbox.account.dropped(parcel.items, reason);
        self.outbox.queue.landed(parcel.held_bytes);
        self.courier.gave_up();
    }
}

/// Waits for a notification or a time, whichever comes first.
async fn wait(notify: &Notify, until: Option<Instant>) {
    match until {
        Some(until) => net::timeout_at(until, notify.notified()).await.unwrap_or_default(),
        None => notify.notified().await,
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
