//! Formats: bytes to values and back, without I/O, clock or environment.

pub mod json;
pub mod rfc3339;
