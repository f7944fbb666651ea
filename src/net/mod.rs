//! The outside world: event loop and timers, sockets, HTTP/1 and 2, TLS, names, signals.
//!
//! No other room names smol or async-io; the loop's implementation can be exchanged here alone.

pub mod client_config;
pub mod clock;
pub mod connect;
mod connections;
pub mod datagram;
pub mod dns;
mod epoll;
pub mod error;
pub mod event_loop;
pub mod http1;
pub mod http2;
pub mod notify;
pub mod signals;
mod socket;
mod stdio;
pub mod stream;
pub mod sys;
pub mod tcp;
pub mod tls;
pub mod url;

pub use client_config::{ClientConfig, Secrets};
pub use connect::Connector;
pub use datagram::DatagramSocket;
pub use dns::Resolver;
pub use error::{Error, ErrorKind};
pub use event_loop::{
    either, run, sleep, sleep_until, spawn, timeout, timeout_at, yield_now, Elapsed, Task,
};
pub use notify::Notify;
pub use signals::{Signal, Signals};
pub use stdio::writable;
pub use stream::Stream;
pub use tcp::Listener;
pub use url::{Scheme, Url};
