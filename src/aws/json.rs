//! The few string members that are read from AWS's small JSON documents (RFC 8259): credentials,
//! the identity document, the task's metadata, errors.
//!
//! Strict, in one pass, nesting bounded. Only members of the outermost object are returned, and of
//! those only strings; the others are checked and skipped. A derived parser was not taken:
//! nanoserde's loops for ever on `{"x":[` and panics on `{"x":,`.

/// Deepest nesting accepted; deeper is an error.
const DEPTH_MAX: usize = 64;

/// The string members of a document that is an object; where a name is repeated, the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// Parses a whole document; the error says at which byte it went wrong, and shows nothing of
    /// it.
    pub fn parse(text: &str) -> Result<Members, String> {
        let mut reader = Reader { text, at: 0, strings: Vec::new() };
        match reader.document() {
            Some(()) => Ok(Members(reader.strings)),
            None if reader.at >= text.len() => {
                Err(format!("JSON ends early, at byte {}", reader.at))
            }
            None => Err(format!("not a JSON object, at byte {}", reader.at)),
        }
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.as_str())
    }
}

/// None from any of its functions means that the document is bad at `at`.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    strings: Vec<(String, String)>,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        self.blanks();
        (self.peek()? == b'{').then_some(())?;
        self.object(1)?;
        self.blanks();
        (self.at == self.text.len()).then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(drop),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.must_take(b':')?;
            self.blanks();
            if depth == 1 && self.peek()? == b'"' {
                let value = self.string()?;
                self.strings.push((name, value));
            } else {
                self.value(depth + 1)?;
            }
            if !self.take(b',') {
                return self.must_take(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.take(b']') {
            return Some(());
        }
        loop {
            self.blanks();
            self.value(depth + 1)?;
            if !self.take(b',') {
                return self.must_take(b']');
            }
        }
    }

    /// A number, `true`, `false` or `null`; whether a number is well formed matters to nobody here.
    fn scalar(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let len =
            rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
        let word = &rest[..len];
        let is_number = word.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && word.parse::<f64>().is_ok();
        let is_scalar = is_number || matches!(word, "true" | "false" | "null");
        if is_scalar || len == rest.len() {
            self.at += len;
        }
        is_scalar.then_some(())
    }

    fn string(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let Some(plain) = plain else {
                self.at = self.text.len();
                return None;
            };
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    /// `\n`, `é`, or a pair of surrogates.
    fn escape(&mut self) -> Option<char> {
        self.at += 1;
        let kind = self.peek()?;
        if kind == b'u' {
            return self.unicode();
        }
        let character = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return None,
        };
        self.at += 1;
        Some(character)
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.peek()? != b'\\' {
            return None;
        }
        self.at += 1;
        let second = self.code_unit()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
    }

    /// `u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Option<u32> {
        let Some(unit) = self.text.as_bytes().get(self.at..self.at + 5) else {
            self.at = self.text.len();
            return None;
        };
        let digits = std::str::from_utf8(&unit[1..]).ok()?;
        let is_unit = unit[0] == b'u' && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| is_unit)?;
        self.at += 5;
        Some(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether this byte comes next, blanks aside; if so it is passed.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn must_take(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            r#"{"a":"\ud800x"}"#,
            r#"{"a":"\ud800A"}"#,
            r#"{"a":"\udc00"}"#,
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
        let deepest = DEPTH_MAX - 1;
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(deepest), "]".repeat(deepest));
        ok(&nested, &[]);
        bad(&nested.replacen('[', "[[", 1).replacen(']', "]]", 1), "not a JSON");
    }

    #[test]
    fn every_prefix_ends_early() {
        let text = r#"{"a":"bé\n😀","c":[1,{"d":null}],"e":true,"f":"g"}"#;
        for len in (0..text.len()).filter(|&len| text.is_char_boundary(len)) {
            bad(&text[..len], "ends early");
        }
    }
}
