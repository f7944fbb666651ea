//! UDP and unix datagram sockets: draining them in turns.
//!
//! recvmmsg(2) instead of recv(2) would save 15 % of the system's time per datagram (measured on
//! Linux 6.18 over loopback) for 32 buffers and unsafe code: not worth it. What pays is to sleep a
//! little after a short turn: at 100,000 datagrams per second a wake-up then brings a hundred of
//! them instead of one.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::hub::Hub;
use crate::net::{self, DatagramSocket};

/// Datagrams between two yields.
const TURN_DATAGRAMS_MAX: usize = 256;

/// A turn that brought fewer is followed by a nap. The smallest receive buffer (208 KiB) holds 256
/// small datagrams, so that a nap loses none below 200,000 a second.
const BUSY_DATAGRAMS: usize = 64;

/// How long a socket is left alone after a short turn.
const NAP: Duration = Duration::from_millis(1);

/// Pause after an error that is none of a datagram.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The last drain takes no longer.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// One socket and what the kernel was known to have dropped there.
pub struct Source {
    pub socket: DatagramSocket,
    /// How logs call it.
    pub name: String,
    drops: Cell<u32>,
}

/// How a turn ended.
enum Turn {
    /// The socket is empty after so many datagrams.
    Empty(usize),
    /// There may be more.
    Full,
}

impl Source {
    pub fn new(socket: DatagramSocket, name: String) -> Rc<Source> {
        Rc::new(Source { socket, name, drops: Cell::new(0) })
    }

    /// Takes in what comes, for ever.
    pub async fn run(self: Rc<Self>, hub: Rc<Hub>) {
        loop {
            match self.turn(&hub) {
                Ok(Turn::Full) => net::yield_now().await,
                Ok(Turn::Empty(received)) => {
                    if received > 0 && received < BUSY_DATAGRAMS {
                        net::sleep(NAP).await;
                    }
                    self.socket.readable().await;
                }
                Err(error) => {
                    log::warn!("statsd: {}: {error}", self.name);
                    net::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Takes in what is there, at the end.
    pub async fn drain(&self, hub: &Hub) {
        let start = Instant::now();
        while let Ok(Turn::Full) = self.turn(hub) {
            if start.elapsed() > DRAIN_MAX {
                log::warn!("statsd: {}: datagrams kept coming and were left", self.name);
                return;
            }
            net::yield_now().await;
        }
    }

    fn turn(&self, hub: &Hub) -> io::Result<Turn> {
        hub.set_age();
        let mut buffer = hub.buffer.borrow_mut();
        for received in 0..TURN_DATAGRAMS_MAX {
            let Some(length) = self.socket.try_recv(&mut buffer)? else {
                self.count_drops(hub);
                return Ok(Turn::Empty(received));
            };
            hub.datagrams.increment();
            match buffer.get(..length) {
                Some(datagram) => hub.take(datagram),
                None => take_cut(hub, &buffer),
            }
        }
        self.count_drops(hub);
        Ok(Turn::Full)
    }

    /// Adds what the kernel dropped since the last look.
    fn count_drops(&self, hub: &Hub) {
        let Ok(drops) = self.socket.drops() else { return };
        let before = self.drops.replace(drops);
        hub.kernel_drops.add(u64::from(drops.wrapping_sub(before)));
    }
}

/// Takes the complete lines of a datagram that was cut; the last one is refused.
fn take_cut(hub: &Hub, buffer: &[u8]) {
    hub.truncated.increment();
    let end = memchr::memrchr(b'\n', buffer).map_or(0, |end| end + 1);
    hub.take(&buffer[..end]);
    hub.refuse(&buffer[end..], "truncated");
}
