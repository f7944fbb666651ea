//! Exporters: one room per way out, and what they share. They never know a receiver.

pub mod account;
pub mod queue;
pub mod remote_write;
pub mod retry;
pub mod stdout;
pub mod xray;
