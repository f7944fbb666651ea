//! What `--from-otlp` settles.

use std::net::SocketAddr;

/// Settings of the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// None is off.
    pub grpc: Option<SocketAddr>,
    /// None is off.
    pub http: Option<SocketAddr>,
    /// Longest body, decompressed.
    pub body_bytes_max: usize,
    /// Origins whose pages may send, `*` within one standing for anything; none switches CORS off.
    pub cors: Vec<String>,
}
