//! What the benchmarks share: input of realistic shape, servers on loopback, and what is counted.

#![allow(dead_code)] // each benchmark uses its part

pub mod allocations;
pub mod otlp;
pub mod page;
pub mod process;
pub mod servers;
