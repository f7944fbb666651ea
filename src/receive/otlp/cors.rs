//! Cross-origin requests (Fetch standard, "HTTP extensions"): which web pages may send here.
//!
//! A browser asks before it sends JSON or protobuf, and hides an answer that does not name its
//! page's origin. An origin that is not on the list is answered as if there were no CORS.

use crate::net::http1::{Answer, RequestHead};

/// How long a browser may remember the permission.
const MAX_AGE_S: u32 = 7200;

/// The origins that may send.
pub struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub fn new(origins: &[String]) -> Cors {
        Cors { origins: origins.iter().map(|origin| origin.to_ascii_lowercase()).collect() }
    }

    /// The answer to a browser's question, if it is one that is to be answered.
    pub fn preflight(&self, head: &RequestHead) -> Option<Answer> {
        if head.method != "OPTIONS" || self.origins.is_empty() {
            return None;
        }
        head.header("access-control-request-method")?;
        let mut answer = Answer { status: 204, ..Answer::default() };
        if self.allow(head, &mut answer) {
            let wanted = head.header("access-control-request-headers").unwrap_or("content-type");
            let lines = format!(
                "Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: {}\r\n\
                 Access-Control-Max-Age: {MAX_AGE_S}\r\n",
                if is_field_list(wanted) { wanted } else { "content-type" },
            );
            answer.headers.push_str(&lines);
        }
        Some(answer)
    }

    /// Lets the page that sent this see the answer; false when it may not.
    pub fn allow(&self, head: &RequestHead, answer: &mut Answer) -> bool {
        if self.origins.is_empty() {
            return false;
        }
        // Whoever caches the answer must keep those of different pages apart.
        answer.headers.push_str("Vary: Origin\r\n");
        let Some(origin) = head.header("origin").filter(|origin| self.knows(origin)) else {
            return false;
        };
        let lines = format!(
            "Access-Control-Allow-Origin: {origin}\r\n\
             Access-Control-Expose-Headers: Retry-After\r\n"
        );
        answer.headers.push_str(&lines);
        true
    }

    fn knows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let is_clean = !origin.is_empty() && origin.bytes().all(|byte| byte.is_ascii_graphic());
        is_clean && self.origins.iter().any(|pattern| matches(pattern, &origin))
    }
}

/// Whether `text` is what `pattern` says, `*` in it standing for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut middle: Vec<&str> = parts.collect();
    let Some(last) = middle.pop() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Header names and commas: nothing that could end the line it is repeated in.
fn is_field_list(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let ok = |pattern, text| assert!(matches(pattern, text), "{pattern} {text}");
        ok("*", "https://a.example");
        ok("https://a.example", "https://a.example");
        ok("https://*.example", "https://a.b.example");
        ok("http*://a:*", "https://a:8080");
        let bad = |pattern, text| assert!(!matches(pattern, text), "{pattern} {text}");
        bad("https://a.example", "https://a.example.evil");
        bad("https://*.example", "https://a.example.evil");
        bad("https://*.example", "http://a.example");
        bad("ab*ba", "aba");
        bad("a*b*c", "acb");
    }

    fn head(text: &str) -> RequestHead {
        RequestHead::parse(format!("{text}\r\nHost: x\r\n\r\n").as_bytes()).unwrap()
    }

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&origins.iter().map(|origin| origin.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn questions_of_browsers() {
        let ask = "OPTIONS / HTTP/1.1\r\nOrigin: https://a.example\r\n\
                   Access-Control-Request-Method: POST\r\n\
                   Access-Control-Request-Headers: content-type,x-key";
        let answer = cors(&["https://A.example"]).preflight(&head(ask)).unwrap();
        assert_eq!(
            (answer.status, answer.headers.as_str()),
            (
                204,
                "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n\
                 Access-Control-Expose-Headers: Retry-After\r\n\
                 Access-Control-Allow-Methods: POST\r\n\
                 Access-Control-Allow-Headers: content-type,x-key\r\n\
                 Access-Control-Max-Age: 7200\r\n"
            )
        );
        let strange = ask.replace("x-key", "x;y");
        let answer = cors(&["*"]).preflight(&head(&strange)).unwrap();
        assert!(answer.headers.contains("Allow-Headers: content-type\r\n"), "{answer:?}");
        let answer = cors(&["https://b.example"]).preflight(&head(ask)).unwrap();
        assert_eq!((answer.status, answer.headers.as_str()), (204, "Vary: Origin\r\n"));
        assert_eq!(cors(&[]).preflight(&head(ask)), None);
        assert_eq!(cors(&["*"]).preflight(&head("OPTIONS / HTTP/1.1")), None);
        assert_eq!(cors(&["*"]).preflight(&head(&ask.replace("OPTIONS", "GET"))), None);
    }
}
