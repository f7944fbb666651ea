//! The client keys: what every component that connects out can be told about its peer.
//!
//! What these settings hold is never printed: `Debug` shows `***`, errors name the key alone.
//! Authentication is Basic (RFC 7617) or Bearer (RFC 6750); header names and values are checked
//! against RFC 9110 §5.5 and §5.6.2, so that no setting can smuggle a line into a request.

use std::fmt;
use std::time::Duration;

use super::Url;
use crate::codec::base64;
use crate::observe::log::hide;

/// Headers that the client writes itself; a setting may not replace them.
const OWN_HEADERS: [&str; 11] = [
    "host",
    "user-agent",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

/// A value that is shorter is no secret, and would make words unreadable.
const SECRET_BYTES_MIN: usize = 6;

/// What a peer's words must not repeat in a log line.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Overwrites what a peer's words have of them.
    pub fn hide(&self, words: &mut [u8]) {
        self.0.iter().for_each(|secret| hide(words, secret));
    }
}

/// Settings of one destination or target.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    pub username: Option<String>,
    pub password: Option<String>,
    pub bearer: Option<String>,
    /// `header.NAME=` in the order given.
    pub headers: Vec<(String, String)>,
    /// Certificates to trust instead of the built-in roots: a file, or the PEM text itself.
    pub tls_ca: Option<String>,
    /// The client's own certificate chain, as `tls_ca`.
    pub tls_cert: Option<String>,
    /// The client's private key, as `tls_ca`.
    pub tls_key: Option<String>,
    /// The name to ask for and to verify, instead of the address's host.
    pub tls_server_name: Option<String>,
    /// Accept any certificate.
    pub tls_insecure: bool,
    /// From the start of an exchange to its end; applied by whoever makes the exchange.
    pub timeout: Duration,
    pub proxy: Option<Url>,
    /// The destination's name in metrics and logs.
    pub name: Option<String>,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            username: None,
            password: None,
            bearer: None,
            headers: Vec::new(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            tls_server_name: None,
            tls_insecure: false,
            timeout: Duration::from_secs(30),
            proxy: None,
            name: None,
        }
    }
}

impl ClientConfig {
    /// Whether anything here concerns TLS.
    pub fn has_tls_keys(&self) -> bool {
        let texts = [&self.tls_ca, &self.tls_cert, &self.tls_key, &self.tls_server_name];
        self.tls_insecure || texts.iter().any(|text| text.is_some())
    }

    /// Authentication and custom headers as lines for a request. `reserved` are names that the
    /// caller's protocol fixes; setting them is an error, as it is for the client's own.
    pub fn render_headers(&self, reserved: &[&str]) -> Result<String, String> {
        let mut lines = String::new();
        if let Some(value) = self.authorization()? {
            lines.push_str(&format!("Authorization: {value}\r\n"));
        }
        for (name, value) in &self.headers {
            check_name(name)?;
            let lower = name.to_ascii_lowercase();
            let is_own = OWN_HEADERS.contains(&lower.as_str())
                || reserved.iter().any(|own| own.eq_ignore_ascii_case(name));
            if is_own {
                return Err(format!("header.{name}: this header is set by otlet itself"));
            }
            if lower == "authorization" && !lines.is_empty() {
                return Err("header.Authorization: give either this or username=, bearer=".into());
            }
            check_value(&format!("header.{name}"), value)?;
            lines.push_str(&format!("{name}: {}\r\n", value.trim()));
        }
        Ok(lines)
    }

    /// The values that authenticate, as they are sent and as they were given.
    pub fn secrets(&self) -> Secrets {
        let header = self.authorization().ok().flatten().unwrap_or_default();
        let credentials = header.split_once(' ').map(|(_, credentials)| credentials);
        let given = [credentials, self.password.as_deref(), self.bearer.as_deref()];
        let headers = self.headers.iter().map(|(_, value)| value.as_str());
        let all = given.into_iter().flatten().chain(headers).map(str::trim);
        Secrets(all.filter(|text| text.len() >= SECRET_BYTES_MIN).map(str::to_owned).collect())
    }

