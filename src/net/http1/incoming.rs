//! The server's side of one connection: requests in, their bodies, answers out.
//!
//! Each wait has its own limit. A body that the handler did not read is read and dropped if it is
//! short; after an answer that ends the connection, what the client still sends is drained for a
//! moment, since closing over unread bytes would reset the connection and destroy the answer.

use std::future::{poll_fn, Future};
use std::io;
use std::time::{Duration, Instant};

use super::body::BodyDecoder;
use super::head::{head_len, Framing, HeadError, RequestHead, REQUEST_HEAD_BYTES_MAX};
use super::server::Answer;
use crate::net::{timeout, timeout_at, yield_now, Stream};

/// How long a server waits for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Between requests; then the connection is closed.
    pub idle_ms_max: u64,
    /// From the first byte of a request to the end of its head; then 408.
    pub head_ms_max: u64,
    /// For reading a body; then 408.
    pub body_ms_max: u64,
    /// For writing an answer; then the connection is closed.
    pub write_ms_max: u64,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits {
            idle_ms_max: 60_000,
            head_ms_max: 10_000,
            body_ms_max: 30_000,
            write_ms_max: 10_000,
        }
    }
}

/// Unread rest of a body that is dropped to keep the connection; with more it is closed.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// How much and how long is drained before closing.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
const LINGER_MS_MAX: u64 = 1_000;

/// Bytes read at once.
const READ_BYTES: usize = 8192;

/// Bytes of a body read at once.
const PART_BYTES_MAX: usize = 64 * 1024;

/// A connection, and bytes read but not used.
pub(super) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    waits: Waits,
}

impl Connection {
    pub(super) fn new(stream: Stream, waits: Waits) -> Connection {
        Connection { stream, buffer: Vec::new(), waits }
    }

    /// The next request's head, or the answer to a malformed one; None when no request comes.
    pub(super) async fn next_head(&mut self) -> Option<Result<RequestHead, Answer>> {
        // Only blank lines may precede a request (RFC 9112 §2.2).
        while self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.buffer = Vec::new();
            match within(self.waits.idle_ms_max, self.read_more(READ_BYTES)).await {
                Some(Ok(1..)) => {}
                _ => return None,
            }
        }
        match within(self.waits.head_ms_max, self.read_head()).await {
            Some(result) => result,
            None => Some(Err(Answer::text(408, "the request's head took too long"))),
        }
    }

    /// The same if the system has it at this moment.
    pub(super) async fn head_at_hand(&mut self) -> Option<Result<RequestHead, Answer>> {
        self.stream.doubt_input();
        smol::future::poll_once(self.next_head()).await.flatten()
    }

    async fn read_head(&mut self) -> Option<Result<RequestHead, Answer>> {
        let mut scanned = 0;
        loop {
            match head_len(&self.buffer, scanned) {
                Some(len) if len <= REQUEST_HEAD_BYTES_MAX => {
                    let head = RequestHead::parse(&self.buffer[..len]);
                    self.buffer.drain(..len);
                    return Some(head.map_err(bad_head));
                }
                None if self.buffer.len() < REQUEST_HEAD_BYTES_MAX => {}
                _ => return Some(Err(Answer::text(431, "the request's head is too long"))),
            }
            scanned = self.buffer.len();
            match self.read_more(READ_BYTES).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// Reads what is there, at most `bytes_max`; an idle connection has no buffer.
    async fn read_more(&mut self, bytes_max: usize) -> io::Result<usize> {
        let Connection { stream, buffer, .. } = self;
        poll_fn(|context| {
            let read = stream.poll_append(context, buffer, bytes_max);
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
            read
        })
        .await
    }

    /// The same to the end of `body`.
    async fn read_to(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
        poll_fn(|context| self.stream.poll_append(context, body, bytes_max)).await
    }

    /// Writes an answer; false when that failed.
    async fn write(&mut self, answer: &Answer, method: &str, keep: bool) -> bool {
        let Answer { status, content_type, headers, body } = answer;
        debug_assert!(headers.is_empty() || headers.ends_with("\r\n"), "{headers}");
        let mut head = format!("HTTP/1.1 {status} {}\r\n{headers}", reason(*status));
        if !content_type.is_empty() {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        if *status != 204 && *status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str(if keep { "\r\n" } else { "Connection: close\r\n\r\n" });
        let has_body = method != "HEAD" && *status != 204 && *status != 304;
        let body: &[u8] = if has_body { body } else { &[] };
        let pieces = [head.as_bytes(), body];
        matches!(
            within(self.waits.write_ms_max, self.stream.write_all(&pieces)).await,
            Some(Ok(()))
        )
    }

    /// Closes, after a last answer if one is given, so that the client can still read it.
    pub(super) async fn close(&mut self, last: Option<Answer>) {
        if let Some(answer) = last {
            self.write(&answer, "GET", false).await;
        }
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut drained = 0;
            while drained < LINGER_BYTES_MAX {
                self.buffer = Vec::new();
                match self.read_more(READ_BYTES).await {
                    Ok(count @ 1..) => drained += count,
                    _ => return,
                }
            }
        };
        within(LINGER_MS_MAX, drain).await;
    }
}

/// A request whose body may still be arriving.
pub struct Incoming<'c> {
    connection: &'c mut Connection,
    head: RequestHead,
    framing: Framing,
    decoder: BodyDecoder,
    body_deadline: Option<Instant>,
    /// The client was told to send the body.
    is_permitted: bool,
    /// The body cannot be read on: the connection ends with the answer.
    is_broken: bool,
}

