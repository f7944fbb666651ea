//! The server: an accept loop, one task for each connection and one for each call on it.
//!
//! What a connection may hold is bounded by h2 under the limits below, and held in the memory
//! budget for as long as it is open; where there is no room, or at [`CONNECTIONS_MAX`], the
//! connection that has been idle for longest gives way. Told to stop, the server sends GOAWAY and
//! lets the calls under way finish (RFC 9113 §6.8).

use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::{describe, Socket};
use crate::net::connections::{accept, Connections, Occupant};
use crate::net::{sleep_until, spawn, timeout, yield_now, Listener, Notify, Task};
use crate::observe::{Budget, Counter, Reservation};

/// Connections open at once, of one listener.
pub const CONNECTIONS_MAX: usize = 64;

/// Calls under way on one connection; the peer is told, and more are refused.
pub const STREAMS_MAX: u32 = 100;

/// Decoded header list of one call, 32 bytes per line included; a longer one is answered 431, one
/// of four times that ends the connection.
pub const HEADER_LIST_BYTES_MAX: u32 = 8 * 1024;

/// Longest frame, the least that RFC 9113 §4.2 allows.
const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// Data on its way to the calls of a connection, and to each of them (RFC 9113 §6.9.2). It is the
/// protocol's default; over loopback more buys no speed.
pub const WINDOW_BYTES: u32 = 65_535;

/// What small DATA frames may cost beside their data; more at once ends the connection.
pub const FRAME_OVERHEAD_BYTES_MAX: usize = 512 * 1024;

/// Calls that the peer opened and reset before they were looked at; more end the connection
/// (CVE-2023-44487, rapid reset).
const PENDING_RESETS_MAX: usize = 20;

/// Calls that had to be reset for the peer's faults; more end the connection.
const FAULTY_STREAMS_MAX: usize = 256;

/// Calls of the peer's that are remembered after their reset, for frames that were under way.
const RESETS_REMEMBERED_MAX: usize = 20;

/// Answers of one call on their way out.
const SEND_BYTES_MAX: usize = 16 * 1024;

/// HPACK's dynamic table (RFC 7541 §4.2), the default.
const HEADER_TABLE_BYTES: u32 = 4096;

/// What an open connection is held in the budget for: window, one frame in, one out, tables.
pub const CONNECTION_BYTES: u64 =
    WINDOW_BYTES as u64 + 3 * FRAME_BYTES_MAX as u64 + 2 * HEADER_TABLE_BYTES as u64;

/// Where memory is short, a connection that had calls gives way only after so long without.
const GIVE_WAY_AFTER: Duration = Duration::from_secs(1);

/// How long a server waits for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// For the client's preface; then the connection is closed.
    pub handshake_ms_max: u64,
    /// Without a call; then GOAWAY.
    pub idle_ms_max: u64,
    /// For the peer to take answers that are ready; then the connection is closed.
    pub stall_ms_max: u64,
    /// Between GOAWAY and the end.
    pub drain_ms_max: u64,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits {
            handshake_ms_max: 10_000,
            idle_ms_max: 300_000,
            stall_ms_max: 10_000,
            drain_ms_max: 5_000,
        }
    }
}

/// What all connections of a listener share.
#[derive(Clone)]
pub struct Server {
    pub waits: Waits,
    pub budget: Rc<Budget>,
    /// Connections that are open (a gauge), that found no room, and that ended for a fault.
    pub connections: Counter,
    pub refused: Counter,
    pub faulty: Counter,
}

/// The head of a call. It may be some KiB large: take from it what is needed and let it go.
pub struct Head(http::request::Parts);

impl Head {
    pub fn method(&self) -> &str {
        self.0.method.as_str()
    }

    pub fn path(&self) -> &str {
        self.0.uri.path()
    }

    /// The first header with this name, which must be lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }
}

/// What a call is answered. Without body and trailers it is one HEADERS frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(&'static str, String)>,
}

/// A call under way; dropping it unanswered resets it.
pub struct Call {
    body: RecvStream,
    reply: SendResponse<Bytes>,
}

