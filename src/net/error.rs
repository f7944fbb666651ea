//! What can go wrong between two programs, classified once, for whoever decides about a retry.

use std::fmt;
use std::io;

use super::tls;

/// A failed connection or exchange; shown, it is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    /// Whom it was with, as the address was given.
    peer: String,
    /// What happened.
    words: String,
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
    pub fn new(kind: ErrorKind, peer: &str, words: impl Into<String>) -> Error {
        Error { kind, peer: peer.to_owned(), words: words.into() }
    }

    /// As said after `name`: the peer is left out where the name tells it.
    pub fn after(self, name: &str) -> String {
        match name.contains(&self.peer) {
            true => self.words,
            false => self.to_string(),
        }
    }

    /// Classifies an error of an established connection to `peer`.
    pub(super) fn from_io(peer: &str, error: &io::Error) -> Error {
        if let Some(reason) = tls::describe(error) {
            return Error::new(ErrorKind::Tls, peer, reason);
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Closed, peer, format!("closed the connection ({error})"))
            }
            _ => Error::new(ErrorKind::Io, peer, error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.peer, self.words)
    }
}

impl std::error::Error for Error {}
