//! What a flag's value is made of: words separated by blanks, quotes, and variables.
//!
//! ```text
//! http://localhost:8080/metrics job="my app" header.X-Key=${KEY} honor_labels
//! ^ address                     ^ setting    ^ variable          ^ switch
//! ```
//!
//! A value may be quoted after `=`, a whole word where it begins; a backslash is special only
//! inside quotes and there only before `"` and `\`. Variables are replaced after splitting, one
//! word at a time, and what they hold is not looked at again: a secret may hold blanks, quotes
//! and `${`.
//!
//! Pure, and bounded by its input, which execve(2) bounds to 128 KiB. Nothing here may panic.

/// One word of a value, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Where the first `=` outside quotes stands: between a setting's key and its value.
    equals: Option<usize>,
}

impl Word {
    /// Key and value of `key=value`, otherwise the whole word and nothing.
    pub fn parts(&self) -> (&str, Option<&str>) {
        match self.equals {
            Some(at) => (&self.text[..at], Some(&self.text[at + 1..])),
            None => (&self.text, None),
        }
    }
}

/// Why a value could not be split. The text is not repeated: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// The quote that opens in this word (counted from 1) does not close.
    OpenQuote { word: usize },
    /// Something other than a blank follows the closing quote of this word.
    AfterQuote { word: usize },
}

impl std::fmt::Display for SplitError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SplitError::OpenQuote { word } => write!(out, "word {word}: expected a closing quote"),
            SplitError::AfterQuote { word } => {
                write!(out, "word {word}: expected a blank after the closing quote")
            }
        }
    }
}

/// Splits a value into its words.
pub fn split(value: &str) -> Result<Vec<Word>, SplitError> {
    let mut words = Vec::new();
    let mut rest = value.trim_start_matches(is_blank);
    while !rest.is_empty() {
        let (word, after) = split_word(rest, words.len() + 1)?;
        words.push(word);
        rest = after.trim_start_matches(is_blank);
    }
    Ok(words)
}

fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace()
}

/// The first word of `text`, which begins with one, and what follows it.
fn split_word(text: &str, number: usize) -> Result<(Word, &str), SplitError> {
    let end = text.find(is_blank).unwrap_or(text.len());
    let equals = if text.starts_with('"') { None } else { text[..end].find('=') };
    let quote = equals.map_or(0, |at| at + 1);
    let Some(quoted) = text[quote..].strip_prefix('"') else {
        return Ok((Word { text: text[..end].to_owned(), equals }, &text[end..]));
    };
    let mut word = Word { text: text[..quote].to_owned(), equals };
    let after = unquote(quoted, &mut word.text).ok_or(SplitError::OpenQuote { word: number })?;
    if after.is_empty() || after.starts_with(is_blank) {
        Ok((word, after))
    } else {
        Err(SplitError::AfterQuote { word: number })
    }
}

/// Appends what stands before the closing quote to `out`; returns what follows that quote.
fn unquote<'a>(quoted: &'a str, out: &mut String) -> Option<&'a str> {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match (character, characters.as_str().chars().next()) {
            ('"', _) => return Some(characters.as_str()),
            ('\\', Some(escaped @ ('"' | '\\'))) => {
                out.push(escaped);
                characters.next();
            }
            (plain, _) => out.push(plain),
        }
    }
    None
}

/// A text after its variables were replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    /// Part of the text came from a variable and is therefore never shown.
    pub from_variable: bool,
}

/// Replaces each `${NAME}` by what `env` says; `$${` is a literal `${`, and anything that is not
/// the name of a variable (`${1}`) stays as it is. Fails with the name of a variable not set.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.text.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(literal) = rest.strip_prefix("$${") {
            out.text.push_str("${");
            rest = literal;
        } else if let Some((name, after)) = variable(rest) {
            out.text.push_str(&env(name).ok_or(name)?);
            out.from_variable = true;
            rest = after;
        } else {
            out.text.push('$');
            rest = &rest[1..];
        }
    }
    out.text.push_str(rest);
    Ok(out)
}

