//! otlet: a telemetry collector for Amazon ECS and AWS Fargate in one static binary.

pub mod aws;
pub mod codec;
pub mod export;
pub mod model;
pub mod net;
pub mod observe;
pub mod receive;
