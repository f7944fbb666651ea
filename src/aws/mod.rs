//! Amazon Web Services: what it asks of a client (signatures, credentials, regions, endpoints, a
//! clock that is right), and what a task can learn of itself.

pub mod clock_skew;
pub mod credentials;
pub mod environment;
pub mod json;
#[cfg(test)]
mod random_tests;
pub mod region;
pub mod service_error;
pub mod signer;
pub mod sigv4;
pub mod task_metadata;
pub mod time;
pub mod xml;

pub use environment::Environment;
pub use service_error::{Refusal, ServiceError};
pub use signer::{signable, Advice, Aws, SigV4Config, Signer};
