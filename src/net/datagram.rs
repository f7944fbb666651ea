//! Datagram sockets of a receiver, UDP and unix, on the event loop.
//!
//! Invariant: nothing here blocks; whoever drains with [`DatagramSocket::try_recv`] bounds the
//! number of datagrams between two yields itself.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::net::{recv, sockopt, RecvFlags};

use super::epoll::Watched;
use super::sys;

/// Attempts to find a port that is free on both loopback addresses.
const PAIR_ATTEMPTS_MAX: usize = 16;

/// Others than the program's own user may send.
const PATH_MODE: u32 = 0o666;

/// One socket that receives.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Watched<OwnedFd>,
    /// Of a unix socket; removed with it.
    path: Option<PathBuf>,
}

impl DatagramSocket {
    /// Sockets on `address` and the address they have: two where that is 127.0.0.1 and ::1 exists;
    /// IPv4 alone where it is `[::]` and there is no IPv6. Port 0 takes a free one.
    pub fn bind_udp(address: SocketAddr) -> io::Result<(Vec<DatagramSocket>, SocketAddr)> {
        let explain = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot receive on {address}: {error}"))
        };
        let mut first = match UdpSocket::bind(address) {
            Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port()))
            }
            result => result,
        }
        .map_err(explain)?;
        let mut second = None;
        for _ in 0..PAIR_ATTEMPTS_MAX {
            if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
                break;
            }
            match UdpSocket::bind((Ipv6Addr::LOCALHOST, first.local_addr()?.port())) {
                Ok(socket) => {
                    second = Some(socket);
                    break;
                }
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => break,
                Err(error) if address.port() != 0 => return Err(explain(error)),
                Err(_) => first = UdpSocket::bind(address).map_err(explain)?,
            }
        }
        let local = first.local_addr()?;
        let sockets = [Some(first), second].into_iter().flatten();
        let sockets = sockets.map(|socket| DatagramSocket::new(socket.into(), None));
        Ok((sockets.collect::<io::Result<_>>()?, local))
    }

    /// A socket at `path`, for every user. A socket that nobody listens on any more is replaced;
    /// anything else that is there is left alone and an error.
    pub fn bind_unix(path: &Path) -> io::Result<DatagramSocket> {
        let explain = |error: io::Error| {
            let reason = format!("cannot receive on unix:{}: {error}", path.display());
            io::Error::new(error.kind(), reason)
        };
        make_way(path).map_err(explain)?;
        let socket = UnixDatagram::bind(path).map_err(explain)?;
        let socket = DatagramSocket::new(socket.into(), Some(path.to_owned()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(PATH_MODE)).map_err(explain)?;
        Ok(socket)
    }

    fn new(socket: OwnedFd, path: Option<PathBuf>) -> io::Result<DatagramSocket> {
        Ok(DatagramSocket { socket: Watched::receiver(socket)?, path })
    }

    /// Waits until there is a datagram.
    pub async fn readable(&self) {
        poll_fn(|context| self.socket.poll_readable(context)).await;
    }

    /// One datagram that is already there, else `None`: the length it had, which may be more than
    /// the buffer holds.
    #[inline]
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            return match recv(self.socket.get_ref(), &mut *buffer, flags) {
                Ok((_, length)) => Ok(Some(length)),
                Err(rustix::io::Errno::AGAIN) => {
                    self.socket.input_is_empty();
                    Ok(None)
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Asks for `bytes` of receive buffer and tells what the kernel granted (socket(7)): whatever
    /// is asked with CAP_NET_ADMIN, else at most net.core.rmem_max, and twice that for its
    /// overhead.
    pub fn set_recv_buffer(&self, bytes: usize) -> io::Result<usize> {
        let socket = self.socket.get_ref();
        if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
            sockopt::set_socket_recv_buffer_size(socket, bytes)?;
        }
        Ok(sockopt::socket_recv_buffer_size(socket)? / 2)
    }

    /// Datagrams the kernel has dropped since the socket was made, modulo 2³².
    pub fn drops(&self) -> io::Result<u32> {
        sys::socket_drops(self.socket.get_ref())
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket at `path` that nobody listens on.
fn make_way(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let in_the_way = |what: &str| io::Error::new(io::ErrorKind::AlreadyExists, what);
    if !there.file_type().is_socket() {
        return Err(in_the_way(
            "there is something that is no socket; remove it, or choose another",
        ));
    }
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A socket of another kind answers EPROTOTYPE: it is alive too.
        _ => Err(in_the_way("another program uses this socket; stop it, or choose another path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::run;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("otlet-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn both_loopback_addresses_receive_on_one_port() {
        let (sockets, address) = DatagramSocket::bind_udp(LOOPBACK).unwrap();
        let targets = [Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)];
        for (socket, ip) in sockets.iter().zip(targets) {
            let client = UdpSocket::bind((ip, 0)).unwrap();
            client.send_to(b"a:1|c", (ip, address.port())).unwrap();
            run(async { socket.readable().await });
            let mut buffer = [0; 3];
            assert_eq!(socket.try_recv(&mut buffer).unwrap(), Some(5), "the length it had");
            assert_eq!((socket.try_recv(&mut buffer).unwrap(), &buffer), (None, b"a:1"));
        }
        let error = DatagramSocket::bind_udp(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let (sockets, address) = DatagramSocket::bind_udp(LOOPBACK).unwrap();
        assert!(sockets[0].set_recv_buffer(4096).unwrap() >= 2048);
        let client = UdpSocket::bind(LOOPBACK).unwrap();
        for _ in 0..1000 {
            client.send_to(b"a:1|c", address).unwrap();
        }
        let (mut buffer, mut received) = ([0; 16], 0);
        while sockets[0].try_recv(&mut buffer).unwrap().is_some() {
            received += 1;
        }
        assert!(received < 1000);
        assert_eq!(sockets[0].drops().unwrap(), 1000 - received);
    }

    #[test]
    fn a_path_is_taken_over_only_from_the_dead() {
        let folder = folder("datagram");
        let path = folder.join("statsd.sock");
        drop(UnixDatagram::bind(&path).unwrap());
        let socket = DatagramSocket::bind_unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PATH_MODE);
        UnixDatagram::unbound().unwrap().send_to(b"a:1|c", &path).unwrap();
        assert_eq!(socket.try_recv(&mut [0; 16]).unwrap(), Some(5));
        let alive = DatagramSocket::bind_unix(&path).unwrap_err().to_string();
        assert!(alive.contains("another program"), "{alive}");
        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        let file = DatagramSocket::bind_unix(&path).unwrap_err().to_string();
        assert!(file.contains("no socket"), "{file}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let missing = DatagramSocket::bind_unix(&folder.join("no/where")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(folder).unwrap();
    }
}
