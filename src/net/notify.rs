//! Waking one waiting task from another on the same thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A flag with one waiter: [`Notify::notify`] sets it, [`Notify::notified`] waits for it and takes
/// it. Clones share it. A notification without a waiter is kept for the next; several count as one.
#[derive(Clone, Default)]
pub struct Notify(Rc<State>);

#[derive(Default)]
struct State {
    notified: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Notify {
    pub fn notify(&self) {
        self.0.notified.set(true);
        if let Some(waker) = self.0.waiter.take() {
            waker.wake();
        }
    }

    /// Waits for a notification; one that came before is taken at once.
    pub async fn notified(&self) {
        poll_fn(|context| {
            if self.0.notified.take() {
                return Poll::Ready(());
            }
            *self.0.waiter.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{run, spawn, yield_now};

    #[test]
    fn a_notification_is_kept_and_taken_once() {
        run(async {
            let notify = Notify::default();
            notify.notify();
            notify.notify();
            notify.notified().await;
            let waiting = notify.clone();
            let task = spawn(async move { waiting.notified().await });
            yield_now().await;
            assert!(!task.is_finished());
            notify.notify();
            task.await;
        });
    }
}
