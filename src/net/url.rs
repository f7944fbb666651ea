//! Addresses of HTTP endpoints (RFC 3986, `http` and `https` only).
//!
//! Kept as given, so that the Host header and the `instance` label show what the user wrote. User
//! information is refused (credentials have their own keys), fragments are dropped, bytes that may
//! not stand in a request line are percent-encoded. A [`Url`] never holds a blank, a control
//! character or a byte outside ASCII: it can be written into a request as it is.

use std::fmt;

/// Longest address accepted.
const URL_BYTES_MAX: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub scheme: Scheme,
    /// Name or literal address, without the brackets of an IPv6 literal.
    pub host: String,
    /// The port given, else the scheme's.
    pub port: u16,
    pub port_given: bool,
    /// Path and query as the request line carries them; at least `/`.
    pub target: String,
}

impl Url {
    /// Parses an absolute address; the error is one line that says what was expected.
    pub fn parse(text: &str) -> Result<Url, String> {
        check_text(text)?;
        let Some((scheme, rest)) = text.split_once("://") else {
            let hint = text.trim_start_matches('/');
            return Err(format!("`{text}` has no scheme; write http://{hint} or https://{hint}"));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(format!("scheme must be http or https, not `{other}`")),
        };
        let authority_len = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(authority_len);
        let (host, port) = parse_authority(authority)?;
        let target = normal_target(tail);
        let port_given = port.is_some();
        let port = port.unwrap_or(scheme.port());
        Ok(Url { scheme, host: host.to_owned(), port, port_given, target })
    }

    /// Host and port as given: the Host header, and the `instance` of a target.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port_given {
            format!("{host}:{}", self.port)
        } else {
            host
        }
    }

    /// Host and port, always both: what is connected to.
    pub fn host_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The path, at least `/`.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Same scheme, host and port: one connection serves both.
    pub fn origin_eq(&self, other: &Url) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The address that a `Location` header means here (RFC 3986 §5.2).
    pub fn join(&self, location: &str) -> Result<Url, String> {
        check_text(location)?;
        if has_scheme(location) {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme.as_str()));
        }
        let reference = location.split('#').next().unwrap_or_default();
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let mut target = match path {
            "" => self.path().to_owned(),
            absolute if absolute.starts_with('/') => without_dots(absolute),
            relative => {
                let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{relative}"))
            }
        };
        let inherited = if path.is_empty() { self.query() } else { None };
        if let Some(query) = query.or(inherited) {
            target.push('?');
            target.push_str(query);
        }
        Ok(Url { target: normal_target(&target), ..self.clone() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}{}", self.scheme.as_str(), self.authority(), self.target)
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("address is longer than {URL_BYTES_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("address holds a control character".to_owned());
    }
    Ok(())
}

/// `scheme:` at the start, before any `/`, `?` or `#`.
fn has_scheme(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    end.is_some_and(|end| end > 0 && text[end..].starts_with(':'))
}

// [2001:db8::1]:8080    localhost:8080    example.com
fn parse_authority(authority: &str) -> Result<(&str, Option<u16>), String> {
    if authority.contains('@') {
        return Err(
            "credentials do not belong into the address; use username= and password=".into()
        );
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(format!("`{authority}` lacks the closing bracket"));
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("`{host}` is not an IPv6 address"));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, parse_port(port)?)),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!("expected :port after the bracket, not `{after}`")),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            return Err(format!("an IPv6 address needs brackets: [{authority}]"));
        }
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("address has no host".to_owned());
    }
    match host.chars().find(|&c| !c.is_ascii_alphanumeric() && !"-._~".contains(c)) {
        Some(bad) => Err(format!("host `{host}` may not hold `{bad}`")),
        None => Ok((host, port)),
    }
}

/// An empty port is the scheme's (RFC 3986 §3.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(format!("port must be 1 to 65535, not `{text}`")),
    }
}

/// Brackets around an IPv6 literal.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Drops the fragment, starts with `/`, percent-encodes what a request line cannot carry.
fn normal_target(tail: &str) -> String {
    let tail = tail.split('#').next().unwrap_or_default();
    let mut target = String::with_capacity(tail.len() + 1);
    if !tail.starts_with('/') {
        target.push('/');
    }
    for byte in tail.bytes() {
        if byte.is_ascii_graphic() {
            target.push(char::from(byte));
        } else {
            target.push_str(&format!("%{byte:02X}"));
        }
    }
    target
}

