//! What the program knows about itself: counters, the memory budget, the log.
//!
//! Known to every room, knowing none. Everything here lives on the one thread.

pub mod budget;
pub mod log;
pub mod metrics;
pub mod output;
pub mod process;

pub use budget::{Budget, Reservation};
pub use metrics::{Counter, Registry};
