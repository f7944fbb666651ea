//! The outside world: event loop and timers, sockets, HTTP/1, TLS, names, signals.
//!
//! No other room names smol or async-io; the loop's implementation can be exchanged here alone.

pub mod client_config;
pub mod clock;
pub mod connect;
pub mod dns;
pub mod error;
pub mod event_loop;
pub mod http1;
pub mod notify;
pub mod stream;
pub mod tcp;
pub mod tls;
pub mod url;

pub use client_config::ClientConfig;
pub use connect::Connector;
pub use error::{Error, ErrorKind};
pub use event_loop::{run, sleep, sleep_until, spawn, timeout, yield_now, Elapsed, Task};
pub use notify::Notify;
pub use stream::Stream;
pub use tcp::Listener;
pub use url::{Scheme, Url};
