//! The UDP sockets, drained in turns.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::intake::{Intake, Sink};
use crate::net::{self, DatagramSocket};

/// A turn ends after so many bytes of documents: half a millisecond of translation.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Datagrams between two yields, however short.
const TURN_DATAGRAMS_MAX: usize = 256;

/// A turn that emptied the socket is followed by a nap, so that datagrams that come one by one do
/// not wake the program one by one: 2,000 a second cost 47 us each instead of 83. The smallest
/// receive buffer (208 KiB, which the kernel doubles) holds a hundred usual documents meanwhile.
const NAP: Duration = Duration::from_millis(1);

/// Pause after an error that is none of a datagram.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The last drain takes no longer.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What a turn found.
enum Turn {
    Nothing,
    /// Something, and then nothing more.
    Last,
    /// So much that there may be more.
    More,
}

/// One socket and what the kernel was known to have dropped there.
pub struct Source {
    socket: DatagramSocket,
    drops: Cell<u32>,
}

impl Source {
    pub fn new(socket: DatagramSocket) -> Rc<Source> {
        Rc::new(Source { socket, drops: Cell::new(0) })
    }

    /// Takes in what comes, for ever.
    pub async fn run<S: Sink>(self: Rc<Self>, intake: Rc<Intake<S>>) {
        loop {
            match self.turn(&intake) {
                Ok(Turn::More) => net::yield_now().await,
                Ok(Turn::Last) => net::sleep(NAP).await,
                Ok(Turn::Nothing) => self.socket.readable().await,
                Err(error) => {
                    log::warn!("xray: {error}");
                    net::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Takes in what is there, at the end.
    pub async fn drain<S: Sink>(&self, intake: &Intake<S>) {
        let start = Instant::now();
        while let Ok(Turn::More) = self.turn(intake) {
            if start.elapsed() > DRAIN_MAX {
                log::warn!("xray: datagrams kept coming and were left");
                return;
            }
            net::yield_now().await;
        }
    }

    fn turn<S: Sink>(&self, intake: &Intake<S>) -> io::Result<Turn> {
        let mut buffer = intake.buffer.borrow_mut();
        let (mut datagrams, mut bytes) = (0, 0);
        while datagrams < TURN_DATAGRAMS_MAX && bytes < TURN_BYTES_MAX {
            let Some(length) = self.socket.try_recv(&mut buffer)? else {
                self.count_drops(intake);
                return Ok(if datagrams > 0 { Turn::Last } else { Turn::Nothing });
            };
            datagrams += 1;
            bytes += length;
            match buffer.get_mut(..length) {
                Some(datagram) => intake.take(datagram),
                None => intake.refuse_cut(&buffer),
            }
        }
        self.count_drops(intake);
        Ok(Turn::More)
    }

    /// Adds what the kernel dropped since the last look.
    fn count_drops<S: Sink>(&self, intake: &Intake<S>) {
        let Ok(drops) = self.socket.drops() else { return };
        let before = self.drops.replace(drops);
        intake.kernel_drops.add(u64::from(drops.wrapping_sub(before)));
    }
}
