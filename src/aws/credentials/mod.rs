//! Credentials: where they come from (AWS SDKs' default provider chain), what the answers look
//! like, and when they are fetched again.
//!
//! [`source`] chooses and [`parse`] reads, both pure; [`fetch`] and [`sts`] ask; [`provider`] keeps
//! one set for all who sign with it. Left out: shared configuration files, SSO, credential
//! processes, which a scratch container does not have.

pub mod fetch;
pub mod parse;
pub mod provider;
pub mod source;
pub mod sts;

use std::fmt;

pub use provider::Provider;
pub use source::{Role, Source};

/// One set of keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// None: they do not expire.
    pub expires_ms: Option<i64>,
    /// The role they belong to, where the source says so.
    pub role: Option<String>,
}

impl Credentials {
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("access_key_id", &"***")
            .field("expires_ms", &self.expires_ms)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
