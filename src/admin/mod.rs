//! The admin port: health, metrics and status of the program itself.

mod config;

pub use config::Config;
