//! A response whose body is still arriving.
//!
//! Bodies go from the socket straight into the caller's buffer; chunk framing is squeezed out in
//! place. The connection goes back to the client when the body was read to its end and both sides
//! want to keep it, else it is closed when the response is dropped.

use std::time::Instant;

use super::body::BodyDecoder;
use super::client::Idle;
use super::head::{Framing, ResponseHead};
use crate::net::{yield_now, Error, ErrorKind, Stream};

/// Rest of a body that [`Response::finish`] reads to keep the connection; with more it is closed.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// Bytes read without letting other tasks run.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// A connection on which the head of a response has arrived.
pub(super) struct Received {
    pub(super) stream: Stream,
    pub(super) head: ResponseHead,
    /// What arrived after the head.
    pub(super) rest: Vec<u8>,
    /// The request was sent whole.
    pub(super) is_sent: bool,
}

/// Status, headers, and a body to be read.
pub struct Response<'c> {
    /// Where the connection goes for the next request.
    home: &'c mut Option<Idle>,
    peer: &'c str,
    stream: Option<Stream>,
    head: ResponseHead,
    decoder: BodyDecoder,
    /// Bytes that arrived with the head, and how many of them are used.
    rest: Vec<u8>,
    rest_used: usize,
    is_reusable: bool,
    bytes_in_turn: usize,
}

impl<'c> Response<'c> {
    pub(super) fn new(
        home: &'c mut Option<Idle>,
        peer: &'c str,
        received: Received,
        method: &str,
    ) -> Result<Response<'c>, Error> {
        let Received { stream, head, rest, is_sent } = received;
        let framing = head.framing(method).map_err(|error| {
            Error::new(ErrorKind::Protocol, peer, format!("answered badly: {error}"))
        })?;
        let is_reusable = is_sent && head.is_keep_alive() && framing != Framing::UntilClose;
        Ok(Response {
            home,
            peer,
            stream: Some(stream),
            head,
            decoder: BodyDecoder::new(framing),
            rest,
            rest_used: 0,
            is_reusable,
            bytes_in_turn: 0,
        })
    }

    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.fields.get(name)
    }

    /// Reads a part of the body, at least one byte; 0 means that it is complete.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while !self.decoder.is_complete() && !buffer.is_empty() {
            let count = self.fill(buffer).await?;
            if count == 0 {
                return self.end();
            }
            let (data, used) = match self.decoder.compact(&mut buffer[..count]) {
                Ok(result) => result,
                Err(error) => {
                    let words = format!("answered badly: {}", error.0);
                    return Err(self.fail(Error::new(ErrorKind::Protocol, self.peer, words)));
                }
            };
            self.is_reusable &= used == count;
            if data > 0 {
                return Ok(data);
            }
        }
        Ok(0)
    }

    /// Reads and drops a short rest of the body, so that the connection can be used again.
    pub async fn finish(mut self) {
        if !self.is_reusable {
            return;
        }
        let mut buffer = vec![0; 4096];
        let mut drained = 0;
        while let Ok(count @ 1..) = self.read(&mut buffer).await {
            drained += count;
            if drained > DRAIN_BYTES_MAX {
                return;
            }
        }
    }

    /// Bytes of the body, framing included: first what came with the head, then from the socket.
    async fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let want = buffer.len().min(usize::try_from(self.decoder.want()).unwrap_or(usize::MAX));
        let rest = &self.rest[self.rest_used..];
        if !rest.is_empty() {
            let count = want.min(rest.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.rest_used += count;
            return Ok(count);
        }
        self.rest = Vec::new();
        self.rest_used = 0;
        if self.bytes_in_turn >= TURN_BYTES_MAX {
            self.bytes_in_turn = 0;
            yield_now().await;
        }
        let Some(stream) = &mut self.stream else {
            return Err(Error::new(ErrorKind::Closed, self.peer, "closed the connection"));
        };
        match stream.read(&mut buffer[..want]).await {
            Ok(count) => {
                self.bytes_in_turn += count;
                Ok(count)
            }
            Err(error) => Err(self.fail(Error::from_io(self.peer, &error))),
        }
    }

    /// The server has closed the connection: that is the end, or the body is cut short.
    fn end(&mut self) -> Result<usize, Error> {
        if !self.decoder.may_end() {
            let words = "closed the connection before the body's end";
            return Err(self.fail(Error::new(ErrorKind::Closed, self.peer, words)));
        }
        self.decoder = BodyDecoder::new(Framing::Empty);
        self.stream = None;
        Ok(0)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.stream = None;
        error
    }
}

impl Drop for Response<'_> {
    fn drop(&mut self) {
        let is_clean = self.decoder.is_complete() && self.rest_used == self.rest.len();
        if let (true, true, Some(stream)) = (is_clean, self.is_reusable, self.stream.take()) {
            *self.home = Some(Idle { stream, since: Instant::now() });
        }
    }
}
