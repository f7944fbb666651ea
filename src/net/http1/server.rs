//! The server: an accept loop, connections that are kept, and one async handler for all requests.
//!
//! Requests of one connection are answered in order (RFC 9112 §9.3); what a client pipelines waits.
//! Malformed requests are answered 400, 431, 501 or 505 and end the connection. At
//! [`CONNECTIONS_MAX`] the connection that has been idle for longest gives way; if none is idle the
//! newcomer is answered 503. Dropping the future of [`serve`] closes everything at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::incoming::{Connection, Incoming, Waits};
use crate::net::connections::{accept, Connections, Occupant};
use crate::net::{either, yield_now, Listener, Notify, Stream};

/// Connections open at once, of one listener.
pub const CONNECTIONS_MAX: usize = 64;

/// For requests under way when the server is told to stop.
const STOP_MAX: Duration = Duration::from_secs(5);

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

/// Accepts connections and answers their requests with `handler`, for ever.
pub async fn serve<H>(listener: Listener, handler: H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer + 'static,
{
    serve_until(listener, Waits::default(), Notify::default(), handler).await
}

/// As [`serve`], waiting for clients as long as told, until notified: then requests under way are
/// answered and all connections closed.
pub async fn serve_until<H>(listener: Listener, waits: Waits, stop: Notify, handler: H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer + 'static,
{
    let handler = Rc::new(handler);
    let mut connections = Connections::new(CONNECTIONS_MAX);
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        if !connections.has_room() {
            // Best effort: a fresh connection takes such a short answer at once.
            refuse(stream).await;
            continue;
        }
        let connection = Connection::new(stream, waits);
        let handler = Rc::clone(&handler);
        connections.start(peer, |occupant| async move {
            converse(connection, &occupant, &*handler).await
        });
        yield_now().await;
    }
    drop(listener);
    connections.stop(STOP_MAX).await;
}

async fn refuse(mut stream: Stream) {
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = smol::future::poll_once(stream.write_all(&[answer])).await;
}

/// Serves one connection until one side has had enough.
async fn converse<H>(mut connection: Connection, occupant: &Occupant, handler: &H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer,
{
    loop {
        yield_now().await;
        occupant.set_idle(Some(Instant::now()));
        let stopped = async {
            occupant.stopped().await;
            None
        };
        let begun = match either(connection.next_head(), stopped).await {
            // A request that is here already is answered.
            None => connection.head_at_hand().await,
            begun => begun,
        };
        let Some(begun) = begun else { return };
        occupant.set_idle(None);
        let refusal = match begun.and_then(|head| Incoming::new(&mut connection, head)) {
            Ok(mut incoming) => {
                let answer = handler(&mut incoming).await;
                if incoming.answer(&answer, !occupant.is_stopping()).await {
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