impl Call {
    /// The next piece of the body, which makes room for another; None at its end. The error says
    /// how the call ended before that.
    pub async fn read(&mut self) -> Result<Option<Bytes>, String> {
        match poll_fn(|context| self.body.poll_data(context)).await {
            Some(Ok(data)) => {
                // Fails for a stream that was reset: the next read says so.
                let _ = self.body.flow_control().release_capacity(data.len());
                Ok(Some(data))
            }
            Some(Err(error)) => Err(describe(&error)),
            None => Ok(None),
        }
    }

    /// Answers. A body that the peer is still sending is told to stop (RFC 9113 §8.1).
    pub fn answer(mut self, answer: Answer) {
        let Answer { status, headers, body, trailers } = answer;
        let mut response = Response::new(());
        *response.status_mut() = status.try_into().unwrap_or(http::StatusCode::IM_A_TEAPOT);
        *response.headers_mut() = header_map(headers);
        let is_head_only = body.is_empty() && trailers.is_empty();
        // Errors mean that the peer has gone: there is nobody to tell.
        let Ok(mut stream) = self.reply.send_response(response, is_head_only) else { return };
        if !body.is_empty() {
            let _ = stream.send_data(Bytes::from(body), trailers.is_empty());
        }
        if !trailers.is_empty() {
            let _ = stream.send_trailers(header_map(trailers));
        }
    }

    /// Ends the call without an answer.
    pub fn cancel(mut self) {
        self.reply.send_reset(Reason::CANCEL);
    }
}

/// Fields that HTTP does not allow are left out.
fn header_map(fields: Vec<(&'static str, String)>) -> HeaderMap {
    let convert = |(name, value): (&'static str, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    fields.into_iter().filter_map(convert).collect()
}

/// Accepts connections and gives their calls to `handler`, each in a task of its own, until
/// notified; then what is under way may finish. A call's task is dropped with its connection.
pub async fn serve_until<H>(listener: Listener, server: Server, stop: Notify, handler: H)
where
    H: AsyncFn(Head, Call) + 'static,
{
    let handler = Rc::new(handler);
    let mut connections = Connections::new(CONNECTIONS_MAX);
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        let mut held = server.budget.reservation();
        let fits = connections.has_room()
            && (held.try_resize(CONNECTION_BYTES) || {
                connections.close_longest_idle(GIVE_WAY_AFTER);
                // The closed one's memory comes back when its task is run a last time.
                yield_now().await;
                held.try_resize(CONNECTION_BYTES)
            });
        if !fits {
            server.refused.increment();
            log::warn!("{}: no room for another connection", listener.local_addr());
            continue;
        }
        let (server, handler) = (server.clone(), Rc::clone(&handler));
        let socket = Socket::new(stream);
        connections.start(peer, |occupant| async move {
            let _open = Open::new(server.connections.clone(), held);
            let ended = converse(socket, &server, &occupant, handler).await;
            if let Err(reason) = ended {
                server.faulty.increment();
                log::debug!("http/2 connection: {reason}");
            }
        });
        yield_now().await;
    }
    drop(listener);
    connections.stop(Duration::from_millis(server.waits.drain_ms_max)).await;
}

/// Counts an open connection and holds its memory.
struct Open {
    count: Counter,
    _held: Reservation,
}

impl Open {
    fn new(count: Counter, held: Reservation) -> Open {
        count.set(count.value() + 1.0);
        Open { count, _held: held }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.value() - 1.0);
    }
}