/// Resolves `.` and `..` in an absolute path (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path);
    let mut ends_in_folder = false;
    for segment in segments.split('/') {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    if ends_in_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, authority: &str, host_port: &str, target: &str) {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let parts = (url.authority(), url.host_port(), url.target.clone());
        assert_eq!(parts, (authority.into(), host_port.into(), target.into()), "{text}");
        assert_eq!(Url::parse(&url.to_string()), Ok(url), "{text}");
    }

    fn bad(text: &str, message: &str) {
        let error = Url::parse(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn addresses() {
        ok("http://a", "a", "a:80", "/");
        ok("HTTPS://A.b", "A.b", "A.b:443", "/");
        ok("http://a:8080/metrics?x=1&y=2#top", "a:8080", "a:8080", "/metrics?x=1&y=2");
        ok("http://a:80/", "a:80", "a:80", "/");
        ok("http://a:/x", "a", "a:80", "/x");
        ok("http://a?x", "a", "a:80", "/?x");
        ok("http://a#f", "a", "a:80", "/");
        ok("http://[::1]:9090/m", "[::1]:9090", "[::1]:9090", "/m");
        ok("https://[2001:db8::1]", "[2001:db8::1]", "[2001:db8::1]:443", "/");
        ok("http://127.0.0.1:1/a b/ü", "127.0.0.1:1", "127.0.0.1:1", "/a%20b/%C3%BC");
        ok("http://my_host.local/a@b:c", "my_host.local", "my_host.local:80", "/a@b:c");
    }

    #[test]
    fn bad_addresses_say_what_to_write() {
        bad("", "no scheme");
        bad("localhost:8080/metrics", "write http://localhost:8080/metrics");
        bad("//a/b", "write http://a/b");
        bad("ftp://a", "not `ftp`");
        bad("http://", "no host");
        bad("http://:80", "no host");
        bad("http:///x", "no host");
        bad("http://u:p@a/", "username=");
        bad("http://a:0", "1 to 65535");
        bad("http://a:65536", "1 to 65535");
        bad("http://a:+80", "1 to 65535");
        bad("http://a:80x", "1 to 65535");
        bad("http://::1/", "needs brackets");
        bad("http://[::1/", "closing bracket");
        bad("http://[a]/", "not an IPv6");
        bad("http://[::1]80/", "expected :port");
        bad("http://a b/", "may not hold ` `");
        bad("http://ü/", "may not hold `ü`");
        bad("http://a/\r\nX: y", "control");
        bad(&format!("http://a/{}", "x".repeat(URL_BYTES_MAX)), "longer than 8192");
    }

    #[test]
    fn redirects_join() {
        let base = Url::parse("http://a:1/b/c/d?q").unwrap();
        for (location, expected) in [
            ("https://x/y", "https://x/y"),
            ("//x:2/y", "http://x:2/y"),
            ("/y?z", "http://a:1/y?z"),
            ("y", "http://a:1/b/c/y"),
            ("./y/", "http://a:1/b/c/y/"),
            ("../y", "http://a:1/b/y"),
            ("../../../../y", "http://a:1/y"),
            ("..", "http://a:1/b/"),
            ("?z", "http://a:1/b/c/d?z"),
            ("", "http://a:1/b/c/d?q"),
            ("#f", "http://a:1/b/c/d?q"),
            ("y#f?x", "http://a:1/b/c/y"),
            ("y z", "http://a:1/b/c/y%20z"),
            ("/a:b", "http://a:1/a:b"),
            ("/x//y", "http://a:1/x//y"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected, "{location}");
        }
        for location in ["ftp://a", "http://", "a\nb", "mailto:x"] {
            assert!(base.join(location).is_err(), "{location}");
        }
    }

    #[test]
    fn origins() {
        let url = |text| Url::parse(text).unwrap();
        assert!(url("http://a/x").origin_eq(&url("http://A:80/y")));
        assert!(!url("http://a").origin_eq(&url("https://a")));
        assert!(!url("http://a").origin_eq(&url("http://a:81")));
        assert!(!url("http://a").origin_eq(&url("http://b")));
        assert_eq!(url("http://a/x?y?z").query(), Some("y?z"));
        assert_eq!(url("http://a/x?y").path(), "/x");
    }

    #[test]
    fn random_text_neither_panics_nor_breaks_a_request_line() {
        let words = ["http", "://", ":", "/", "?", "#", "[", "]", "::1", "@", "80", "ü", " ", ".."];
        let base = Url::parse("https://a/b/c").unwrap();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
                text.push_str(words[(state >> 40) as usize % words.len()]);
            }
            for url in [Url::parse(&text), base.join(&text)].into_iter().flatten() {
                let line = format!("{}{}", url.host_port(), url.target);
                assert!(line.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}: {line}");
                assert!(url.target.starts_with('/') && url.port > 0, "{text:?}");
                assert_eq!(Url::parse(&url.to_string()), Ok(url), "{text:?}");
            }
        }
    }
}
