//! The canonical form of a request that is hashed and signed (AWS Signature Version 4, "Create a
//! canonical request").
//!
//! Paths are normalised and encoded once more, as every service but S3 has it. Query parameters are
//! decoded and encoded again, then sorted as pairs of encoded key and value. Headers that a proxy
//! may change on the way are left out.

use std::fmt::Write;

/// Headers never signed: hops on the way may change or add them, or they are the signature's own.
const UNSIGNED: [&str; 21] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "user-agent",
    "via",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amzn-trace-id",
    "x-forwarded-for",
];

/// One header to sign: its name in lower case, and its value as sent.
pub type Header<'a> = (String, &'a str);

/// The headers of a request that get signed, in the order of their names. `own` are those that the
/// signature adds; where the request has one of the same name it is left out.
pub fn signed_headers<'a>(headers: &[(&str, &'a str)], own: &[(&str, &'a str)]) -> Vec<Header<'a>> {
    let mut signed: Vec<Header<'a>> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), *value))
        .filter(|(name, _)| !UNSIGNED.contains(&name.as_str()) && !name.starts_with("proxy-"))
        .collect();
    signed.extend(own.iter().map(|(name, value)| ((*name).to_owned(), *value)));
    // Stable: values of one name stay in the order in which they are sent.
    signed.sort_by(|a, b| a.0.cmp(&b.0));
    signed
}

/// The names, joined by `;`, each once.
pub fn write_names(headers: &[Header<'_>], out: &mut String) {
    let mut last = "";
    for (name, _) in headers {
        if name != last {
            if !last.is_empty() {
                out.push(';');
            }
            out.push_str(name);
        }
        last = name;
    }
}

/// One line `name:value` for each name, every one ended.
pub fn write_headers(headers: &[Header<'_>], out: &mut String) {
    let mut last = "";
    for (name, value) in headers {
        if name == last {
            // Repeated: one line, the values joined by commas.
            out.pop();
            out.push(',');
        } else {
            out.push_str(name);
            out.push(':');
        }
        for (at, word) in value.split_ascii_whitespace().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            out.push_str(word);
        }
        out.push('\n');
        last = name;
    }
}

/// The canonical path of one as it stands in the request line.
pub fn write_path(path: &str, out: &mut String) {
    push_encoded(normal_path(path).as_bytes(), b"/", out);
}

/// Without dot segments and repeated slashes; a slash at the end stays.
pub fn normal_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// The canonical query of one as it stands in the request line, without its `?`.
pub fn write_query(query: &str, out: &mut String) {
    let encoded = |part: &str| {
        let mut text = String::with_capacity(part.len());
        push_encoded(&decode(part), b"", &mut text);
        text
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (encoded(key), encoded(value)))
        .collect();
    pairs.sort();
    for (at, (key, value)) in pairs.iter().enumerate() {
        let separator = if at == 0 { "" } else { "&" };
        let _ = write!(out, "{separator}{key}={value}");
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 §2.3 and those in `kept`.
pub fn push_encoded(bytes: &[u8], kept: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Undoes percent-encoding; a `%` without two hexadecimal digits stands for itself, as does `+`.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&str, &mut String), text: &str) -> String {
        let mut out = String::new();
        write(text, &mut out);
        out
    }

    #[test]
    fn paths() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/./a", "/a"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/../../a", "/a"),
            ("//a//", "/a/"),
            ("/a/b/", "/a/b/"),
            ("/a/.b/..c", "/a/.b/..c"),
            ("/a b/%2F/c", "/a%20b/%252F/c"),
            ("/ሴ", "/%E1%88%B4"),
            ("/~a-b_c.d", "/~a-b_c.d"),
            ("/a:b@c,d;e=f+g", "/a%3Ab%40c%2Cd%3Be%3Df%2Bg"),
        ] {
            assert_eq!(written(write_path, path), expected, "{path}");
        }
    }

    #[test]
    fn queries() {
        for (query, expected) in [
            ("", ""),
            ("e", "e="),
            ("&&a=1&", "a=1"),
            ("b=2&a-1=x&a=1&a=0&e=&sp=a%20b&pl=a%2Bb", "a=0&a=1&a-1=x&b=2&e=&pl=a%2Bb&sp=a%20b"),
            ("Param-3=1&Param=2", "Param=2&Param-3=1"),
            ("P=1&ሴ=2", "%E1%88%B4=2&P=1"),
            ("a=b=c/d", "a=b%3Dc%2Fd"),
            ("a=+%2b%zz%", "a=%2B%2B%25zz%25"),
            ("a=2&a=10&A=3", "A=3&a=10&a=2"),
        ] {
            assert_eq!(written(write_query, query), expected, "{query}");
        }
    }

    #[test]
    fn headers() {
        let given = [
            ("Zoo", "1"),
            ("my-Header", "  a   b\t c "),
            ("My-Header", "\"d   e\""),
            ("User-Agent", "x"),
            ("Proxy-Authorization", "x"),
            ("X-Amz-Date", "forged"),
            ("folded", "a\r\n  b"),
        ];
        let signed = signed_headers(&given, &[("host", "h"), ("x-amz-date", "now")]);
        let (mut names, mut lines) = (String::new(), String::new());
        write_names(&signed, &mut names);
        write_headers(&signed, &mut lines);
        assert_eq!(names, "folded;host;my-header;x-amz-date;zoo");
        assert_eq!(lines, "folded:a b\nhost:h\nmy-header:a b c,\"d e\"\nx-amz-date:now\nzoo:1\n");
    }
}
