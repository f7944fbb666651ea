//! What the benchmarks share: a page of realistic shape, a target that serves it, a receiver that
//! counts what it is sent.

pub mod page;
pub mod servers;
