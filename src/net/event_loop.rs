//! The event loop: one executor on one thread, and one heap of timers behind one wake-up.
//!
//! It sleeps in `epoll`. async-io starts one helper thread of its own at first use; there is no
//! other. Timers that fall within [`COALESCE_MS`] of each other fire together, so that an idle
//! program sleeps. The longest run between two yields is kept and shown as
//! `otlet_loop_stall_seconds_max`.
//!
//! Everything here belongs to the thread that called [`run`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smol::LocalExecutor;

use super::epoll::EPOLL;

/// Timers due within this time of an expired one fire with it. Longer sleeps may thus end this much
/// early or late; nothing here measures by sleeping.
const COALESCE_MS: u64 = 1;

/// Time between two looks at sockets and timers while tasks have work.
const TURN_MS: u64 = 1;

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
}

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
    static TIMERS: Timers = Timers::default();
    static STALL_MAX: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `main` and all that it spawns on this thread until `main` is done. `main` is asked whenever
/// anything happens; tasks are when what they wait for does.
pub fn run<T>(main: impl Future<Output = T>) -> T {
    // On the heap: the layers above it would each hold a copy on the stack.
    let mut main = Box::pin(main);
    EPOLL.with(|epoll| {
        let waker = epoll.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            epoll.stay_awake();
            if let Poll::Ready(result) = timed(|| main.as_mut().poll(&mut context)) {
                return result;
            }
            EXECUTOR.with(|executor| {
                let is_done = take_turn(executor);
                // Asked once more it leaves the waker with the executor, for as long as it lives.
                let mut next = pin!(executor.tick());
                let may_sleep = is_done && next.as_mut().poll(&mut context).is_pending();
                epoll.sleep(if may_sleep { until_next_timer() } else { Some(Duration::ZERO) });
            });
            fire(Instant::now());
        }
    })
}

/// Runs tasks for about [`TURN_MS`]; true if none is left to run.
fn take_turn(executor: &LocalExecutor<'_>) -> bool {
    let end = Instant::now() + Duration::from_millis(TURN_MS);
    while executor.try_tick() {
        if Instant::now() >= end {
            return false;
        }
    }
    true
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

/// The time from now to the first timer.
fn until_next_timer() -> Option<Duration> {
    TIMERS.with(|timers| {
        let waiting = timers.waiting.borrow();
        let (due, _) = waiting.keys().next()?;
        Some(due.saturating_duration_since(Instant::now()))
    })
}

/// Wakes every timer that is due; when one is, those nearly due with it.
fn fire(now: Instant) {
    TIMERS.with(|timers| {
        let mut waiting = timers.waiting.borrow_mut();
        if waiting.keys().next().is_some_and(|(due, _)| *due <= now) {
            let later = waiting.split_off(&(now + Duration::from_millis(COALESCE_MS), 0));
            for waker in std::mem::replace(&mut *waiting, later).into_values() {
                waker.wake();
            }
        }
    });
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
