//! The error in the body of an AWS service's refusal: JSON of several spellings, or XML of the
//! query protocol (AWS JSON 1.0/1.1, REST-JSON and Query protocols).
//!
//! Bodies are foreign and may be cut; what cannot be read is an empty code and message. Messages
//! about bad signatures repeat the canonical request, session token included: all from there on is
//! left out.

use super::json::Members;
use super::xml::text_of;
use crate::observe::log::shorten;

/// Characters of a message that a log line gets.
const MESSAGE_CHARACTERS_MAX: usize = 300;

/// Where a message begins to repeat what was signed.
const ECHOES: [&str; 3] = ["The Canonical String", "The String-to-Sign", "\nThe "];

/// Codes that say the credentials are not good any more.
const STALE_CODES: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidToken",
    "RequestExpired",
    "UnrecognizedClientException",
];

/// What messages say of such credentials where a code is lacking.
const STALE_MESSAGE: &str = "security token included in the request is ";

/// A response that may be a refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusal<'a> {
    pub status: u16,
    /// The header `Date`.
    pub date: Option<&'a str>,
    /// The header `x-amzn-ErrorType`.
    pub error_type: Option<&'a str>,
    /// The body, or its beginning.
    pub body: &'a str,
}

impl Refusal<'_> {
    pub fn error(&self) -> ServiceError {
        ServiceError::parse(self.error_type, self.body)
    }
}

/// Code and message, either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceError {
    pub code: String,
    pub message: String,
}

impl ServiceError {
    /// Reads the body of a refusal; `error_type` is its header `x-amzn-ErrorType`.
    pub fn parse(error_type: Option<&str>, body: &str) -> ServiceError {
        let body = body.trim();
        let (code, message) = match Members::parse(body) {
            Ok(members) => {
                let first = |names: &[&str]| {
                    let found = names.iter().find_map(|name| members.get(name));
                    found.unwrap_or_default().to_owned()
                };
                (first(&["__type", "code", "Code"]), first(&["message", "Message"]))
            }
            Err(_) => {
                let tag = |name| text_of(body, name).unwrap_or_default();
                (tag("Code"), tag("Message"))
            }
        };
        let code = match code.is_empty() {
            true => error_type.unwrap_or_default().trim(),
            false => &code,
        };
        ServiceError { code: short_code(code).to_owned(), message: short_message(&message) }
    }

    /// Whether other credentials may help.
    pub fn is_stale(&self) -> bool {
        STALE_CODES.contains(&self.code.as_str()) || self.message.contains(STALE_MESSAGE)
    }

    /// The IAM action that a message says is missing.
    pub fn missing_action(&self) -> Option<&str> {
        // …is not authorized to perform: aps:RemoteWrite on resource: …
        let (_, rest) = self.message.split_once("not authorized to perform: ")?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != ':' && c != '-');
        let action = &rest[..end.unwrap_or(rest.len())];
        action.contains(':').then_some(action)
    }
}

// com.amazonaws.xray#AccessDeniedException, AccessDeniedException:http://…
fn short_code(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    let is_code = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    if code.len() <= 100 && code.chars().all(is_code) {
        code
    } else {
        ""
    }
}

fn short_message(message: &str) -> String {
    let end = ECHOES.iter().filter_map(|echo| message.find(echo)).min();
    let kept = message[..end.unwrap_or(message.len())].trim();
    shorten(kept.as_bytes(), MESSAGE_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(body: &str, code: &str, message: &str) {
        let expected = ServiceError { code: code.to_owned(), message: message.to_owned() };
        assert_eq!(ServiceError::parse(None, body), expected, "{body}");
    }

    #[test]
    fn spellings() {
        ok(
            r#"{"__type":"com.amazon#ExpiredTokenException","message":"m"}"#,
            "ExpiredTokenException",
            "m",
        );
        ok(r#"{"message":"m","code":"AccessDenied:http://x"}"#, "AccessDenied", "m");
        ok(r#"{"Message":"m"}"#, "", "m");
        let xml = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                   <Message>a &amp; b</Message></Error></ErrorResponse>";
        ok(xml, "AccessDenied", "a & b");
        ok("", "", "");
        ok("Forbidden", "", "");
        ok("<html><Code>", "", "");
        ok(r#"{"code":"a b c","message":"x\ny"}"#, "", "x\\ny");
        let of_header = ServiceError::parse(Some("A:http://x"), r#"{"message":"m"}"#);
        assert_eq!((of_header.code.as_str(), of_header.message.as_str()), ("A", "m"));
        assert_eq!(ServiceError::parse(Some("A"), r#"{"code":"B"}"#).code, "B");
        let long = format!("{{\"message\":\"{}\"}}", "é".repeat(1000));
        ok(&long, "", &format!("{}…", "é".repeat(MESSAGE_CHARACTERS_MAX)));
    }

    #[test]
    fn what_was_signed_is_not_repeated() {
        let body = "{\"message\":\"The signature we calculated does not match.\\n\\nThe Canonical \
               String for this request should have been\\n'POST x-amz-security-token:s3cret'\"}";
        ok(body, "", "The signature we calculated does not match.");
        ok(r#"{"message":"No. The Canonical String is s3cret"}"#, "", "No.");
    }

    #[test]
    fn stale_credentials_and_missing_actions() {
        let stale =
            |code: &str| ServiceError { code: code.into(), ..Default::default() }.is_stale();
        assert!(stale("ExpiredToken") && stale("UnrecognizedClientException"));
        assert!(!stale("AccessDenied") && !stale(""));
        let body = r#"{"message":"The security token included in the request is expired"}"#;
        assert!(ServiceError::parse(None, body).is_stale());
        let action = |message: &str| {
            let error = ServiceError { message: message.into(), ..Default::default() };
            error.missing_action().map(str::to_owned)
        };
        let denied = "User: arn:aws:sts::1:assumed-role/r/t is not authorized to perform: \
                      aps:RemoteWrite on resource: arn:aws:aps:eu-west-1:1:workspace/ws-1";
        assert_eq!(action(denied).as_deref(), Some("aps:RemoteWrite"));
        assert_eq!(
            action("is not authorized to perform: sts:AssumeRole").as_deref(),
            Some("sts:AssumeRole")
        );
        assert_eq!(action("is not authorized to perform: this"), None);
        assert_eq!(action("no"), None);
    }
}
