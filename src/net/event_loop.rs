//! The event loop: one executor on one thread, and one heap of timers behind one wake-up.
//!
//! async-io starts one helper thread of its own at first use; there is no other. Timers that fall
//! within [`COALESCE_MS`] of each other fire together, so that an idle program sleeps. The longest
//! run between two yields is kept and shown as `otlet_loop_stall_seconds_max`.
//!
//! Everything here belongs to the thread that called [`run`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::LocalExecutor;

use super::Notify;

/// Timers due within this time of an expired one fire with it. Longer sleeps may thus end this much
/// early or late; nothing here measures by sleeping.
const COALESCE_MS: u64 = 1;

/// A spawned task; dropping it cancels it, `detach` lets it run on.
pub type Task<T> = smol::Task<T>;

/// The time given to [`timeout`] passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

#[derive(Default)]
struct Timers {
    /// Due time and a number that keeps equal times apart.
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_number: Cell<u64>,
    /// When the loop is going to wake up. Never later than the first timer, and earlier when that
    /// one was dropped: waking once for nothing costs less than arming the system's timer anew for
    /// every request.
    armed: Cell<Option<Instant>>,
    /// Told when a timer arrives that is due before the loop would wake up.
    earlier: Notify,
}

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
    static TIMERS: Timers = Timers::default();
    static STALL_MAX: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `main` and all that it spawns on this thread until `main` is done.
pub fn run<T>(main: impl Future<Output = T>) -> T {
    // On the heap: the layers above it would each hold a copy on the stack.
    let mut main = Box::pin(main);
    EXECUTOR.with(|executor| {
        smol::block_on(executor.run(async {
            let mut timers = pin!(drive_timers());
            poll_fn(|context| {
                let result = timed(|| main.as_mut().poll(context));
                if result.is_pending() {
                    let _ = timers.as_mut().poll(context);
                }
                result
            })
            .await
        }))
    })
}

/// Starts a task on this thread.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let mut future = Box::pin(future);
    let timed = poll_fn(move |context| timed(|| future.as_mut().poll(context)));
    EXECUTOR.with(|executor| executor.spawn(timed))
}

/// Completes at `due`.
pub fn sleep_until(due: Instant) -> Sleep {
    Sleep { due, number: None }
}

/// Completes after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Runs `future` for at most `limit`. It goes to the heap, because nested timeouts would otherwise
/// multiply the size of what they hold.
pub fn timeout<T>(
    limit: Duration,
    future: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Elapsed>> {
    let mut future = Box::pin(future);
    let mut expired = sleep(limit);
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => Pin::new(&mut expired).poll(context).map(|()| Err(Elapsed)),
    })
}

/// Runs `future` until `deadline` at the latest.
pub fn timeout_at<T>(
    deadline: Instant,
    future: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Elapsed>> {
    timeout(deadline.saturating_duration_since(Instant::now()), future)
}

/// Runs two futures until one is done; the other is dropped. The first is asked first.
pub fn either<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    poll_fn(move |context| match first.as_mut().poll(context) {
        Poll::Pending => second.as_mut().poll(context),
        ready => ready,
    })
}

/// Lets the other tasks run.
pub async fn yield_now() {
    smol::future::yield_now().await;
}

/// The longest time one task ran without yielding, since the start.
pub fn stall_max() -> Duration {
    STALL_MAX.get()
}

/// Measures one poll of a task.
fn timed<T>(poll: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = poll();
    let took = start.elapsed();
    if took > STALL_MAX.get() {
        STALL_MAX.set(took);
    }
    result
}

/// Fires due timers and sleeps until the next, for ever.
async fn drive_timers() {
    loop {
        let next = fire(Instant::now());
        let arrived = TIMERS.with(|timers| {
            timers.armed.set(next);
            timers.earlier.clone()
        });
        let wait = async {
            match next {
                Some(due) => drop(Timer::at(due).await),
                None => std::future::pending().await,
            }
        };
        either(wait, arrived.notified()).await;
    }
}

/// Wakes every timer that is due or nearly so; returns when the next one is.
fn fire(now: Instant) -> Option<Instant> {
    TIMERS.with(|timers| {
        let horizon = now + Duration::from_millis(COALESCE_MS);
        let mut waiting = timers.waiting.borrow_mut();
        let first = waiting.keys().next().map(|(due, _)| *due)?;
        if first <= now {
            let later = waiting.split_off(&(horizon, 0));
            for waker in std::mem::replace(&mut *waiting, later).into_values() {
                waker.wake();
            }
        }
        waiting.keys().next().map(|(due, _)| *due)
    })
}

/// A timer in the heap.
pub struct Sleep {
    due: Instant,
    /// Where the waker stands while it waits.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        TIMERS.with(|timers| {
            let mut waiting = timers.waiting.borrow_mut();
            // Gone from the heap means fired, possibly a little early.
            let fired = self.number.is_some_and(|n| !waiting.contains_key(&(self.due, n)));
            if fired || Instant::now() >= self.due {
                return Poll::Ready(());
            }
            let number = self.number.unwrap_or_else(|| timers.next_number.get());
            if self.number.is_none() {
                timers.next_number.set(number + 1);
                self.number = Some(number);
            }
            waiting.insert((self.due, number), context.waker().clone());
            if timers.armed.get().is_none_or(|armed| self.due < armed) {
                timers.armed.set(Some(self.due));
                timers.earlier.notify();
            }
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // A task that outlives the loop is dropped after the heap: then there is nothing to do.
            let _ = TIMERS.try_with(|timers| {
                timers.waiting.borrow_mut().remove(&(self.due, number));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn timers_fire_in_order_and_together() {
        let order = Rc::new(RefCell::new(Vec::new()));
        run(async {
            let tasks: Vec<_> = [30_u64, 1, 15]
                .into_iter()
                .map(|ms| {
                    let order = Rc::clone(&order);
                    spawn(async move {
                        sleep(Duration::from_millis(ms)).await;
                        order.borrow_mut().push(ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
        });
        assert_eq!(*order.borrow(), [1, 15, 30]);
    }

    #[test]
    fn a_timeout_ends_what_never_does() {
        run(async {
            let never = std::future::pending::<()>();
            assert_eq!(timeout(Duration::from_millis(5), never).await, Err(Elapsed));
            assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
        });
        TIMERS.with(|timers| assert!(timers.waiting.borrow().is_empty()));
    }

    #[test]
    fn a_busy_task_does_not_starve_timers() {
        run(async {
            let busy = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            sleep(Duration::from_millis(5)).await;
            drop(busy);
        });
    }

    #[test]
    fn a_cancelled_task_stops() {
        let done = Rc::new(Cell::new(false));
        run(async {
            let flag = Rc::clone(&done);
            let task = spawn(async move {
                sleep(Duration::from_millis(1)).await;
                flag.set(true);
            });
            drop(task);
            sleep(Duration::from_millis(10)).await;
        });
        assert!(!done.get());
    }
}
