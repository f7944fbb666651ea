//! The loop's own epoll(7): sockets that wait often, and where the thread sleeps.
//!
//! A connection is registered once, edge-triggered, and what is known of it is kept: whether the
//! next call may find something. So a wait costs no system call of its own, and neither does a
//! sleep beside epoll_wait(2). async-io arms a descriptor anew for each wait and its timer and
//! notifier for each sleep, which for a relayed request is more than reading and writing it; what
//! waits once in a while is left to it: accepting, connecting, names, signals, standard output.
//!
//! async-io then works on its helper thread, whose only deed here is [`Unpark::wake_by_ref`].
//!
//! Invariant: "may find something" is false only if the system has said since that there is
//! nothing, and each edge makes it true again.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags, Timespec};
use rustix::io::Errno;

/// Events taken from the system at once.
const EVENTS_MAX: usize = 64;

/// The longest sleep, well inside what epoll_wait(2) can be told.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Of a connection: each change is told once.
const CHANGES: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// Of a datagram socket: input is told once after each wait, and nothing while nobody waits.
const ONE_INPUT: EventFlags = EventFlags::IN.union(EventFlags::ONESHOT);

/// The number of the descriptor through which other threads end a sleep.
const UNPARK: u64 = u64::MAX;

/// One thread's epoll.
pub(super) struct Epoll {
    epoll: OwnedFd,
    /// By the numbers given to epoll; free ones are taken again.
    watched: RefCell<Vec<Option<Rc<Readiness>>>>,
    events: RefCell<Vec<epoll::Event>>,
    unpark: Arc<Unpark>,
}

thread_local! {
    pub(super) static EPOLL: Epoll = Epoll::new().unwrap_or_else(|error| give_up(error));
}

/// Without it there is nothing that the program could do.
fn give_up(error: io::Error) -> ! {
    log::error!("cannot wait for sockets: {error}");
    std::process::exit(1);
}

impl Epoll {
    fn new() -> io::Result<Epoll> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Each write is an edge of its own: nobody has to read it.
        epoll::add(&epoll, &eventfd, EventData::new_u64(UNPARK), EventFlags::IN | EventFlags::ET)?;
        let thread = std::thread::current().id();
        let unpark = Arc::new(Unpark { is_woken: AtomicBool::new(false), thread, eventfd });
        let events = RefCell::new(Vec::with_capacity(EVENTS_MAX));
        Ok(Epoll { epoll, watched: RefCell::default(), events, unpark })
    }

    /// Ends a sleep of this thread.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.unpark))
    }

    /// Forgets calls of the waker so far, before what they are about is looked at.
    pub fn stay_awake(&self) {
        self.unpark.is_woken.store(false, Ordering::SeqCst);
    }

    /// Sleeps until a socket is ready, the waker is called, or for `limit`; wakes who waited. Does
    /// not sleep if the waker was called since [`Epoll::stay_awake`].
    pub fn sleep(&self, limit: Option<Duration>) {
        let limit = match self.unpark.is_woken.load(Ordering::SeqCst) {
            true => Some(Duration::ZERO),
            false => limit.map(|limit| limit.min(SLEEP_MAX)),
        };
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut events = self.events.borrow_mut();
        events.clear();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, spare, limit.as_ref()) {
            // A signal's handler ran.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => give_up(error.into()),
        }
        for event in events.iter() {
            // A packed structure: its fields are copied out.
            let (data, flags) = (event.data, event.flags);
            let readiness = self.watched.borrow().get(data.u64() as usize).cloned();
            // None is the waker, whose call is an end in itself, or a socket closed meanwhile.
            if let Some(Some(readiness)) = readiness {
                readiness.tell(flags);
            }
        }
    }

    fn add(&self, socket: impl AsFd, flags: EventFlags) -> io::Result<(usize, Rc<Readiness>)> {
        let readiness = Rc::new(Readiness::default());
        let mut watched = self.watched.borrow_mut();
        let number = watched.iter().position(Option::is_none).unwrap_or(watched.len());
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), flags)?;
        let entry = Some(Rc::clone(&readiness));
        match watched.get_mut(number) {
            Some(free) => *free = entry,
            None => watched.push(entry),
        }
        Ok((number, readiness))
    }

    fn arm(&self, socket: impl AsFd, number: usize) {
        // Cannot fail for a socket that is registered (epoll_ctl(2)).
        let _ = epoll::modify(&self.epoll, socket, EventData::new_u64(number as u64), ONE_INPUT);
    }

    fn remove(&self, socket: impl AsFd, number: usize) {
        // It is closed next, so that a failure would make no difference.
        let _ = epoll::delete(&self.epoll, socket);
        self.watched.borrow_mut()[number] = None;
    }
}

