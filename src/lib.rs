//! otlet: a telemetry collector for Amazon ECS and AWS Fargate in one static binary.
//!
//! The map of the house; a room knows the rooms listed below it and none above:
//! [`run`] → [`flags`] → [`admin`] | [`receive`] | [`export`] → [`pipeline`] → [`translate`] →
//! [`aws`] → [`net`], [`codec`] → [`model`] → [`observe`]. Receivers and exporters never know each
//! other.

#![deny(unsafe_code)]

pub mod admin;
pub mod aws;
pub mod codec;
pub mod export;
pub mod flags;
pub mod model;
pub mod net;
pub mod observe;
pub mod pipeline;
pub mod receive;
pub mod run;
pub mod translate;
