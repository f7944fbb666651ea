//! The client: one endpoint, at most one connection, one call in flight.
//!
//! TLS connections must agree on `h2` (ALPN, RFC 9113 §3.2); without TLS the server is known to
//! speak it (§3.3). The time of a call is the caller's (`timeout(config.timeout, …)`); dropping the
//! future midway closes the connection. One that was closed between two calls is opened again; what
//! failed after its request left is not sent again here.

use std::future::{poll_fn, Future};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{describe, Socket};
use crate::net::dns::Resolver;
use crate::net::http1::client::{IDLE_MS_MAX, USER_AGENT};
use crate::net::{spawn, timeout, ClientConfig, Connector, Error, ErrorKind, Scheme, Task, Url};

/// What is kept of a response's body; more of it is passed over, since the trailers behind it say
/// how the call ended.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Headers and trailers of a response, 32 bytes per line included.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// For the exchange of settings.
const HANDSHAKE_MS_MAX: u64 = 10_000;

/// Bytes of the body copied at once.
const SEND_BYTES: usize = 16 * 1024;

/// A POST.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub path: &'a str,
    /// Names in lower case. Method, authority and user-agent are written by the client.
    pub headers: &'a [(&'a str, &'a str)],
    /// Pieces of the body.
    pub body: &'a [&'a [u8]],
}

/// The whole answer to a call.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    headers: HeaderMap,
    trailers: HeaderMap,
}

impl Response {
    /// The first header with this name, which must be lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// As [`Response::header`]; without a body the headers are the trailers.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        let field = self.trailers.get(name).or_else(|| self.headers.get(name));
        field?.to_str().ok()
    }
}

/// An open connection.
struct Open {
    requests: SendRequest<Bytes>,
    /// Moves its bytes, answers pings; ends with the connection.
    driver: Task<Option<String>>,
    used_at: Instant,
}

/// A client of one endpoint.
pub struct Client {
    connector: Connector,
    scheme: &'static str,
    authority: String,
    open: Option<Open>,
}

impl Client {
    /// Checks the settings; connects at the first call.
    pub fn new(url: &Url, config: &ClientConfig, resolver: Rc<Resolver>) -> Result<Client, String> {
        let connector = Connector::with_alpn(url, config, resolver, &["h2"])?;
        if connector.target_prefix().is_some() {
            return Err("proxy: cannot carry HTTP/2 to an http:// address".to_owned());
        }
        let scheme = if url.scheme == Scheme::Https { "https" } else { "http" };
        let authority = connector.authority();
        Ok(Client { connector, scheme, authority, open: None })
    }

    /// Host and port as given.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether a connection is kept open.
    pub fn is_idle_connection(&self) -> bool {
        self.open.is_some()
    }

    /// Closes the connection if it has not been used for this long.
    pub fn close_if_idle(&mut self, longer_than: Duration) {
        if self.open.as_ref().is_some_and(|open| open.used_at.elapsed() > longer_than) {
            self.open = None;
        }
    }

    /// Makes a call and reads the whole response.
    pub async fn send(&mut self, request: &Request<'_>) -> Result<Response, Error> {
        self.close_if_idle(Duration::from_millis(IDLE_MS_MAX));
        let mut open = match self.open.take() {
            Some(open) if !open.driver.is_finished() => open,
            ended => {
                if ended.is_some() {
                    log::debug!("{} closed the idle connection", self.authority);
                }
                self.connect().await?
            }
        };
        let result = self.exchange(&mut open, request).await;
        open.used_at = Instant::now();
        match result {
            // A call that was refused leaves the connection in order.
            Err(error) if !error.is_reset() => {
                let words = match open.driver.is_finished() {
                    true => open.driver.await.unwrap_or_else(|| describe(&error)),
                    false => describe(&error),
                };
                Err(Error::new(ErrorKind::Closed, &self.authority, words))
            }
            Err(error) => {
                self.open = Some(open);
                Err(Error::new(ErrorKind::Protocol, &self.authority, describe(&error)))
            }
            Ok(result) => {
                self.open = Some(open);
                result
            }
        }
    }

