//! One byte stream to a peer, plain or under TLS.
//!
//! Writing takes several pieces and hands them to the system together, so that head and body of a
//! request leave in one call and a large body is never copied. Dropping a stream closes it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use futures_rustls::client::TlsStream;
use smol::io::{AsyncRead, AsyncWrite};

use super::socket::Socket;

/// Pieces handed to the system in one call.
const PIECES_MAX: usize = 16;

/// An established connection.
#[derive(Debug)]
pub enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Reads what is there, at least one byte; 0 means that the peer has finished.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_read(context, buffer)).await
    }

    /// Reads what the system has at this moment; None if that is nothing.
    pub async fn read_now(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.doubt_input();
        smol::future::poll_once(self.read(buffer)).await
    }

    /// Writes all pieces, in order.
    pub async fn write_all(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        let mut outgoing = Outgoing::new(&[], pieces);
        poll_fn(|context| outgoing.poll(self, context)).await
    }

    /// Tells the peer that nothing more will be written; reading goes on.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_shutdown(context)).await
    }

    /// The protocol agreed on in the handshake, if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// True while an idle connection is open and silent: a readable one was closed by the peer, or
    /// holds bytes that nobody asked for.
    pub async fn is_quiet(&mut self) -> bool {
        self.read_now(&mut [0]).await.is_none()
    }

    /// Has the next read ask the system, even if there was nothing a moment ago.
    pub(super) fn doubt_input(&self) {
        self.socket().doubt_input();
    }

    fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_read(context, buffer),
        }
    }

    /// Appends what is there, at most `bytes_max`; 0 means that the peer has finished.
    pub fn poll_append(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        if let Stream::Plain(socket) = self {
            return socket.poll_append(context, buffer, bytes_max);
        }
        let start = buffer.len();
        buffer.resize(start + bytes_max, 0);
        let read = self.poll_read(context, &mut buffer[start..]);
        let count = match &read {
            Poll::Ready(Ok(count)) => *count,
            _ => 0,
        };
        buffer.truncate(start + count);
        read
    }

    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(context, pieces),
        }
    }

    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_flush(context),
        }
    }

    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => Poll::Ready(socket.shutdown()),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_close(context),
        }
    }
}

/// Bytes on their way out: a head and pieces of a body, and how far they got.
pub(super) struct Outgoing<'a> {
    head: &'a [u8],
    body: &'a [&'a [u8]],
    /// The piece to go on with (0 is the head), and where in it.
    piece: usize,
    offset: usize,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(head: &'a [u8], body: &'a [&'a [u8]]) -> Outgoing<'a> {
        Outgoing { head, body, piece: 0, offset: 0 }
    }

    /// Ready when all is written and flushed.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let used = self.fill(&mut slices);
            if used == 0 {
                return stream.poll_flush(context);
            }
            let written = ready!(stream.poll_write(context, &slices[..used]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn piece(&self, number: usize) -> Option<&'a [u8]> {
        match number {
            0 => Some(self.head),
            _ => self.body.get(number - 1).copied(),
        }
    }

    /// Lines up the next pieces that are not empty; returns how many.
    fn fill(&self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut number, mut offset, mut used) = (self.piece, self.offset, 0);
        while let Some(piece) = self.piece(number) {
            if used == slices.len() {
                break;
            }
            let rest = &piece[offset..];
            if !rest.is_empty() {
                slices[used] = IoSlice::new(rest);
                used += 1;
            }
            (number, offset) = (number + 1, 0);
        }
        used
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.piece(self.piece) {
            let rest = piece.len() - self.offset;
            if written < rest {
                self.offset += written;
                return;
            }
            written -= rest;
            (self.piece, self.offset) = (self.piece + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_the_last_read_is_read_now() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let own = listener.accept().unwrap().0;
        crate::net::run(async {
            let mut stream = Stream::Plain(Socket::new(own).unwrap());
            let mut buffer = [0; 8];
            assert!(stream.is_quiet().await);
            for text in ["one", "two"] {
                peer.write_all(text.as_bytes()).unwrap();
                let read = stream.read_now(&mut buffer).await;
                assert_eq!(read.unwrap().unwrap(), 3);
                assert_eq!(&buffer[..3], text.as_bytes());
                assert!(stream.read_now(&mut buffer).await.is_none());
            }
            drop(peer);
            assert!(!stream.is_quiet().await);
        });
    }

    #[test]
    fn pieces_leave_in_order_whatever_the_system_takes() {
        let many: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; usize::from(n % 5)]).collect();
        let body: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let expected: Vec<u8> = [b"head".to_vec(), many.concat()].concat();
        for take in 1..expected.len() + 2 {
            let mut outgoing = Outgoing::new(b"head", &body);
            let mut got = Vec::new();
            loop {
                let mut slices = [IoSlice::new(&[]); PIECES_MAX];
                let used = outgoing.fill(&mut slices);
                if used == 0 {
                    break;
                }
                assert!(
                    slices.iter().position(|slice| slice.is_empty()).unwrap_or(PIECES_MAX) == used
                );
                let all: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = take.min(all.len());
                got.extend_from_slice(&all[..taken]);
                outgoing.advance(taken);
            }
            assert_eq!(got, expected, "{take} at a time");
        }
    }
}
