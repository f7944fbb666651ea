//! The loop's own epoll(7): sockets that wait often, and where the thread sleeps.
//!
//! A socket is registered once, edge-triggered, and what is known of it is kept: whether the next
//! call may find something. So a wait costs no system call of its own, and neither does a sleep
//! beside epoll_wait(2). async-io arms a descriptor anew for each wait and its timer and notifier
//! for each sleep, which for a relayed request is more than reading and writing it; what waits
//! once in a while is left to it: accepting, connecting, names, signals, standard output.
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

/// Events taken from the system at once.
const EVENTS_MAX: usize = 64;

/// The longest sleep, well inside what epoll_wait(2) can be told.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
    static EPOLL: Epoll = Epoll::new().unwrap_or_else(|error| {
        log::error!("cannot wait for sockets: {error}");
        std::process::exit(1);
    });
}

/// Calls `step` with this thread's epoll.
pub(super) fn with_epoll<T>(step: impl FnOnce(&Epoll) -> T) -> T {
    EPOLL.with(step)
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
        // Interrupted by a signal is awake; nothing else can fail here (epoll_wait(2)).
        let _ = epoll::wait(&self.epoll, spare, limit.as_ref());
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

    fn add(&self, socket: impl AsFd) -> io::Result<(usize, Rc<Readiness>)> {
        let readiness = Rc::new(Readiness::default());
        let mut watched = self.watched.borrow_mut();
        let number = watched.iter().position(Option::is_none).unwrap_or(watched.len());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), flags)?;
        let entry = Some(Rc::clone(&readiness));
        match watched.get_mut(number) {
            Some(free) => *free = entry,
            None => watched.push(entry),
        }
        Ok((number, readiness))
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
    readiness: Rc<Readiness>,
}

impl<T: AsFd> Watched<T> {
    /// Makes it non-blocking and registers it.
    pub fn new(socket: T) -> io::Result<Watched<T>> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let (number, readiness) = EPOLL.with(|epoll| epoll.add(&socket))?;
        Ok(Watched { socket, number, readiness })
    }

    pub fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Ready when input may be there.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.readiness.input.poll_ready(context)
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
    /// unless the last one has been (epoll(7), question 9).
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
mod tests {
    use super::*;
    use crate::net::{run, sleep, spawn, yield_now};
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::task::Poll;

    fn pair() -> (TcpStream, Rc<Watched<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (own, _) = listener.accept().unwrap();
        (peer, Rc::new(Watched::new(own).unwrap()))
    }

