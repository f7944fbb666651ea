//! The client: one endpoint, at most one connection, kept open between requests.
//!
//! Time limits of an exchange are the caller's (`timeout(config.timeout, …)`); dropping a future or
//! a response midway closes the connection, so that no answer is ever taken for another's. While a
//! body is being written the client watches for an early refusal (RFC 9112 §9.5) and returns it
//! rather than the error of writing that follows. Redirects are returned, not followed.

use std::fmt::Write;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::{Duration, Instant};

use super::head::{head_len, may_be_response, ResponseHead, RESPONSE_HEAD_BYTES_MAX};
use super::response::{Received, Response};
use crate::net::dns::Resolver;
use crate::net::stream::Outgoing;
use crate::net::{ClientConfig, Connector, Error, ErrorKind, Stream, Url};
use crate::observe::log::shorten;

/// Connections idle for longer are not used again: load balancers close theirs after 60 s.
pub const IDLE_MS_MAX: u64 = 50_000;

/// Interim responses (1xx) skipped before the answer; more are an error.
pub const INTERIM_MAX: usize = 8;

/// Bytes read at once while the head is incomplete.
const READ_BYTES: usize = 4096;

/// What the client says it is; requests always carry it.
pub const USER_AGENT: &str = concat!("otlet/", env!("CARGO_PKG_VERSION"));

/// A request; `target`, `headers` and `method` are written as they are.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// Further header lines, each ended by CRLF. Host, User-Agent and Content-Length are written by
    /// the client.
    pub headers: &'a str,
    /// Pieces of the body; None is no body.
    pub body: Option<&'a [&'a [u8]]>,
}

/// A connection kept for the next request.
pub(super) struct Idle {
    pub(super) stream: Stream,
    pub(super) since: Instant,
}

/// A client of one endpoint.
pub struct Client {
    connector: Connector,
    authority: String,
    idle: Option<Idle>,
}

/// A failed exchange.
struct Failure {
    error: Error,
    /// The server had not answered a byte: on a connection used before, it may have closed it just
    /// as the request left.
    is_unanswered: bool,
}

impl Client {
    /// Checks the settings; connects at the first request.
    pub fn new(url: &Url, config: &ClientConfig, resolver: Rc<Resolver>) -> Result<Client, String> {
        let connector = Connector::new(url, config, resolver)?;
        Ok(Client { authority: connector.authority(), connector, idle: None })
    }

    /// Sends a request and reads the head of its response. If a connection used before turns out
    /// dead before the first byte of the response, connects again and sends once more, at once.
    pub async fn send<'c>(&'c mut self, request: &Request<'_>) -> Result<Response<'c>, Error> {
        let head = self.render_head(request);
        let body = request.body.unwrap_or_default();
        let mut received = None;
        if let Some(stream) = self.take_idle().await {
            match exchange(stream, &self.authority, head.as_bytes(), body).await {
                Ok(answer) => received = Some(answer),
                Err(failure) if failure.is_unanswered => {}
                Err(failure) => return Err(failure.error),
            }
        }
        if received.is_none() {
            let stream = self.connector.connect().await?;
            let answer = exchange(stream, &self.authority, head.as_bytes(), body).await;
            received = Some(answer.map_err(|failure| failure.error)?);
        }
        match received {
            Some(received) => {
                Response::new(&mut self.idle, &self.authority, received, request.method)
            }
            None => Err(Error::new(ErrorKind::Closed, &self.authority, "no answer")),
        }
    }

    /// Closes the kept connection if it has not been used for this long.
    pub fn close_if_idle(&mut self, longer_than: Duration) {
        if self.idle.as_ref().is_some_and(|idle| idle.since.elapsed() > longer_than) {
            self.idle = None;
        }
    }

    /// Whether a connection is kept open.
    pub fn is_idle_connection(&self) -> bool {
        self.idle.is_some()
    }

    /// Host and port as given.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The kept connection, if it is still good.
    async fn take_idle(&mut self) -> Option<Stream> {
        self.close_if_idle(Duration::from_millis(IDLE_MS_MAX));
        let mut stream = self.idle.take()?.stream;
        if !stream.is_quiet().await {
            log::debug!("{} closed the idle connection", self.authority);
            return None;
        }
        Some(stream)
    }

