//! HTTP/2 (RFC 9113) by the h2 crate, over this program's sockets: a server and a client for gRPC.
//!
//! h2 knows frames, HPACK, flow control and the floods of ten years; here are the loops that move
//! its bytes, its limits, and the time it may take. [`Socket`] shows it a stream the way it wants
//! one: tokio's two traits, without tokio's runtime. Left out: server push, upgrades from HTTP/1,
//! priorities.
//!
//! Invariant: one poll of a connection reads at most [`TURN_BYTES`], then others have their turn,
//! whatever the peer sends.

pub mod client;
pub mod server;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

pub use client::{Client, Request, Response};
pub use server::{serve_until, Answer, Call, Head, Server};

/// Bytes read from one connection before others have their turn. So much may hold 1600 DATA frames
/// of one byte; what h2 takes at once must stay below [`server::FRAME_OVERHEAD_BYTES_MAX`].
const TURN_BYTES: usize = 16 * 1024;

/// A stream as h2 wants it.
struct Socket {
    stream: Stream,
    read_in_turn: usize,
}

impl Socket {
    fn new(stream: Stream) -> Socket {
        Socket { stream, read_in_turn: 0 }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_in_turn >= TURN_BYTES {
            self.read_in_turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let want = buffer.remaining().min(TURN_BYTES - self.read_in_turn);
        let read = self.stream.poll_read(context, buffer.initialize_unfilled_to(want));
        if read.is_pending() {
            self.read_in_turn = 0;
        }
        let count = ready!(read)?;
        self.read_in_turn += count;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }
}

/// Why h2 gave up, as text for a log line.
fn describe(error: &h2::Error) -> String {
    match (error.reason(), error.is_remote()) {
        (Some(reason), true) => format!("the peer ended it with {reason:?}"),
        // "HTTP/1.1 400 …" begins with a length that no frame may have.
        (Some(h2::Reason::FRAME_SIZE_ERROR), false) => {
            "does not speak HTTP/2 (FRAME_SIZE_ERROR); is it the port for http?".to_owned()
        }
        (Some(reason), false) => format!("ended with {reason:?}"),
        (None, _) => error.to_string(),
    }
}
