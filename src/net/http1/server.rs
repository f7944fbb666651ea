//! The server: an accept loop, connections that are kept, and one async handler for all requests.
//!
//! Requests of one connection are answered in order (RFC 9112 §9.3); what a client pipelines waits.
//! Malformed requests are answered 400, 431, 501 or 505 and end the connection. At
//! [`CONNECTIONS_MAX`] the connection that has been idle for longest gives way; if none is idle the
//! newcomer is answered 503. Dropping the future of [`serve`] closes everything.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::incoming::{Connection, Incoming, Waits};
use crate::net::{spawn, yield_now, Listener, Stream, Task};

/// Connections open at once, of one listener.
pub const CONNECTIONS_MAX: usize = 64;

/// What a handler answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Empty leaves the header out.
    pub content_type: &'static str,
    /// Further header lines, each ended by CRLF.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// One line of plain text.
    pub fn text(status: u16, line: impl Into<String>) -> Answer {
        let mut body = line.into().into_bytes();
        body.push(b'\n');
        let content_type = "text/plain; charset=utf-8";
        Answer { status, content_type, headers: String::new(), body }
    }

    /// The path exists, but not for this method; `allowed` is a list such as `GET, HEAD`.
    pub fn method_not_allowed(allowed: &str) -> Answer {
        let headers = format!("Allow: {allowed}\r\n");
        Answer { headers, ..Answer::text(405, format!("only {allowed}")) }
    }
}

/// One open connection: its task, and since when it has waited for a request.
struct Slot {
    task: Task<()>,
    idle_since: Rc<Cell<Option<Instant>>>,
}

/// Accepts connections and answers their requests with `handler`, for ever.
pub async fn serve<H>(listener: Listener, handler: H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer + 'static,
{
    serve_patiently(listener, Waits::default(), handler).await
}

/// As [`serve`], waiting for clients as long as told.
pub async fn serve_patiently<H>(listener: Listener, waits: Waits, handler: H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer + 'static,
{
    let handler = Rc::new(handler);
    let mut slots: Vec<Slot> = Vec::new();
    loop {
        let (stream, _) = listener.accept().await;
        slots.retain(|slot| !slot.task.is_finished());
        if slots.len() >= CONNECTIONS_MAX && !close_longest_idle(&mut slots) {
            // Best effort: a fresh connection takes such a short answer at once.
            refuse(stream).await;
            continue;
        }
        let connection = Connection::new(stream, waits);
        let idle_since = Rc::new(Cell::new(None));
        let (shared, handler) = (Rc::clone(&idle_since), Rc::clone(&handler));
        let task = spawn(async move { converse(connection, &shared, &*handler).await });
        slots.push(Slot { task, idle_since });
        yield_now().await;
    }
}

/// Makes room; false when every connection is busy with a request.
fn close_longest_idle(slots: &mut Vec<Slot>) -> bool {
    let idle = slots.iter().enumerate().filter_map(|(n, slot)| Some((slot.idle_since.get()?, n)));
    match idle.min() {
        Some((_, number)) => {
            drop(slots.swap_remove(number));
            true
        }
        None => false,
    }
}

async fn refuse(mut stream: Stream) {
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = smol::future::poll_once(stream.write_all(&[answer])).await;
}

/// Serves one connection until one side has had enough.
async fn converse<H>(mut connection: Connection, idle_since: &Cell<Option<Instant>>, handler: &H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer,
{
    loop {
        yield_now().await;
        idle_since.set(Some(Instant::now()));
        let Some(begun) = connection.next_head().await else { return };
        idle_since.set(None);
        let refusal = match begun.and_then(|head| Incoming::new(&mut connection, head)) {
            Ok(mut incoming) => {
                let answer = handler(&mut incoming).await;
                if incoming.answer(&answer).await {
                    continue;
                }
                None
            }
            Err(answer) => Some(answer),
        };
        return connection.close(refusal).await;
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
