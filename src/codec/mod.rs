//! Formats: bytes to values and back, without I/O, clock or environment.

pub mod crc32;
pub mod deflate;
pub mod gzip;
pub mod prometheus;
pub mod snappy;
pub mod statsd;
pub mod json;
pub mod rfc3339;
