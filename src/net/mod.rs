//! The outside world: event loop and timers, sockets, HTTP/1, TLS, names, signals.
//!
//! No other room names smol or async-io; the loop's implementation can be exchanged here alone.

pub mod clock;
pub mod dns;
pub mod event_loop;
pub mod notify;
pub mod signals;
pub mod sys;
pub mod udp;

pub use dns::Resolver;
pub use event_loop::{run, sleep, sleep_until, spawn, timeout, yield_now, Elapsed, Task};
pub use notify::Notify;
pub use signals::{Signal, Signals};
pub use udp::UdpSocket;
