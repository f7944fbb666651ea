//! What AWS asks of a client: signatures, credentials, regions, endpoints, and a clock that is right.

pub mod credentials;
pub mod json;
pub mod sigv4;
pub mod time;
