//! HTTP/1.1 and 1.0 (RFC 9110, RFC 9112): a client with one kept connection, and a small server.
//!
//! [`head`] and [`body`] are pure: bytes in, values out. [`client`], [`response`], [`server`] and
//! [`incoming`] move the bytes. Left out: upgrades, pipelining by the client, content codings,
//! trailers (read and dropped), folded header lines (refused).

pub mod body;
pub mod client;
pub mod head;
pub mod incoming;
pub mod response;
pub mod server;

pub use client::{Client, Request};
pub use head::RequestHead;
pub use incoming::{Incoming, Waits};
pub use response::Response;
pub use server::{serve, serve_until, Answer};
