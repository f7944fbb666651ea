//! Listening TCP sockets.
//!
//! A listener on 127.0.0.1 can listen on ::1 too, where that exists, so that clients of `localhost`
//! reach it whichever they try first. Addresses are re-used at once after a restart (SO_REUSEADDR).

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::task::{Context, Poll};
use std::time::Duration;

use smol::Async;

use super::socket::Socket;
use super::{sleep, Stream};

/// Pause after accepting failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Attempts to find a port that is free on both loopback addresses.
const PAIR_ATTEMPTS_MAX: usize = 16;

/// One or two listening sockets with the same port.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Async<TcpListener>>,
    local_addr: SocketAddr,
}

impl Listener {
    /// Listens on exactly this address; port 0 takes any free one.
    pub fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = bind(addr)?;
        let local_addr = socket.get_ref().local_addr()?;
        Ok(Listener { sockets: vec![socket], local_addr })
    }

    /// Listens on `addr`; if that is 127.0.0.1, also on the same port of ::1 where it exists.
    pub fn bind_loopback_pair(addr: SocketAddr) -> io::Result<Listener> {
        let mut listener = Listener::bind(addr)?;
        if addr.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return Ok(listener);
        }
        for _ in 0..PAIR_ATTEMPTS_MAX {
            let second = SocketAddr::from((Ipv6Addr::LOCALHOST, listener.local_addr.port()));
            match bind(second) {
                Ok(socket) => {
                    listener.sockets.push(socket);
                    return Ok(listener);
                }
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => break,
                Err(error) if addr.port() != 0 => return Err(error),
                Err(_) => listener = Listener::bind(addr)?,
            }
        }
        Ok(listener)
    }

    /// The first socket's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next connection. Errors of accepting are logged and waited out, not returned.
    pub async fn accept(&self) -> (Stream, SocketAddr) {
        loop {
            let accepted = poll_fn(|context| self.poll_accept(context)).await;
            match accepted
                .and_then(|(socket, peer)| Ok((Stream::Plain(Socket::new(socket)?), peer)))
            {
                Ok(connection) => return connection,
                Err(error) => {
                    log::warn!("{}: cannot accept a connection: {error}", self.local_addr);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(std::net::TcpStream, SocketAddr)>> {
        for socket in &self.sockets {
            loop {
                match socket.get_ref().accept() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // The client gave up while it waited.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    result => return Poll::Ready(result),
                }
                match socket.poll_readable(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

/// Binds and listens; std sets SO_REUSEADDR and a backlog of 128.
fn bind(addr: SocketAddr) -> io::Result<Async<TcpListener>> {
    TcpListener::bind(addr).and_then(Async::new).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; choose another port",
            io::ErrorKind::AddrNotAvailable => "this host has no such address",
            io::ErrorKind::PermissionDenied => "ports below 1024 may need privileges",
            _ => "",
        };
        let separator = if advice.is_empty() { "" } else { ": " };
        let reason = format!("cannot listen on {addr} ({error}){separator}{advice}");
        io::Error::new(error.kind(), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{run, timeout};
    use std::net::TcpStream;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_pair_has_one_port_and_both_accept() {
        run(async {
            let listener = Listener::bind_loopback_pair(LOOPBACK).unwrap();
            let port = listener.local_addr().port();
            let targets: Vec<SocketAddr> =
                listener.sockets.iter().map(|s| s.get_ref().local_addr().unwrap()).collect();
            for target in targets {
                assert_eq!(target.port(), port);
                let client = TcpStream::connect(target).unwrap();
                let accepted = timeout(Duration::from_secs(5), listener.accept()).await.unwrap();
                assert_eq!(accepted.1, client.local_addr().unwrap());
            }
        });
    }

    #[test]
    fn a_port_in_use_is_explained() {
        let first = Listener::bind(LOOPBACK).unwrap();
        let error = Listener::bind(first.local_addr()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.contains(&first.local_addr().to_string()) && text.contains("choose"),
            "{text}"
        );
        let nowhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert!(Listener::bind(nowhere).err().unwrap().to_string().contains("no such address"));
    }

    #[test]
    fn a_second_program_on_the_other_loopback_address_is_noticed() {
        let Ok(other) = Listener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))) else { return };
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, other.local_addr().port()));
        let error = Listener::bind_loopback_pair(addr).err().unwrap();
        assert!(error.to_string().contains("[::1]"), "{error}");
    }
}
