//! An established TCP connection on the event loop, for those who speak futures' traits.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use smol::io::{AsyncRead, AsyncWrite};

use super::epoll::Watched;
use super::sys;

/// One connection; dropping it closes it.
#[derive(Debug)]
pub struct Socket(Watched<TcpStream>);

impl Socket {
    /// Takes over an established connection; segments leave at once from here on (TCP_NODELAY).
    pub fn new(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        Watched::connection(stream).map(Socket)
    }

    /// Appends what is there, at most `bytes_max`; 0 means that the peer has finished.
    pub fn poll_append(
        &self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        let append = |stream: &TcpStream| sys::recv_append(stream, buffer, bytes_max);
        let read = self.0.poll_input(context, append);
        self.note(&read, bytes_max);
        read
    }

    /// Tells the peer that nothing more will be written; reading goes on.
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }

    /// Has the next read ask the system, even if there was nothing a moment ago.
    pub fn doubt_input(&self) {
        self.0.doubt_input();
    }

    fn note(&self, read: &Poll<io::Result<usize>>, bytes_max: usize) {
        if matches!(read, Poll::Ready(Ok(count)) if (1..bytes_max).contains(count)) {
            self.0.input_was_short();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = self.0.poll_input(context, |mut stream| stream.read(buffer));
        self.note(&read, buffer.len());
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_output(context, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_output(context, |mut stream| stream.write_vectored(pieces))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown())
    }
}
