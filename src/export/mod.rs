//! Exporters: one room per way out, and what they share. They never know a receiver.

pub mod remote_write;
pub mod stdout;
