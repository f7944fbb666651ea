//! The ECS task metadata endpoint, version 4: the documents `/task` and `/task/stats` as values
//! (Amazon ECS Developer Guide, "Task metadata endpoint version 4"; the statistics inside are
//! Docker's `ContainerStats`).
//!
//! Everything is optional and everything unknown is passed over: `null`, `{}`, missing keys and
//! values of another type read as absent and cost nothing but themselves. Only text that is not
//! JSON, or a document of another kind, is refused. Texts are borrowed from the document. Left out:
//! asking for the documents, and the paths `/taskWithTags` and `/tasks`.

mod arn;
mod identity;
mod stats;
mod task;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use crate::codec::json;

pub use arn::Arn;
pub use identity::{identity, identity_from_uri, service_name};
pub use stats::{parse_stats, sum, Cpu, Device, Interface, Memory, Stats, StatsEntry};
pub use task::{parse_task, Container, EphemeralStorage, Health, Limits, ScrapeLabels, Task};

/// Most containers read of one task, and most statistics; more are passed over. Ten are the most
/// that a task definition can have, a few more are ECS's own.
pub const CONTAINERS_MAX: usize = 64;
/// Most network interfaces read of one container; more are passed over.
pub const INTERFACES_MAX: usize = 32;
/// Most block devices read of one container; more are passed over.
pub const DEVICES_MAX: usize = 64;
/// Longest text taken; a longer one reads as absent. ARNs, the longest, end at 2,048 bytes.
pub const TEXT_BYTES_MAX: usize = 2048;

pub const BYTES_PER_MIB: u64 = 1_048_576;
pub const CPU_UNITS_PER_VCPU: f64 = 1024.0;

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not JSON, or cut short.
    Json(json::Error),
    /// JSON, but not the document that was asked for.
    Other(&'static str),
}

impl From<json::Error> for Error {
    fn from(error: json::Error) -> Error {
        Error::Json(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Json(error) => write!(f, "not JSON: {error}"),
            Error::Other(what) => f.write_str(what),
        }
    }
}
