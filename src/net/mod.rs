//! The outside world: event loop and timers, sockets, HTTP/1, TLS, names, signals.
//!
//! No other room names smol or async-io; the loop's implementation can be exchanged here alone.

pub mod clock;
pub mod dns;
pub mod event_loop;
pub mod notify;

pub use event_loop::{run, sleep, sleep_until, spawn, timeout, yield_now, Elapsed, Task};
pub use notify::Notify;
