//! Spans on their way to documents: whole bodies, translated a piece at a time by a task of their
//! own, since one may be thousands of spans and whoever gives it does not wait.
//!
//! They are held under the destination's bound like its batches. Where even an empty queue would
//! leave no room for one it is dropped and counted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::Xray;
use crate::net::{self, Notify};
use crate::translate::segment::{Documents, Out};

/// Bytes read and written between two yields: half a millisecond.
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub struct Bodies {
    waiting: RefCell<VecDeque<(Vec<u8>, u64)>>,
    /// One is being translated.
    is_busy: Cell<bool>,
    /// Told when one came, and when to stop.
    pub came: Notify,
}

impl Bodies {
    /// Takes a body whose items are counted as queued.
    pub fn push(&self, exporter: &Xray, body: &[u8], items: u64) {
        let bytes = body.len() as u64;
        exporter.outbox.queue.restage(0, bytes);
        if exporter.outbox.queue.is_overfull() {
            exporter.outbox.queue.restage(bytes, 0);
            return exporter.outbox.account.dropped(items, "queue_full");
        }
        self.waiting.borrow_mut().push_back((body.to_vec(), items));
        self.came.notify();
    }

    pub fn is_empty(&self) -> bool {
        !self.is_busy.get() && self.waiting.borrow().is_empty()
    }

    /// Turns bodies into documents until the exporter is stopped and none is left.
    pub async fn translate(exporter: Rc<Xray>) {
        let own = &exporter.bodies;
        loop {
            let next = own.waiting.borrow_mut().pop_front();
            let Some((body, items)) = next else {
                if exporter.outbox.is_stopping() {
                    return;
                }
                own.came.notified().await;
                continue;
            };
            own.is_busy.set(true);
            translate_one(&exporter, &body, items).await;
            own.is_busy.set(false);
            exporter.outbox.queue.restage(body.len() as u64, 0);
            exporter.outbox.changed.notify();
        }
    }
}

async fn translate_one(exporter: &Xray, body: &[u8], items: u64) {
    let mut documents = Documents::new(body);
    let mut random = || fastrand::u64(..);
    let (mut left, mut bytes) = (items, 0);
    let mut take = |out: Out<'_>| match out {
        Out::Document(text, spans) => {
            left -= spans.min(left);
            exporter.add(text, spans);
        }
        Out::NoIds => {
            left -= 1.min(left);
            exporter.outbox.account.dropped(1, "no_ids");
        }
    };
    while let Some(done) = documents.next(&mut random, &mut take) {
        bytes += done;
        if bytes >= PIECE_BYTES {
            bytes = 0;
            net::yield_now().await;
        }
    }
    debug_assert_eq!(left, 0, "a body has as many spans as were counted");
}
