//! What can go wrong between two programs, classified once, for whoever decides about a retry.

use std::fmt;
use std::io;

use super::tls;

/// A failed connection or exchange; the message is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
}

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The name has no address.
    Resolve,
    /// No address took the connection, or the proxy refused it.
    Connect,
    /// The handshake failed, or the peer ended TLS with an alert.
    Tls,
    /// The peer closed the connection before its answer was complete.
    Closed,
    /// The peer's answer breaks the protocol or a limit.
    Protocol,
    /// The system reported an error on an established connection.
    Io,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// Classifies an error of an established connection to `peer`.
    pub(super) fn from_io(peer: &str, error: &io::Error) -> Error {
        if let Some(reason) = tls::describe(error) {
            return Error::new(ErrorKind::Tls, format!("{peer}: {reason}"));
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Closed, format!("{peer} closed the connection ({error})"))
            }
            _ => Error::new(ErrorKind::Io, format!("{peer}: {error}")),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
