//! Amazon Web Services: what a task can learn of itself.

pub mod task_metadata;
