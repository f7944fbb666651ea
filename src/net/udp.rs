//! UDP sockets on the event loop, for the resolver and for StatsD.
//!
//! A thin cover, so that no other room names async-io. Invariant: nothing here blocks; whoever
//! drains with [`UdpSocket::try_recv`] bounds the number of datagrams between two yields itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use async_io::Async;
use rustix::net::sockopt;

/// One UDP socket. A datagram longer than the buffer given to a receiving call is cut by the
/// kernel.
#[derive(Debug)]
pub struct UdpSocket(Async<std::net::UdpSocket>);

impl UdpSocket {
    /// A socket on `address`; port 0 takes a free one.
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        Async::<std::net::UdpSocket>::bind(address).map(UdpSocket)
    }

    /// Fixes the peer: only its datagrams arrive, and its ICMP errors do. Never waits.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.0.get_ref().connect(peer)
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    /// Sends one datagram to the connected peer.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.0.send(datagram).await
    }

    /// Waits for one datagram.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer).await
    }

    /// Waits for one datagram; tells its sender.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buffer).await
    }

    /// One datagram that is already there, else `None`.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            return match self.0.get_ref().recv(buffer) {
                Ok(len) => Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Asks for `bytes` of receive buffer and tells what the kernel granted (SO_RCVBUF, socket(7)).
    ///
    /// Without CAP_NET_ADMIN the kernel cuts the request to net.core.rmem_max, in silence. It keeps
    /// and reports twice the size for its own overhead, hence the halving.
    pub fn set_recv_buffer(&self, bytes: usize) -> io::Result<usize> {
        let socket = self.0.get_ref();
        sockopt::set_socket_recv_buffer_size(socket, bytes)?;
        Ok(sockopt::socket_recv_buffer_size(socket)? / 2)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::run;

    const LOOPBACK: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn pair() -> (UdpSocket, UdpSocket) {
        let (one, other) = (UdpSocket::bind(LOOPBACK).unwrap(), UdpSocket::bind(LOOPBACK).unwrap());
        one.connect(other.local_addr().unwrap()).unwrap();
        (one, other)
    }

    #[test]
    fn datagrams_arrive_whole_in_order_and_are_drained() {
        let (sender, receiver) = pair();
        let mut buffer = [0; 8];
        assert_eq!(receiver.try_recv(&mut buffer).unwrap(), None);
        run(async {
            for datagram in ["one", "two", "longer than eight"] {
                sender.send(datagram.as_bytes()).await.unwrap();
            }
            let (len, from) = receiver.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..len], from), (&b"one"[..], sender.local_addr().unwrap()));
            assert_eq!(receiver.recv(&mut buffer).await.unwrap(), 3);
        });
        assert_eq!(receiver.try_recv(&mut buffer).unwrap(), Some(8));
        assert_eq!(&buffer, b"longer t");
        assert_eq!(receiver.try_recv(&mut buffer).unwrap(), None);
    }

    #[test]
    fn a_connected_socket_hears_its_peer_alone() {
        let (listener, peer) = pair();
        let stranger = UdpSocket::bind(LOOPBACK).unwrap();
        stranger.connect(listener.local_addr().unwrap()).unwrap();
        peer.connect(listener.local_addr().unwrap()).unwrap();
        run(async {
            stranger.send(b"forged").await.unwrap();
            peer.send(b"true").await.unwrap();
            let mut buffer = [0; 16];
            let len = listener.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], b"true");
        });
    }

    #[test]
    fn the_granted_buffer_is_told() {
        let (socket, _peer) = pair();
        assert_eq!(socket.set_recv_buffer(65_536).unwrap(), 65_536);
        assert!(socket.set_recv_buffer(1 << 30).unwrap() < 1 << 30);
    }
}