    /// At most so many bytes, as a stream reads them.
    async fn read(socket: &Watched<TcpStream>, bytes_max: usize) -> Vec<u8> {
        let mut bytes = vec![0; bytes_max];
        let read =
            poll_fn(|context| socket.poll_input(context, |mut stream| stream.read(&mut bytes)));
        let count = read.await.unwrap();
        if (1..bytes_max).contains(&count) {
            socket.input_was_short();
        }
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn input_wakes_who_waits_for_it_each_time() {
        let (mut peer, own) = pair();
        run(async {
            let reader = {
                let own = Rc::clone(&own);
                spawn(async move {
                    let (first, second) = (read(&own, 10).await, read(&own, 2).await);
                    [first, second, read(&own, 10).await]
                })
            };
            for text in ["one", "two!"] {
                sleep(Duration::from_millis(2)).await;
                assert!(!reader.is_finished());
                peer.write_all(text.as_bytes()).unwrap();
            }
            assert_eq!(reader.await, [b"one".to_vec(), b"tw".to_vec(), b"o!".to_vec()]);
        });
    }

    #[test]
    fn an_end_that_came_with_the_last_bytes_is_seen_behind_them() {
        run(async {
            for pause_ms in [0, 2] {
                let (mut peer, own) = pair();
                peer.write_all(b"last").unwrap();
                drop(peer);
                // With a pause, the one edge tells of both.
                sleep(Duration::from_millis(pause_ms)).await;
                assert_eq!(read(&own, 10).await, b"last");
                assert_eq!(read(&own, 10).await, b"");
            }
            // And one that comes while its reader waits.
            let (peer, own) = pair();
            let reader = spawn(async move { read(&own, 10).await });
            sleep(Duration::from_millis(2)).await;
            drop(peer);
            assert_eq!(reader.await, b"");
        });
    }

    #[test]
    fn output_that_was_not_taken_goes_on_when_the_peer_has_read() {
        const BYTES: usize = 32 << 20;
        let (mut peer, own) = pair();
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        run(async {
            let chunk = vec![7; BYTES];
            let (mut sent, mut waits) = (0, 0);
            while sent < BYTES {
                sent += poll_fn(|context| {
                    let written = own.poll_output(context, |mut own| own.write(&chunk[sent..]));
                    waits += usize::from(written.is_pending());
                    written
                })
                .await
                .unwrap();
            }
            assert!(waits > 0, "more than the system takes at once");
        });
        drop(own);
        assert_eq!(reading.join().unwrap(), BYTES);
    }

    #[test]
    fn a_reset_wakes_reader_and_writer() {
        let (peer, own) = pair();
        rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
        run(async {
            let error = |own: Rc<Watched<TcpStream>>, is_output: bool| async move {
                let fails = |context: &mut Context<'_>| match is_output {
                    true => own.poll_output(context, |mut own| own.write(&[0; 65_536])),
                    false => own.poll_input(context, |mut own| own.read(&mut [0])),
                };
                loop {
                    // What is written before the reset fills the system's buffers.
                    match poll_fn(fails).await {
                        Ok(count) if count > 0 => {}
                        ended => return ended.map_err(|error| error.kind()),
                    }
                }
            };
            let writer = spawn(error(Rc::clone(&own), true));
            let reader = spawn(error(own, false));
            sleep(Duration::from_millis(5)).await;
            assert!(!writer.is_finished() && !reader.is_finished());
            drop(peer);
            // One of them gets the reset itself, the other what is left: an end, a broken pipe.
            let ends = [reader.await, writer.await];
            assert!(ends.contains(&Err(io::ErrorKind::ConnectionReset)), "{ends:?}");
        });
    }

    #[test]
    fn a_free_number_is_taken_again_and_hears_nothing_old() {
        run(async {
            let (mut first_peer, first) = pair();
            let number = first.number;
            first_peer.write_all(b"old").unwrap();
            drop(first);
            let (mut peer, second) = pair();
            assert_eq!(second.number, number);
            let reader = spawn(async move { read(&second, 10).await });
            sleep(Duration::from_millis(2)).await;
            assert!(!reader.is_finished());
            peer.write_all(b"new").unwrap();
            assert_eq!(reader.await, b"new");
        });
    }

    #[test]
    fn sockets_are_looked_at_while_tasks_are_busy() {
        let (mut peer, own) = pair();
        run(async {
            let busy = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let reader = spawn(async move { read(&own, 10).await });
            sleep(Duration::from_millis(2)).await;
            peer.write_all(b"here").unwrap();
            assert_eq!(reader.await, b"here");
            drop(busy);
        });
    }

    #[test]
    fn another_thread_ends_a_sleep_and_an_earlier_call_prevents_it() {
        with_epoll(|epoll| {
            epoll.stay_awake();
            epoll.waker().wake();
            epoll.sleep(None);
            epoll.stay_awake();
            let waker = epoll.waker();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                waker.wake();
            });
            epoll.sleep(None);
            thread.join().unwrap();
        });
    }

    #[test]
    fn doubt_asks_the_system_again() {
        let (peer, own) = pair();
        run(async {
            let poll_read = async |expected: bool| {
                let is_ready = poll_fn(|context| {
                    let read = own.poll_input(context, |mut own| own.read(&mut [0]));
                    Poll::Ready(read.is_ready())
                });
                assert_eq!(is_ready.await, expected);
            };
            poll_read(false).await;
            drop(peer);
            // Known only once the loop has slept.
            poll_read(false).await;
            own.doubt_input();
            poll_read(true).await;
        });
    }
}
