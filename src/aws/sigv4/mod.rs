//! AWS Signature Version 4 in header form: a request in, header lines out.
//!
//! Pure; the time is given. The header `x-amz-content-sha256` is sent (and signed) to the services
//! that require it, which are S3's and OpenSearch Serverless. Left out: signatures in the query,
//! streaming payloads, SigV4A.
//!
//! Invariant: what is signed is what is sent. The caller writes the target and the headers into its
//! request exactly as it gave them here.

pub mod canonical;

use std::fmt::Write;

use ring::{digest, hmac};

use super::credentials::Credentials;
use super::time::amz_date;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The Host header.
    pub host: &'a str,
    /// Path and query, as in the request line.
    pub target: &'a str,
    /// The other headers. Those that proxies may change are not signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// From [`PayloadHash`]; of the body as sent, after compression.
    pub payload_hash: &'a str,
}

/// Where a signature is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
}

/// Hashes a body piece by piece.
pub struct PayloadHash(digest::Context);

impl Default for PayloadHash {
    fn default() -> PayloadHash {
        PayloadHash(digest::Context::new(&digest::SHA256))
    }
}

impl PayloadHash {
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Lower-case hexadecimal.
    pub fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        push_hex(self.0.finish().as_ref(), &mut text);
        text
    }

    /// The hash of a whole body, which is short.
    pub fn of(body: &[&[u8]]) -> String {
        let mut hash = PayloadHash::default();
        for piece in body {
            hash.update(piece);
        }
        hash.finish()
    }
}

/// The key for one day, and what it was made of.
struct DayKey {
    secret: String,
    /// `date/region/service/aws4_request`
    scope: String,
    key: hmac::Key,
}

/// Signs; keeps the day's key and the buffers.
#[derive(Default)]
pub struct SigV4 {
    day_key: Option<DayKey>,
    canonical: String,
    to_sign: String,
}

impl SigV4 {
    /// Appends the signature's header lines for `request`, each ended by CRLF, to `out`.
    pub fn sign(
        &mut self,
        request: &Request<'_>,
        credentials: &Credentials,
        scope: Scope<'_>,
        unix_ms: i64,
        out: &mut String,
    ) {
        let time = amz_date(unix_ms);
        let token = credentials.session_token.as_deref();
        let is_hash_sent = requires_hash(scope.service);
        let mut own = vec![("host", request.host), ("x-amz-date", &time)];
        own.extend(token.map(|token| ("x-amz-security-token", token)));
        own.extend(is_hash_sent.then_some(("x-amz-content-sha256", request.payload_hash)));
        let headers = canonical::signed_headers(request.headers, &own);
        self.write_canonical(request, &headers, scope.service);
        let signature = self.signature(&credentials.secret_access_key, scope, &time);

        let _ = write!(out, "Authorization: {ALGORITHM} Credential={}/", credentials.access_key_id);
        out.push_str(self.day_key.as_ref().map_or("", |key| &key.scope));
        out.push_str(", SignedHeaders=");
        canonical::write_names(&headers, out);
        out.push_str(", Signature=");
        push_hex(signature.as_ref(), out);
        let _ = write!(out, "\r\nX-Amz-Date: {time}\r\n");
        if let Some(token) = token {
            let _ = write!(out, "X-Amz-Security-Token: {token}\r\n");
        }
        if is_hash_sent {
            let _ = write!(out, "X-Amz-Content-Sha256: {}\r\n", request.payload_hash);
        }
    }

    fn write_canonical(
        &mut self,
        request: &Request<'_>,
        headers: &[canonical::Header<'_>],
        service: &str,
    ) {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let out = &mut self.canonical;
        out.clear();
        out.push_str(request.method);
        out.push('\n');
        if is_s3(service) {
            // The path's own encoding is the only one.
            out.push_str(path);
        } else {
            canonical::write_path(path, out);
        }
        out.push('\n');
        canonical::write_query(query, out);
        out.push('\n');
        canonical::write_headers(headers, out);
        out.push('\n');
        canonical::write_names(headers, out);
        out.push('\n');
        out.push_str(request.payload_hash);
    }

    /// The signature of the canonical request.
    fn signature(&mut self, secret: &str, scope: Scope<'_>, time: &str) -> hmac::Tag {
        let date = &time[..8];
        let scope_text = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
        self.to_sign.clear();
        let _ = write!(self.to_sign, "{ALGORITHM}\n{time}\n{scope_text}\n");
        let hash = digest::digest(&digest::SHA256, self.canonical.as_bytes());
        push_hex(hash.as_ref(), &mut self.to_sign);

        let is_fresh = |key: &DayKey| key.scope == scope_text && key.secret == secret;
        let day_key = match self.day_key.take().filter(is_fresh) {
            Some(key) => key,
            None => {
                let key = derive_key(secret, date, scope);
                DayKey { secret: secret.to_owned(), scope: scope_text, key }
            }
        };
        let signature = hmac::sign(&day_key.key, self.to_sign.as_bytes());
        self.day_key = Some(day_key);
        signature
    }
}

fn derive_key(secret: &str, date: &str, scope: Scope<'_>) -> hmac::Key {
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for part in [date, scope.region, scope.service, "aws4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    key
}

fn is_s3(service: &str) -> bool {
    service == "s3" || service.starts_with("s3-") || service == "s3express"
}

fn requires_hash(service: &str) -> bool {
    is_s3(service) || service == "aoss"
}

fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests;
