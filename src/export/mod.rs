//! Exporters: one room per way out, and what they share. They never know a receiver.

pub mod account;
pub mod delivery;
pub mod otlp;
pub mod outbox;
pub mod pace;
pub mod post;
pub mod queue;
pub mod remote_write;
pub mod retry;
pub mod stdout;
pub mod xray;