    fn render_head(&self, request: &Request<'_>) -> String {
        let Request { method, target, headers, body } = request;
        debug_assert!(headers.is_empty() || headers.ends_with("\r\n"), "{headers}");
        let prefix = self.connector.target_prefix().unwrap_or_default();
        let host = &self.authority;
        let mut head = format!(
            "{method} {prefix}{target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n\
             {headers}"
        );
        let length = match body {
            Some(pieces) => Some(pieces.iter().map(|piece| piece.len()).sum()),
            None if matches!(*method, "POST" | "PUT" | "PATCH") => Some(0_usize),
            None => None,
        };
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

/// Writes the request and reads up to the end of the response's head.
async fn exchange(
    mut stream: Stream,
    peer: &str,
    head: &[u8],
    body: &[&[u8]],
) -> Result<Received, Failure> {
    let mut reader = HeadReader::default();
    let written = write_watching(&mut stream, Outgoing::new(head, body), &mut reader).await;
    let is_sent = matches!(written, Ok(true));
    loop {
        match reader.take_head() {
            Ok(Some(head)) => {
                return Ok(Received { stream, head, rest: reader.bytes, is_sent });
            }
            Ok(None) => {}
            Err(reason) => {
                let words = format!("answered badly: {reason}");
                let error = Error::new(ErrorKind::Protocol, peer, words);
                return Err(Failure { error, is_unanswered: false });
            }
        }
        let read = poll_fn(|context| reader.poll_read(&mut stream, context)).await;
        let error = match (read, &written) {
            (Ok(1..), _) => continue,
            // What ended the writing is the better explanation.
            (_, Err(error)) => Error::from_io(peer, error),
            (Err(error), _) => Error::from_io(peer, &error),
            (Ok(0), _) => Error::new(ErrorKind::Closed, peer, reader.explain_end()),
        };
        return Err(Failure { error, is_unanswered: !reader.has_begun });
    }
}

/// Writes until all is written (true) or the server has refused meanwhile (false).
async fn write_watching(
    stream: &mut Stream,
    mut outgoing: Outgoing<'_>,
    reader: &mut HeadReader,
) -> io::Result<bool> {
    poll_fn(|context| {
        if let Poll::Ready(result) = outgoing.poll(stream, context) {
            return Poll::Ready(result.map(|()| true));
        }
        while reader.bytes.len() < RESPONSE_HEAD_BYTES_MAX {
            let count = ready!(reader.poll_read(stream, context))?;
            if count == 0 || reader.is_refusal() {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Pending
    })
    .await
}

/// Collects bytes until they hold the head of the final response.
#[derive(Default)]
struct HeadReader {
    bytes: Vec<u8>,
    /// How many of `bytes` are known not to end a head.
    scanned: usize,
    has_begun: bool,
    interims: usize,
}

impl HeadReader {
    /// Reads what is there; the buffer lives on the stack, so that no task carries it.
    fn poll_read(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = vec![0; READ_BYTES];
        let count = ready!(stream.poll_read(context, &mut buffer))?;
        self.has_begun |= count > 0;
        self.bytes.extend_from_slice(&buffer[..count]);
        Poll::Ready(Ok(count))
    }

    /// The final head, cut off from the bytes; interim ones are skipped.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, String> {
        if !may_be_response(&self.bytes) {
            let hint =
                if self.bytes.starts_with(&[0x15, 3]) { " (TLS; is it https://?)" } else { "" };
            return Err(format!("not HTTP: \"{}\"{hint}", shorten(&self.bytes, 40)));
        }
        while let Some(len) = head_len(&self.bytes, self.scanned) {
            if len > RESPONSE_HEAD_BYTES_MAX {
                break;
            }
            let head = ResponseHead::parse(&self.bytes[..len]).map_err(|error| error.reason)?;
            self.bytes.drain(..len);
            self.scanned = 0;
            match head.status {
                101 => return Err("switches protocols unasked".to_owned()),
                100..=199 if self.interims == INTERIM_MAX => {
                    return Err(format!("more than {INTERIM_MAX} interim responses"));
                }
                100..=199 => self.interims += 1,
                _ => return Ok(Some(head)),
            }
        }
        self.scanned = self.bytes.len();
        if self.bytes.len() >= RESPONSE_HEAD_BYTES_MAX {
            return Err(format!("head is longer than {RESPONSE_HEAD_BYTES_MAX} bytes"));
        }
        Ok(None)
    }

    /// Whether a head is complete that makes sending the rest of the body pointless.
    fn is_refusal(&self) -> bool {
        let head = head_len(&self.bytes, 0).map(|len| ResponseHead::parse(&self.bytes[..len]));
        head.is_some_and(|head| head.map_or(true, |head| head.status >= 300))
    }

    fn explain_end(&self) -> String {
        match self.bytes.len() {
            0 => "closed the connection without an answer".to_owned(),
            len => format!("closed the connection after {len} bytes of the response head"),
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