/// How other threads, and tasks of this one, end a sleep.
struct Unpark {
    is_woken: AtomicBool,
    /// The one that sleeps; awake while it calls itself.
    thread: ThreadId,
    eventfd: OwnedFd,
}

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Unpark>) {
        let was_woken = self.is_woken.swap(true, Ordering::SeqCst);
        if !was_woken && std::thread::current().id() != self.thread {
            // Fails only if 2⁶⁴ writes have not been read.
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }
}

/// What is known of a socket, and who waits for more.
#[derive(Debug, Default)]
struct Readiness {
    input: Direction,
    output: Direction,
    /// The peer has finished or the connection failed: no edge will follow.
    is_over: Cell<bool>,
}

impl Readiness {
    fn tell(&self, flags: EventFlags) {
        let over = EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
        if flags.intersects(over) {
            self.is_over.set(true);
        }
        if flags.intersects(EventFlags::IN | over) {
            self.input.tell();
        }
        if flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR) {
            self.output.tell();
        }
    }
}

#[derive(Debug)]
struct Direction {
    may_be_ready: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Default for Direction {
    /// Worth a try: a request often comes with its connection.
    fn default() -> Direction {
        Direction { may_be_ready: Cell::new(true), waiter: RefCell::default() }
    }
}

impl Direction {
    fn tell(&self) {
        self.may_be_ready.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.may_be_ready.get() {
            return Poll::Ready(());
        }
        let mut waiter = self.waiter.borrow_mut();
        match &mut *waiter {
            Some(waiter) => waiter.clone_from(context.waker()),
            None => *waiter = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Calls until the system has an answer.
    fn poll_with<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(self.poll_ready(context));
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_be_ready.set(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// A non-blocking socket on this thread's epoll. One task can wait for input and one for output.
#[derive(Debug)]
pub(super) struct Watched<T: AsFd> {
    socket: T,
    number: usize,
    /// Each wait arms it anew.
    is_armed_by_wait: bool,
    readiness: Rc<Readiness>,
}

impl<T: AsFd> Watched<T> {
    /// Makes a connection non-blocking and registers it.
    pub fn connection(socket: T) -> io::Result<Watched<T>> {
        Watched::new(socket, CHANGES)
    }

    /// The same for a socket that only receives, and whose input does not end a sleep as long as
    /// nobody waits for it: see [`Watched::poll_readable`].
    pub fn receiver(socket: T) -> io::Result<Watched<T>> {
        Watched::new(socket, ONE_INPUT)
    }

    fn new(socket: T, flags: EventFlags) -> io::Result<Watched<T>> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let (number, readiness) = EPOLL.with(|epoll| epoll.add(&socket, flags))?;
        let is_armed_by_wait = flags.contains(EventFlags::ONESHOT);
        Ok(Watched { socket, number, is_armed_by_wait, readiness })
    }

    pub fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Ready when input may be there.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let is_ready = self.readiness.input.poll_ready(context);
        if is_ready.is_pending() && self.is_armed_by_wait {
            EPOLL.with(|epoll| epoll.arm(&self.socket, self.number));
        }
        is_ready
    }

    /// Calls until there is input; `call` must not block.
    pub fn poll_input<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.readiness.input.poll_with(context, || call(&self.socket))
    }

    /// Calls until output is taken; `call` must not block.
    pub fn poll_output<R>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.readiness.output.poll_with(context, || call(&self.socket))
    }

    /// Notes that a call outside of [`Watched::poll_input`] would have blocked.
    pub fn input_is_empty(&self) {
        self.readiness.input.may_be_ready.set(false);
    }

    /// Notes that a stream gave less than was asked for: that was all there is until the next edge,
    /// unless the last one has been (epoll(7), question 9). A read also stops at urgent data
    /// (tcp(7)), which no protocol here has: a peer that sends it waits for its next segment.
    pub fn input_was_short(&self) {
        if !self.readiness.is_over.get() {
            self.input_is_empty();
        }
    }

    /// Has the next call ask the system, whatever was known before.
    pub fn doubt_input(&self) {
        self.readiness.input.may_be_ready.set(true);
    }
}

impl<T: AsFd> Drop for Watched<T> {
    fn drop(&mut self) {
        // A task that outlives the loop's thread has nothing to deregister from.
        let _ = EPOLL.try_with(|epoll| epoll.remove(&self.socket, self.number));
    }
}

#[cfg(test)]
#[path = "epoll_tests.rs"]
mod tests;