impl<'c> Incoming<'c> {
    /// The error is the answer to a request whose body has no certain end.
    pub(super) fn new(
        connection: &'c mut Connection,
        head: RequestHead,
    ) -> Result<Incoming<'c>, Answer> {
        let framing = head.framing().map_err(bad_head)?;
        let decoder = BodyDecoder::new(framing);
        Ok(Incoming {
            connection,
            head,
            framing,
            decoder,
            body_deadline: None,
            is_permitted: false,
            is_broken: false,
        })
    }

    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// The body's length where the request says it: what to reserve before reading.
    pub fn declared_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Empty => Some(0),
            _ => None,
        }
    }

    /// Appends the body to `body`, at most `bytes_max` bytes (413 above). The error is the answer
    /// to give; `body` holds what it did then.
    pub async fn read_body(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> Result<(), Answer> {
        let start = body.len();
        let result = self.read_all(body, bytes_max).await;
        if result.is_err() {
            body.truncate(start);
        }
        result
    }

    async fn read_all(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> Result<(), Answer> {
        if self.declared_length().is_some() && self.decoder.want() > bytes_max as u64 {
            return Err(too_large(bytes_max));
        }
        let start = body.len();
        loop {
            let is_more = self.read_part(body).await?;
            if body.len() - start > bytes_max {
                self.is_broken = true;
                return Err(too_large(bytes_max));
            }
            if !is_more {
                return Ok(());
            }
        }
    }

    /// Appends what comes next of the body, 64 KiB at most; false when that was the end of it.
    /// All parts together have the time of one body.
    pub async fn read_part(&mut self, part: &mut Vec<u8>) -> Result<bool, Answer> {
        let limit = Duration::from_millis(self.connection.waits.body_ms_max);
        let deadline = *self.body_deadline.get_or_insert_with(|| Instant::now() + limit);
        let read = timeout_at(deadline, self.read_part_slowly(part)).await;
        read.unwrap_or_else(|_| Err(self.broken(408, "the body took too long")))
    }

    async fn read_part_slowly(&mut self, part: &mut Vec<u8>) -> Result<bool, Answer> {
        if self.awaits_permission() {
            self.is_permitted = true;
            // A failure shows at the next read.
            let _ = self.connection.stream.write_all(&[b"HTTP/1.1 100 Continue\r\n\r\n"]).await;
        }
        let start = part.len();
        loop {
            self.take_buffered(part)?;
            if self.decoder.is_complete() {
                return Ok(false);
            }
            if part.len() > start {
                return Ok(true);
            }
            yield_now().await;
            let want = usize::try_from(self.decoder.want()).unwrap_or(usize::MAX);
            let read = match self.framing {
                // Nothing but data comes next: it needs no way round.
                Framing::Length(_) if want > READ_BYTES => {
                    self.read_data(part, want.min(PART_BYTES_MAX)).await
                }
                _ => self.connection.read_more(want.clamp(READ_BYTES, PART_BYTES_MAX)).await,
            };
            match read {
                Ok(1..) => {}
                _ => return Err(self.broken(400, "the body is cut short")),
            }
        }
    }

    /// Appends what is there of a body without framing.
    async fn read_data(&mut self, part: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
        let start = part.len();
        let count = self.connection.read_to(part, bytes_max).await?;
        // Never fails without framing, and takes all, since no more than it wants was read.
        let _ = self.decoder.next(&part[start..]);
        Ok(count)
    }

    /// The client holds the body back until it is told to go on.
    fn awaits_permission(&self) -> bool {
        let is_pending = !self.decoder.is_complete() && self.connection.buffer.is_empty();
        is_pending && !self.is_permitted && self.head.expects_continue()
    }

    /// Answers; true when the connection can take another request, if it `may_stay`.
    pub(super) async fn answer(mut self, answer: &Answer, may_stay: bool) -> bool {
        let is_short =
            self.declared_length().is_none() || self.decoder.want() <= DRAIN_BYTES_MAX as u64;
        let is_usable = !self.is_broken && is_short && !self.awaits_permission();
        let keep = may_stay && is_usable && self.head.is_keep_alive();
        let is_written = self.connection.write(answer, &self.head.method, keep).await;
        if !keep || !is_written || self.decoder.is_complete() {
            return keep && is_written;
        }
        self.read_body(&mut Vec::new(), DRAIN_BYTES_MAX).await.is_ok()
    }

    /// Moves what has arrived of the body to `body`; what follows it stays.
    fn take_buffered(&mut self, body: &mut Vec<u8>) -> Result<(), Answer> {
        let mut used = 0;
        while used < self.connection.buffer.len() && !self.decoder.is_complete() {
            let part = match self.decoder.next(&self.connection.buffer[used..]) {
                Ok(part) => part,
                Err(error) => return Err(self.broken(400, error.0)),
            };
            let start = used + part.skip;
            used = start + part.data;
            let is_all = part.data == self.connection.buffer.len() && body.is_empty();
            if is_all && body.capacity() <= self.connection.buffer.capacity() {
                // All of it at once: most bodies have no framing. One that has room made keeps it.
                std::mem::swap(&mut self.connection.buffer, body);
                return Ok(());
            }
            body.extend_from_slice(&self.connection.buffer[start..used]);
        }
        self.connection.buffer.drain(..used);
        Ok(())
    }

    fn broken(&mut self, status: u16, reason: &str) -> Answer {
        self.is_broken = true;
        Answer::text(status, reason)
    }
}

async fn within<T>(limit_ms: u64, step: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::from_millis(limit_ms), step).await.ok()
}

fn bad_head(error: HeadError) -> Answer {
    Answer::text(error.status, error.reason)
}

fn too_large(bytes_max: usize) -> Answer {
    Answer::text(413, format!("the body is larger than {bytes_max} bytes"))
}

/// RFC 9110 §15; clients look at the number alone.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "-",
    }
}
