//! Signals that ask the program to stop, on the event loop (signal(7)).
//!
//! As PID 1, which a container's program is, the kernel applies no default action: without a
//! handler SIGTERM does nothing and the container engine kills the program when its patience ends.
//! So the handlers are installed before anything else. SIGHUP, a closed terminal, means the same as
//! SIGTERM: there is no configuration to read again. Other signals keep their default.

use std::fmt;
use std::io;

use smol::stream::StreamExt;

use super::sys;

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Terminate,
    Interrupt,
    Hangup,
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
            Signal::Hangup => "SIGHUP",
        })
    }
}

/// The installed handlers. What arrives between two calls of [`Signals::next`] is kept.
#[derive(Debug)]
pub struct Signals(async_signal::Signals);

impl Signals {
    /// Installs the handlers; from here on these signals no longer end the process by themselves.
    /// One that comes meanwhile is kept.
    pub fn install() -> io::Result<Signals> {
        use async_signal::Signal::{Hup, Int, Term};
        let install = || async_signal::Signals::new([Term, Int, Hup]);
        sys::with_stop_signals_waiting(install).map(Signals)
    }

    /// Waits for the next signal.
    ///
    /// A handler's pipe that can no longer be read counts as SIGTERM: whoever cannot be told to
    /// stop must not run on.
    pub async fn next(&mut self) -> Signal {
        match self.0.next().await {
            Some(Ok(async_signal::Signal::Int)) => Signal::Interrupt,
            Some(Ok(async_signal::Signal::Hup)) => Signal::Hangup,
            _ => Signal::Terminate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::run;
    use rustix::process::{getpid, kill_process, Signal as Number};

    #[test]
    fn signals_are_kept_and_told_apart() {
        let mut signals = Signals::install().unwrap();
        for (number, expected) in [
            (Number::TERM, Signal::Terminate),
            (Number::HUP, Signal::Hangup),
            (Number::INT, Signal::Interrupt),
            (Number::TERM, Signal::Terminate),
        ] {
            kill_process(getpid(), number).unwrap();
            assert_eq!(run(signals.next()), expected);
        }
        assert_eq!(Signal::Interrupt.to_string(), "SIGINT");
    }
}
