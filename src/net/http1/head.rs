//! Heads of requests and responses (RFC 9112 §2 to §6), and what they say about the body's length.
//!
//! Lenient where it is harmless: line ends may be LF alone, blank lines may come first, the reason
//! may be missing. Strict where two readers could disagree about the length of a body: repeated
//! Content-Length must agree, and a request may not have both Content-Length and Transfer-Encoding.

use std::fmt;
use std::ops::Range;

/// Longest head of a response; a longer one is an error.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest head of a request; a longer one is answered 431.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header lines; more are an error, for requests 431.
pub const HEADERS_MAX: usize = 64;

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Why a head cannot be used, and the status a server answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadError {
    pub status: u16,
    pub reason: String,
}

impl HeadError {
    fn new(status: u16, reason: impl Into<String>) -> HeadError {
        HeadError { status, reason: reason.into() }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

/// Header lines, as they came.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where names and values stand in `bytes`.
    spans: Vec<(Range<u16>, Range<u16>)>,
}

impl Fields {
    fn copy(lines: &[httparse::Header<'_>]) -> Fields {
        let mut fields = Fields::default();
        for line in lines {
            let name = fields.push(line.name.as_bytes());
            let value = fields.push(line.value);
            fields.spans.push((name, value));
        }
        fields
    }

    /// Heads are limited to 16 KiB, so that offsets fit.
    fn push(&mut self, bytes: &[u8]) -> Range<u16> {
        let start = self.bytes.len() as u16;
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len() as u16
    }

    fn at(&self, span: &Range<u16>) -> &[u8] {
        &self.bytes[usize::from(span.start)..usize::from(span.end)]
    }

    /// The values of all lines with this name, whatever its case.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.spans
            .iter()
            .filter(|(field, _)| self.at(field).eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| self.at(value).trim_ascii())
    }

    /// All lines whose values are UTF-8, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().filter_map(|(name, value)| {
            let text = |span| std::str::from_utf8(self.at(span)).ok().map(str::trim);
            Some((text(name)?, text(value)?))
        })
    }

    /// The first value with this name, if it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.all(name).next()?;
        std::str::from_utf8(value).ok()
    }

    /// Whether a comma-separated field holds this token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// RFC 9112 §9.3: persistent unless told otherwise, the other way round in HTTP/1.0.
    fn is_keep_alive(&self, minor_version: u8) -> bool {
        match minor_version {
            0 => self.has_token("connection", "keep-alive"),
            _ => !self.has_token("connection", "close"),
        }
    }

    fn content_length(&self) -> Result<Option<u64>, HeadError> {
        let mut length = None;
        let items = self.all("content-length").flat_map(|value| value.split(|&b| b == b','));
        for item in items {
            let Some(value) = parse_decimal(item.trim_ascii()) else {
                return Err(HeadError::new(400, "content-length is not a number"));
            };
            if length.is_some_and(|other| other != value) {
                return Err(HeadError::new(400, "content-length is given twice and differs"));
            }
            length = Some(value);
        }
        Ok(length)
    }

    /// Whether the body is chunked; any other coding is refused.
    fn is_chunked(&self) -> Result<bool, HeadError> {
        let mut codings = self
            .all("transfer-encoding")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty());
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(true),
            _ => Err(HeadError::new(501, "transfer-encoding other than chunked")),
        }
    }
}

/// Digits only: no sign, no blank.
fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The length of the head at the start of `bytes`, its blank line included; None while it is not
/// complete. `scanned` is the number of bytes that an earlier call has seen.
pub fn head_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let from = start.max(scanned.saturating_sub(2));
    for line_end in memchr::memchr_iter(b'\n', bytes.get(from..)?) {
        let next = from + line_end + 1;
        match &bytes[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => {}
        }
    }
    None
}

/// False when `bytes` cannot become a response, however they go on.
pub fn may_be_response(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let begin = &bytes[start.unwrap_or(bytes.len())..];
    let version = b"HTTP/1.";
    let len = begin.len().min(version.len());
    begin[..len] == version[..len]
}

/// The head of a response.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    pub minor_version: u8,
    pub status: u16,
    pub fields: Fields,
}

impl ResponseHead {
    /// Parses one whole head, as [`head_len`] cut it.
    pub fn parse(bytes: &[u8]) -> Result<ResponseHead, HeadError> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut lines);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError::new(400, "incomplete head")),
            Err(error) => return Err(describe(error)),
        }
        let minor_version = parsed.version.unwrap_or(1);
        let status = parsed.code.unwrap_or(0);
        if !(100..=999).contains(&status) {
            return Err(HeadError::new(400, format!("status {status}")));
        }
        Ok(ResponseHead { minor_version, status, fields: Fields::copy(parsed.headers) })
    }

    /// How the body of the response to such a request ends (RFC 9112 §6.3).
    pub fn framing(&self, method: &str) -> Result<Framing, HeadError> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Empty);
        }
        if self.fields.is_chunked()? {
            return Ok(Framing::Chunked);
        }
        Ok(match self.fields.content_length()? {
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }

    /// Whether the server keeps the connection. One that gives both length and chunks is not
    /// trusted to have meant the same (RFC 9112 §6.3).
    pub fn is_keep_alive(&self) -> bool {
        let is_ambiguous = self.fields.all("transfer-encoding").next().is_some()
            && self.fields.all("content-length").next().is_some();
        self.fields.is_keep_alive(self.minor_version) && !is_ambiguous
    }
}

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    pub method: String,
    /// As sent; the absolute form is reduced to path and query.
    pub target: String,
    pub minor_version: u8,
    pub fields: Fields,
}

impl RequestHead {
    /// Parses one whole head, as [`head_len`] cut it.
    pub fn parse(bytes: &[u8]) -> Result<RequestHead, HeadError> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError::new(400, "incomplete head")),
            Err(error) => return Err(describe(error)),
        }
        let target = parsed.path.unwrap_or("/");
        let head = RequestHead {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: origin_form(target).to_owned(),
            minor_version: parsed.version.unwrap_or(1),
            fields: Fields::copy(parsed.headers),
        };
        // RFC 9112 §3.2.
        let hosts = head.fields.all("host").count();
        if hosts > 1 || (hosts == 0 && head.minor_version > 0) {
            return Err(HeadError::new(400, "needs exactly one Host header"));
        }
        Ok(head)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// How the body ends; without a length there is none.
    pub fn framing(&self) -> Result<Framing, HeadError> {
        let length = self.fields.content_length()?;
        let has_coding = self.fields.all("transfer-encoding").next().is_some();
        if has_coding && (length.is_some() || self.minor_version == 0) {
            return Err(HeadError::new(400, "transfer-encoding does not fit here"));
        }
        Ok(match length {
            _ if self.fields.is_chunked()? => Framing::Chunked,
            None | Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        })
    }

    /// Whether another request may follow; HTTP/1.0 clients get a connection for each.
    pub fn is_keep_alive(&self) -> bool {
        self.minor_version > 0 && self.fields.is_keep_alive(self.minor_version)
    }

    /// The client waits for permission to send the body (RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.minor_version > 0 && self.fields.has_token("expect", "100-continue")
    }
}

// http://host:port/path?query
//                 ^ what an origin server needs
fn origin_form(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    }
}

fn describe(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => {
            HeadError::new(431, format!("more than {HEADERS_MAX} headers"))
        }
        httparse::Error::Version => HeadError::new(505, "not HTTP/1.0 or HTTP/1.1"),
        other => HeadError::new(400, other.to_string()),
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