    async fn connect(&self) -> Result<Open, Error> {
        let stream = self.connector.connect().await?;
        if self.scheme == "https" && stream.alpn() != Some(b"h2") {
            let words = "does not offer HTTP/2 (ALPN h2)";
            return Err(Error::new(ErrorKind::Tls, &self.authority, words));
        }
        let mut builder = Builder::new();
        builder.enable_push(false).max_concurrent_streams(0);
        builder.max_header_list_size(HEADER_LIST_BYTES_MAX).max_send_buffer_size(SEND_BYTES);
        let handshake = builder.handshake(Socket::new(stream));
        let limit = Duration::from_millis(HANDSHAKE_MS_MAX);
        let failed = |words: String| {
            Error::new(ErrorKind::Connect, &self.authority, format!("http/2: {words}"))
        };
        let (requests, connection) = timeout(limit, handshake)
            .await
            .map_err(|_| failed(format!("no handshake in {HANDSHAKE_MS_MAX} ms")))?
            .map_err(|error| failed(describe(&error)))?;
        let driver = spawn(async move { connection.await.err().map(|error| describe(&error)) });
        Ok(Open { requests, driver, used_at: Instant::now() })
    }

    /// The outer error is the call's or the connection's, the inner one that of a bad answer.
    async fn exchange(
        &self,
        open: &mut Open,
        request: &Request<'_>,
    ) -> Result<Result<Response, Error>, h2::Error> {
        let head = match self.head(request) {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        poll_fn(|context| open.requests.poll_ready(context)).await?;
        let is_empty = request.body.iter().all(|piece| piece.is_empty());
        let (mut answer, mut stream) = open.requests.send_request(head, is_empty)?;
        let early = match is_empty {
            true => None,
            false => send_body(&mut stream, request.body, &mut answer).await?,
        };
        let (head, body) = match early {
            Some(response) => response.into_parts(),
            None => answer.await?.into_parts(),
        };
        let mut response =
            Response { status: head.status.as_u16(), headers: head.headers, ..Response::default() };
        read_body(body, &mut response).await?;
        Ok(Ok(response))
    }

    fn head(&self, request: &Request<'_>) -> Result<http::Request<()>, Error> {
        let uri = format!("{}://{}{}", self.scheme, self.authority, request.path);
        let mut builder = http::Request::post(uri).header("user-agent", USER_AGENT);
        for (name, value) in request.headers {
            // Checked here, since the builder's error does not say which field it was.
            let field = (HeaderName::try_from(*name), HeaderValue::try_from(*value));
            let (Ok(name), Ok(value)) = field else {
                let words = format!("header {name} cannot be sent over HTTP/2");
                return Err(Error::new(ErrorKind::Protocol, &self.authority, words));
            };
            builder = builder.header(name, value);
        }
        let failed = |error: http::Error| {
            Error::new(ErrorKind::Protocol, &self.authority, error.to_string())
        };
        builder.body(()).map_err(failed)
    }
}

/// Sends the body as the peer's window allows; the response, if it comes before the end: then
/// nobody wants the rest.
async fn send_body(
    stream: &mut SendStream<Bytes>,
    pieces: &[&[u8]],
    answer: &mut ResponseFuture,
) -> Result<Option<http::Response<RecvStream>>, h2::Error> {
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len().min(SEND_BYTES));
            let mut early = None;
            let granted = poll_fn(|context| {
                if let Poll::Ready(response) = std::pin::Pin::new(&mut *answer).poll(context) {
                    early = Some(response);
                    return Poll::Ready(None);
                }
                stream.poll_capacity(context)
            })
            .await;
            if let Some(response) = early {
                return response.map(Some);
            }
            // Without capacity the stream has ended: its answer says why.
            let Some(granted) = granted else { return Ok(None) };
            let len = granted?.min(rest.len());
            stream.send_data(Bytes::copy_from_slice(&rest[..len]), false)?;
            rest = &rest[len..];
        }
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(None)
}

/// Reads body and trailers.
async fn read_body(mut body: RecvStream, response: &mut Response) -> Result<(), h2::Error> {
    while let Some(data) = poll_fn(|context| body.poll_data(context)).await {
        let data = data?;
        let room = RESPONSE_BYTES_MAX - response.body.len();
        response.body.extend_from_slice(&data[..room.min(data.len())]);
        body.flow_control().release_capacity(data.len())?;
    }
    if let Some(trailers) = poll_fn(|context| body.poll_trailers(context)).await? {
        response.trailers = trailers;
    }
    Ok(())
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub mod tests;