    fn authorization(&self) -> Result<Option<String>, String> {
        match (&self.username, &self.password, &self.bearer) {
            (None, None, None) => Ok(None),
            (None, None, Some(token)) => {
                let token = token.trim();
                check_value("bearer", token)?;
                Ok(Some(format!("Bearer {token}")))
            }
            (Some(username), password, None) => {
                if username.contains(':') {
                    return Err("username: a colon cannot be part of it".to_owned());
                }
                let password = password.as_deref().unwrap_or_default();
                Ok(Some(format!(
                    "Basic {}",
                    base64::encode(format!("{username}:{password}").as_bytes())
                )))
            }
            (None, Some(_), _) => Err("password: needs username= too".to_owned()),
            (Some(_), _, Some(_)) => Err("bearer: give either this or username=".to_owned()),
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |value: &Option<String>| value.as_ref().map(|_| "***");
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| (name, "***")).collect();
        out.debug_struct("ClientConfig")
            .field("username", &secret(&self.username))
            .field("password", &secret(&self.password))
            .field("bearer", &secret(&self.bearer))
            .field("headers", &headers)
            .field("tls_ca", &secret(&self.tls_ca))
            .field("tls_cert", &secret(&self.tls_cert))
            .field("tls_key", &secret(&self.tls_key))
            .field("tls_server_name", &self.tls_server_name)
            .field("tls_insecure", &self.tls_insecure)
            .field("timeout", &self.timeout)
            .field("proxy", &self.proxy.as_ref().map(Url::to_string))
            .field("name", &self.name)
            .finish()
    }
}

/// A token of RFC 9110 §5.6.2.
fn check_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("header.{}: not a valid header name", name.escape_debug()));
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    if value.trim_end_matches(['\r', '\n']).chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("{key}: holds a control character or a line end"));
    }
    if value.trim().is_empty() {
        return Err(format!("{key}: is empty"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(keys: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::default();
        for (key, value) in keys {
            let value = (*value).to_owned();
            match *key {
                "username" => config.username = Some(value),
                "password" => config.password = Some(value),
                "bearer" => config.bearer = Some(value),
                name => config.headers.push((name.to_owned(), value)),
            }
        }
        config
    }

    fn ok(keys: &[(&str, &str)], lines: &str) {
        assert_eq!(config(keys).render_headers(&["Content-Type"]).as_deref(), Ok(lines));
    }

    fn bad(keys: &[(&str, &str)], message: &str) {
        let error = config(keys).render_headers(&["Content-Type"]).expect_err(message);
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("s3cret") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn headers_are_rendered_in_order() {
        ok(&[], "");
        ok(
            &[("username", "Aladdin"), ("password", "open sesame")],
            "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
        );
        ok(&[("username", "u")], "Authorization: Basic dTo=\r\n");
        ok(&[("bearer", "abc\n")], "Authorization: Bearer abc\r\n");
        ok(&[("X-Scope-OrgID", "t1"), ("b", " x\ty ")], "X-Scope-OrgID: t1\r\nb: x\ty\r\n");
        ok(&[("authorization", "Token x")], "authorization: Token x\r\n");
    }

    #[test]
    fn bad_headers_are_refused_without_showing_them() {
        bad(&[("password", "s3cret")], "needs username");
        bad(&[("username", "a:s3cret")], "colon");
        bad(&[("username", "u"), ("bearer", "s3cret")], "either");
        bad(&[("bearer", "s3cret"), ("Authorization", "x")], "either");
        bad(&[("bearer", "s3cret\r\nx: y")], "line end");
        bad(&[("bearer", " ")], "empty");
        bad(&[("a", "s3cret\nx")], "line end");
        bad(&[("a", "s3cret\0")], "control");
        bad(&[("a b", "s3cret")], "valid header name");
        bad(&[("a\r\nb", "s3cret")], "valid header name");
        bad(&[("", "s3cret")], "valid header name");
        bad(&[("HOST", "s3cret")], "otlet itself");
        bad(&[("Content-length", "5")], "otlet itself");
        bad(&[("content-type", "text/plain")], "otlet itself");
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut config = config(&[("username", "s3c1"), ("password", "s3c2"), ("bearer", "s3c3")]);
        config.headers.push(("x".to_owned(), "s3c4".to_owned()));
        config.tls_key = Some("s3c5".to_owned());
        let shown = format!("{config:?}");
        assert!(shown.contains("***") && !shown.contains("s3c"), "{shown}");
    }

    #[test]
    fn secrets_are_hidden_as_given_and_as_sent() {
        let config = ClientConfig {
            username: Some("u".to_owned()),
            password: Some("password".to_owned()),
            headers: vec![("X-Key".to_owned(), " header-key ".to_owned())],
            ..ClientConfig::default()
        };
        let sent = base64::encode(b"u:password");
        let mut words = format!("Basic {sent} is password; header-key; u").into_bytes();
        config.secrets().hide(&mut words);
        let stars = "*".repeat(sent.len());
        assert_eq!(words, format!("Basic {stars} is ********; **********; u").as_bytes());
        let bearer = ClientConfig { bearer: Some("token-1".to_owned()), ..ClientConfig::default() };
        let mut words = b"token-1 token-2".to_vec();
        bearer.secrets().hide(&mut words);
        assert_eq!(words, b"******* token-2");
    }
}