/// Serves one connection to its end; the error says whose fault the end is.
async fn converse<H>(
    socket: Socket,
    server: &Server,
    occupant: &Occupant,
    handler: Rc<H>,
) -> Result<(), String>
where
    H: AsyncFn(Head, Call) + 'static,
{
    let ms = Duration::from_millis;
    let waits = server.waits;
    occupant.set_idle(Some(Instant::now()));
    let handshake = limits().handshake(socket);
    let Ok(h2) = timeout(ms(waits.handshake_ms_max), handshake).await else {
        return Err("no preface in time".to_owned());
    };
    let h2 = h2.map_err(|error| describe(&error))?;
    let mut conversation = Conversation::new(h2);
    let mut drained_by = None;
    loop {
        let quiet_since = conversation.quiet_since;
        occupant.set_idle((!conversation.is_busy).then_some(quiet_since));
        let has_answers = conversation.h2.has_streams();
        let due = match (drained_by, has_answers) {
            (Some(due), _) => due,
            (None, false) => quiet_since + ms(waits.idle_ms_max),
            (None, true) => quiet_since + ms(waits.stall_ms_max),
        };
        // A call that has begun takes what was read for it before more is read.
        yield_now().await;
        match conversation.next(due, drained_by.is_some(), occupant).await {
            Event::Call(head, call) => {
                let handler = Rc::clone(&handler);
                conversation.start(async move { (*handler)(head, call).await });
            }
            Event::Ended => conversation.reap(),
            Event::End(result) => return result,
            Event::Late if drained_by.is_some() => return Ok(()),
            Event::Late if conversation.h2.has_streams() && has_answers => {
                return Err("the peer does not take its answers".to_owned());
            }
            Event::Late if has_answers => {}
            Event::Late | Event::Stop => {
                conversation.h2.graceful_shutdown();
                drained_by = Some(Instant::now() + ms(waits.drain_ms_max));
            }
        }
    }
}

/// h2's settings: each of them is a bound.
fn limits() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .data_frame_budget(FRAME_OVERHEAD_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX))
        .max_concurrent_reset_streams(RESETS_REMEMBERED_MAX)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .header_table_size(HEADER_TABLE_BYTES);
    builder
}

/// What happens on a connection.
// It lives for a moment on the stack: the size of the largest does not matter.
#[allow(clippy::large_enum_variant)]
enum Event {
    Call(Head, Call),
    /// Calls have ended.
    Ended,
    Stop,
    /// The time was up.
    Late,
    End(Result<(), String>),
}

struct Conversation {
    h2: Connection<Socket, Bytes>,
    calls: Vec<Task<()>>,
    /// Told by each call at its end.
    ended: Notify,
    is_busy: bool,
    /// When the last call ended.
    quiet_since: Instant,
}

impl Conversation {
    fn new(h2: Connection<Socket, Bytes>) -> Conversation {
        let (calls, ended, quiet_since) = (Vec::new(), Notify::default(), Instant::now());
        Conversation { h2, calls, ended, is_busy: false, quiet_since }
    }

    fn start(&mut self, call: impl Future<Output = ()> + 'static) {
        let ended = self.ended.clone();
        self.calls.push(spawn(async move {
            call.await;
            ended.notify();
        }));
        self.is_busy = true;
    }

    /// Moves bytes until something happens. The time is up at `due`; not for calls under way, which
    /// have limits of their own, unless the connection `is_draining`.
    async fn next(&mut self, due: Instant, is_draining: bool, occupant: &Occupant) -> Event {
        let mut late = sleep_until(due);
        let ended = self.ended.clone();
        let (mut stopped, mut ended) = (pin!(occupant.stopped()), pin!(ended.notified()));
        poll_fn(|context| {
            if stopped.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Stop);
            }
            if ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Ended);
            }
            if let Poll::Ready(event) = self.poll_h2(context) {
                return Poll::Ready(event);
            }
            if self.is_busy && !is_draining {
                return Poll::Pending;
            }
            Pin::new(&mut late).poll(context).map(|()| Event::Late)
        })
        .await
    }

    /// Forgets calls that have ended.
    fn reap(&mut self) {
        self.calls.retain(|task| !task.is_finished());
        if self.is_busy && self.calls.is_empty() {
            self.is_busy = false;
            self.quiet_since = Instant::now();
        }
    }

    fn poll_h2(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        // Tasks of calls that were reset end a moment later than h2 forgets them.
        if self.calls.len() >= STREAMS_MAX as usize {
            let ended = self.h2.poll_closed(context);
            return ended.map(|end| Event::End(end.map_err(|error| describe(&error))));
        }
        self.h2.poll_accept(context).map(|accepted| match accepted {
            Some(Ok((request, reply))) => {
                let (head, body) = request.into_parts();
                Event::Call(Head(head), Call { body, reply })
            }
            Some(Err(error)) if error.is_io() => Event::End(Ok(())),
            Some(Err(error)) => Event::End(Err(describe(&error))),
            None => Event::End(Ok(())),
        })
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