/// The name in the `${NAME}` that `text` begins with, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix("${")?.split_once('}')?;
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let starts = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    (word && starts).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn ok(value: &str, expected: &[(&str, Option<&str>)]) {
        let words = split(value).unwrap();
        assert_eq!(words.iter().map(Word::parts).collect::<Vec<_>>(), expected, "{value}");
    }

    #[track_caller]
    fn expands(text: &str, expected: &str) {
        assert_eq!(expand(text, &env).map(|expanded| expanded.text), Ok(expected.to_owned()));
    }

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("a \"b\" ${A}".to_owned()),
            "_x9" => Some("9".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn words_that_split() {
        ok("", &[]);
        ok(" \t\n", &[]);
        ok("a", &[("a", None)]);
        ok("  a \t b\nc ", &[("a", None), ("b", None), ("c", None)]);
        ok("k=v", &[("k", Some("v"))]);
        ok("k= l=", &[("k", Some("")), ("l", Some(""))]);
        ok("k=v=w", &[("k", Some("v=w"))]);
        ok("=v", &[("", Some("v"))]);
        ok("k=\"a b\" l", &[("k", Some("a b")), ("l", None)]);
        ok("k=\"\"", &[("k", Some(""))]);
        ok("\"a b\"", &[("a b", None)]);
        ok("\"a=b\"", &[("a=b", None)]);
        ok(r#"k="a\"b\\c\d""#, &[("k", Some(r#"a"b\c\d"#))]);
        ok(r"keep=http_\d+", &[("keep", Some(r"http_\d+"))]);
        ok(r"k=\\ l=\", &[("k", Some(r"\\")), ("l", Some(r"\"))]);
        ok(r#"k=a"b l="#, &[("k", Some(r#"a"b"#)), ("l", Some(""))]);
        ok("k=é l=\"é ü\"", &[("k", Some("é")), ("l", Some("é ü"))]);
        ok("http://h/m?a=b", &[("http://h/m?a", Some("b"))]);
    }

    #[test]
    fn words_that_do_not_split() {
        let bad = |value: &str, error: SplitError| assert_eq!(split(value), Err(error), "{value}");
        bad("\"", SplitError::OpenQuote { word: 1 });
        bad("a k=\"b", SplitError::OpenQuote { word: 2 });
        bad(r#"k="b\""#, SplitError::OpenQuote { word: 1 });
        bad(r#"k="b\"#, SplitError::OpenQuote { word: 1 });
        bad("a b k=\"b\"c", SplitError::AfterQuote { word: 3 });
        bad("\"a\"=b", SplitError::AfterQuote { word: 1 });
    }

    #[test]
    fn variables() {
        expands("x", "x");
        expands("${A}", "a \"b\" ${A}");
        expands("<${_x9}${_x9}>", "<99>");
        expands("$${A}", "${A}");
        expands("$$${_x9}", "$${_x9}");
        expands("${1} $1 ${} ${a-b} ${é} $ $$ ${A", "${1} $1 ${} ${a-b} ${é} $ $$ ${A");
        assert_eq!(expand("a${UNSET}", &env), Err("UNSET".to_owned()));
        let secret = |text| expand(text, &env).unwrap().from_variable;
        assert!(secret("a${A}") && !secret("$${A}") && !secret("${1}"));
    }

    #[test]
    fn random_values_never_panic_and_never_grow() {
        let pieces = ["a", "=", "\"", "\\", " ", "${A}", "$", "{", "}", "é", "\n", "1"];
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut value = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                value.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let words = split(&value).unwrap_or_default();
            let bytes: usize = words.iter().map(|word| word.text.len()).sum();
            assert!(bytes <= value.len(), "{value}");
            for word in words {
                let (key, of) = word.parts();
                assert!(of.is_some() || key == word.text, "{value}");
                let _ = expand(&word.text, &env);
            }
        }
    }
}
