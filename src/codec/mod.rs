//! Formats: bytes to values and back, without I/O, clock or environment.

pub mod base64;
pub mod crc32;
pub mod deflate;
pub mod deflate_fast;
pub mod grpc;
pub mod gzip;
pub mod json;
pub mod otlp;
pub mod prometheus;
pub mod protobuf;
pub mod rfc3339;
pub mod same_start;
pub mod snappy;
pub mod statsd;
pub mod utf8;
pub mod xray;
