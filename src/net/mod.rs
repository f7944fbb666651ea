//! The outside world: event loop and timers, sockets, HTTP/1, TLS, names, signals.
//!
//! No other room names smol or async-io; the loop's implementation can be exchanged here alone.

pub mod clock;
pub mod dns;
pub mod event_loop;
pub mod notify;
mod stdio;

pub use event_loop::{either, run, sleep, sleep_until, spawn, timeout, timeout_at, yield_now, Elapsed, Task};
pub use notify::Notify;
pub use stdio::writable;
