//! The few string members that are read from AWS's small JSON documents (RFC 8259): credentials,
//! the identity document, the task's region, errors.
//!
//! Only members of the outermost object are returned, and of those only strings; the others are
//! checked and skipped.

use crate::codec::json::{Error, Kind, Reader};

/// The string members of a document that is an object; where a name is repeated, the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// Parses a whole document; the error says at which byte it went wrong, and shows nothing of
    /// it.
    pub fn parse(text: &str) -> Result<Members, String> {
        read(text).map_err(|Error { offset, .. }| match offset {
            at if at >= text.len() => format!("JSON ends early, at byte {at}"),
            at => format!("not a JSON object, at byte {at}"),
        })
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.as_str())
    }
}

fn read(text: &str) -> Result<Members, Error> {
    let mut reader = Reader::new(text);
    let mut members = Vec::new();
    if reader.kind()? != Kind::Object {
        return Err(Error { reason: "not an object", offset: 0 });
    }
    reader.object()?;
    while let Some(name) = reader.key()? {
        if let Some(value) = reader.string()? {
            members.push((name.decode().into_owned(), value.decode().into_owned()));
        }
    }
    reader.end()?;
    Ok(Members(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::DEPTH_MAX;

    fn ok(text: &str, expected: &[(&str, &str)]) {
        let members = Members::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let strings: Vec<_> =
            members.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(strings, expected, "{text}");
    }

    fn bad(text: &str, message: &str) {
        let error = Members::parse(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }

    #[test]
    fn documents() {
        ok("{}", &[]);
        ok(" { } \n", &[]);
        ok(r#"{"a":"b"}"#, &[("a", "b")]);
        ok(r#"{"a":1,"b":[1,{"c":"d"},[]],"e":"f","g":null,"h":-1.5e3}"#, &[("e", "f")]);
        ok(r#"{"a":{"b":"c"},"d":{},"b":"x"}"#, &[("b", "x")]);
        ok(r#"{"a":"\"\\\/\b\f\n\r\té😀ü"}"#, &[("a", "\"\\/\u{8}\u{c}\n\r\té😀ü")]);
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let members = Members::parse(r#"{"a":"1","a":"2"}"#).unwrap();
        assert_eq!((members.get("a"), members.get("b")), (Some("1"), None));
    }

    #[test]
    fn bad_documents() {
        // Half a surrogate pair is no letter.
        ok(r#"{"a":"\ud800x"}"#, &[("a", "\u{fffd}x")]);
        for text in ["[]", "x", "<html>", r#""a""#, "1", "{,}", "{1:2}", r#"{"x":,}"#] {
            bad(text, "not a JSON object");
        }
        for text in [
            r#"{"a":"b",}"#,
            r#"{"a" "b"}"#,
            r#"{"a":tru}"#,
            r#"{"a":NaN}"#,
            r#"{"a":+1}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u+123"}"#,
            r#"{"a":"\u12é4"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":[1}"#,
            r#"{"a":1} x"#,
            r#"{}{}"#,
        ] {
            bad(text, "not a JSON object");
        }
        bad("", "ends early");
        bad(r#"{"x":["#, "ends early");
        bad(&format!("{{\"a\":{}", "[".repeat(100_000)), "not a JSON");
        let deepest = DEPTH_MAX as usize - 1;
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(deepest), "]".repeat(deepest));
        ok(&nested, &[]);
        bad(&nested.replacen('[', "[[", 1).replacen(']', "]]", 1), "not a JSON");
    }

    #[test]
    fn every_prefix_is_an_error() {
        let text = r#"{"a":"bé\n😀","c":[1,{"d":null}],"e":true,"f":"g"}"#;
        for len in (0..text.len()).filter(|&len| text.is_char_boundary(len)) {
            bad(&text[..len], "at byte");
        }
    }
}
