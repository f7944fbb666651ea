//! Credentials: what they are, where they come from, and when they are fetched again.

use std::fmt;

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

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("access_key_id", &"***")
            .field("expires_ms", &self.expires_ms)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
