//! The open connections of one listener: how many there may be, which of them wait for a request,
//! and how they end.
//!
//! At the bound a connection that waits gives way, and of several the one that has waited for
//! longest: first those that have not sent a request in [`YOUNG`], then those whose last request is
//! as long ago, so that newcomers do not end each other while another sleeps. A flood of silent
//! newcomers ends itself: where more than half of all are such, they go first. At the end each is
//! told, so that it can finish the request it is busy with. Dropping the value closes all at once.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{either, spawn, timeout, Listener, Notify, Stream, Task};

/// A request may still be on its way to a connection that has waited for less.
const YOUNG: Duration = Duration::from_secs(1);

/// Who gives way first: whether it is young, whether it had a request, and since when it waits.
type Rank = (bool, bool, Instant);

/// What a connection and its listener know of each other.
#[derive(Default)]
pub(super) struct Occupant {
    idle_since: Cell<Option<Instant>>,
    had_request: Cell<bool>,
    is_stopping: Cell<bool>,
    stop: Notify,
}

impl Occupant {
    /// Says since when the connection has had nothing to do; None while it is busy.
    pub(super) fn set_idle(&self, since: Option<Instant>) {
        self.idle_since.set(since);
        self.had_request.set(self.had_request.get() || since.is_none());
    }

    /// Orders those that could give way, after so much time without a request.
    fn rank(&self, idle_min: Duration, now: Instant, is_flood: bool) -> Option<Rank> {
        let (since, had_request) = (self.idle_since.get()?, self.had_request.get());
        let idle = now.saturating_duration_since(since);
        let is_young = idle < YOUNG && !is_flood;
        (!had_request || idle >= idle_min).then_some((is_young, had_request, since))
    }

    fn is_silent(&self) -> bool {
        self.idle_since.get().is_some() && !self.had_request.get()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    /// Completes when the connection should end.
    pub(super) async fn stopped(&self) {
        self.stop.notified().await;
    }
}

/// All connections of a listener.
pub(super) struct Connections {
    open: Vec<(Rc<Occupant>, Task<()>)>,
    count_max: usize,
}

impl Connections {
    pub(super) fn new(count_max: usize) -> Connections {
        Connections { open: Vec::new(), count_max }
    }

    /// Whether one more may be started, after an idle one has given way if need be.
    pub(super) fn has_room(&mut self) -> bool {
        self.open.retain(|(_, task)| !task.is_finished());
        self.open.len() < self.count_max || self.close_longest_idle(Duration::ZERO)
    }

    /// Makes room; false when every connection is busy or was so less than `idle_min` ago.
    pub(super) fn close_longest_idle(&mut self, idle_min: Duration) -> bool {
        let now = Instant::now();
        let silent = self.open.iter().filter(|(occupant, _)| occupant.is_silent()).count();
        let is_flood = silent * 2 > self.open.len();
        let all = self.open.iter().enumerate();
        let idle = all.filter_map(|(n, (occupant, _))| {
            occupant.rank(idle_min, now, is_flood).map(|rank| (rank, n))
        });
        let Some((_, number)) = idle.min() else { return false };
        drop(self.open.swap_remove(number));
        true
    }

    /// Runs the connection of `peer` as a task of its own.
    pub(super) fn start<F>(&mut self, peer: SocketAddr, converse: impl FnOnce(Rc<Occupant>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let occupant = Rc::new(Occupant::default());
        let conversation = converse(Rc::clone(&occupant));
        let task = spawn(async move {
            conversation.await;
            log::debug!("connection from {peer} closed");
        });
        self.open.push((occupant, task));
    }

    /// Asks all to end and waits for them, at most so long.
    pub(super) async fn stop(self, limit: Duration) {
        for (occupant, _) in &self.open {
            occupant.is_stopping.set(true);
            occupant.stop.notify();
        }
        let all = async {
            for (_, task) in self.open {
                task.await;
            }
        };
        timeout(limit, all).await.ok();
    }
}

/// The next connection, or None when it is time to stop.
pub(super) async fn accept(listener: &Listener, stop: &Notify) -> Option<(Stream, SocketAddr)> {
    let stopped = async {
        stop.notified().await;
        None
    };
    let (stream, peer) = either(async { Some(listener.accept().await) }, stopped).await?;
    log::debug!("connection from {peer} to {}", listener.local_addr());
    Some((stream, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_gives_way_and_the_young_and_the_used_go_last() {
        // When each began to wait, and whether it had a request before; in the order they go.
        let waits = [(1900, false), (1000, false), (9000, true), (1000, true), (999, false)];
        let now = Instant::now() + Duration::from_secs(10);
        let occupant = |(idle_ms, had_request)| {
            let occupant = Occupant::default();
            if had_request {
                occupant.set_idle(None);
            }
            occupant.set_idle(Some(now - Duration::from_millis(idle_ms)));
            occupant
        };
        let ranks = |idle_min| -> Vec<_> {
            let all = waits.iter().chain([(10, false), (999, true), (0, true)].iter());
            all.map(|wait| occupant(*wait).rank(idle_min, now, false)).collect()
        };
        let at_the_bound = ranks(Duration::ZERO);
        assert!(at_the_bound.is_sorted() && at_the_bound[0].is_some(), "{at_the_bound:?}");
        let for_memory = ranks(Duration::from_secs(5));
        let may_go: Vec<_> = for_memory.iter().map(Option::is_some).collect();
        assert_eq!(may_go, [true, true, true, false, true, true, false, false]);
        let busy = Occupant::default();
        busy.set_idle(None);
        assert_eq!(busy.rank(Duration::ZERO, now, false), None);
        assert_eq!(Occupant::default().rank(Duration::ZERO, now, false), None, "not begun");
    }

    #[test]
    fn a_flood_of_silent_newcomers_ends_itself() {
        crate::net::run(async {
            for silent in [4, 6] {
                let mut connections = Connections::new(10);
                for number in 0..10 {
                    let address = SocketAddr::from(([127, 0, 0, 1], number));
                    connections.start(address, |occupant| async move {
                        if number >= silent {
                            occupant.set_idle(None);
                        }
                        // Those that were used sleep for longer.
                        let sleeps_s = if number >= silent { 5 } else { 0 };
                        let ago = Duration::from_secs(sleeps_s);
                        occupant.set_idle(Instant::now().checked_sub(ago));
                        std::future::pending::<()>().await;
                    });
                }
                crate::net::yield_now().await;
                assert!(connections.close_longest_idle(Duration::ZERO));
                let left = connections.open.iter().filter(|(occupant, _)| occupant.is_silent());
                assert_eq!(left.count(), if silent == 6 { 5 } else { 4 });
            }
        });
    }
}
