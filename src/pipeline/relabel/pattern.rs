//! Anchored patterns and the templates that use their groups.
//!
//! Patterns are Prometheus': RE2 syntax, matching the whole text, `.` matching line ends too. Most
//! that are written in practice are alternatives of literals, some with `.*` behind: these are
//! compared as texts; the rest goes to regex-lite, whose time is linear in the text. It has no
//! `\p{…}` classes. Templates follow Go's `Regexp.Expand`.
//!
//! Invariant: matching and expanding allocate nothing in the steady state.

use std::cell::RefCell;

use regex_lite::{CaptureLocations, Regex, RegexBuilder};

/// Largest compiled expression; beyond it the pattern is refused at start.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern(Kind);

#[derive(Debug)]
enum Kind {
    /// Alternatives; `groups` is 1 where parentheses around them all make a group.
    Texts { texts: Vec<Text>, groups: usize },
    /// `found` is where the groups of the last [`Pattern::find`] are.
    Regex { regex: Regex, found: RefCell<CaptureLocations> },
}

/// A literal and what may follow it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Text {
    literal: String,
    rest: Rest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Nothing,
    /// `.*`
    Anything,
    /// `.+`
    Something,
}

impl Pattern {
    pub fn compile(pattern: &str) -> Result<Pattern, String> {
        let regex = RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| message(pattern, &error))?;
        let (inner, groups) = match strip_group(pattern) {
            Some(inner) => inner,
            None => (pattern, 0),
        };
        if let Some(texts) = parse_texts(inner) {
            return Ok(Pattern(Kind::Texts { texts, groups }));
        }
        let found = RefCell::new(regex.capture_locations());
        Ok(Pattern(Kind::Regex { regex, found }))
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Texts { texts, .. } => texts.iter().any(|literal| literal.is_match(text)),
            Kind::Regex { regex, .. } => regex.is_match(text),
        }
    }

    /// As [`is_match`](Self::is_match), and prepares [`Template::expand`] for the same text.
    pub fn find(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Texts { .. } => self.is_match(text),
            Kind::Regex { regex, found } => {
                regex.captures_read(&mut found.borrow_mut(), text).is_some()
            }
        }
    }

    /// The text of a group of the last match, empty where it took no part in it.
    fn group<'t>(&self, index: usize, text: &'t str) -> &'t str {
        match &self.0 {
            Kind::Texts { .. } => text,
            Kind::Regex { found, .. } => found
                .borrow()
                .get(index)
                .and_then(|(start, end)| text.get(start..end))
                .unwrap_or(""),
        }
    }

    /// The group that is called `name`, which may be a number without leading zeros.
    fn group_index(&self, name: &str) -> Option<usize> {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && (name == "0" || !name.starts_with('0')) {
            return name.parse().ok().filter(|&index| index < self.groups_len());
        }
        match &self.0 {
            Kind::Texts { .. } => None,
            Kind::Regex { regex, .. } => {
                regex.capture_names().position(|group| group == Some(name))
            }
        }
    }

    /// Groups, the whole match among them.
    fn groups_len(&self) -> usize {
        match &self.0 {
            Kind::Texts { groups, .. } => 1 + groups,
            Kind::Regex { regex, .. } => regex.captures_len(),
        }
    }
}

fn message(pattern: &str, error: &regex_lite::Error) -> String {
    let hint = match pattern.contains(r"\p") || pattern.contains(r"\P") {
        true => r"; classes like \p{L} are not supported, list the characters in [...]",
        false => "",
    };
    format!("regex '{pattern}': {error}{hint}")
}

/// What the parentheses around a pattern enclose, and how many groups they make. They may be two
/// pairs, `(a)|(b)`: then [`parse_texts`] meets the inner ones and refuses.
fn strip_group(pattern: &str) -> Option<(&str, usize)> {
    let inner = pattern.strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.strip_prefix("?:").map_or((inner, 1), |inner| (inner, 0)))
}

/// Reads alternatives of literals; none where the pattern is anything more than that.
fn parse_texts(pattern: &str) -> Option<Vec<Text>> {
    let mut texts = vec![];
    let mut text = Text::default();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '|' => texts.push(std::mem::take(&mut text)),
            '.' => {
                text.rest = match chars.next()? {
                    '*' => Rest::Anything,
                    '+' => Rest::Something,
                    _ => return None,
                };
                if chars.peek().is_some_and(|&next| next != '|') {
                    return None;
                }
            }
            '\\' => text.literal.push(chars.next().filter(char::is_ascii_punctuation)?),
            '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            other => text.literal.push(other),
        }
    }
    texts.push(text);
    Some(texts)
}

impl Text {
    fn is_match(&self, text: &str) -> bool {
        match self.rest {
            Rest::Nothing => text == self.literal,
            Rest::Anything => text.starts_with(&self.literal),
            Rest::Something => text.len() > self.literal.len() && text.starts_with(&self.literal),
        }
    }
}

/// A text with references to groups: `$1`, `${1}`, `$name`, `${name}`; `$$` is a dollar sign.
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Group(usize),
}

impl Template {
    /// References to groups that `pattern` does not have are empty.
    pub fn compile(template: &str, pattern: &Pattern) -> Template {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = take_reference(rest) {
                rest = after;
                if let Some(index) = pattern.group_index(name) {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    pieces.push(Piece::Group(index));
                }
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        pieces.retain(|piece| *piece != Piece::Literal(String::new()));
        Template(pieces)
    }

    /// Replaces `out` by the template filled with the groups of `pattern`'s last match on `text`.
    pub fn expand(&self, pattern: &Pattern, text: &str, out: &mut String) {
        out.clear();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Group(index) => out.push_str(pattern.group(*index, text)),
            }
        }
    }
}

/// The name behind a `$`, and what follows it.
fn take_reference(text: &str) -> Option<(&str, &str)> {
    let (name, has_brace) = match text.strip_prefix('{') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    let end = name.find(|char| !is_part(char)).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let rest = if has_brace { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fast(pattern: &str) -> bool {
        matches!(Pattern::compile(pattern).unwrap().0, Kind::Texts { .. })
    }

    fn expand(pattern: &str, template: &str, text: &str) -> String {
        let pattern = Pattern::compile(pattern).unwrap();
        let template = Template::compile(template, &pattern);
        assert!(pattern.find(text), "no match");
        let mut out = "old".to_owned();
        template.expand(&pattern, text, &mut out);
        out
    }

    const TEXTS: &[&str] =
        &["", "a", "b", "ab", "abc", "go_x", "go_", "go", "a\nb", "a.b", "axb", "é", "a|b", "$"];

    /// The short way and regex-lite must agree.
    #[test]
    fn literals_match_as_the_regex_would() {
        for pattern in [
            "",
            "a",
            "a|b",
            "(a|ab)",
            "(?:a|b)",
            "go_.*",
            "go_.*|a",
            "(go_.+)",
            ".*",
            "(.*)",
            ".+",
            "a|",
            "|",
            r"a\.b",
            r"a\|b",
            "é|a",
            r"\$",
            "a.*|b.+|",
            "()",
            r"(a\.b|go_.*)",
        ] {
            assert!(is_fast(pattern), "{pattern}");
            let compiled = Pattern::compile(pattern).unwrap();
            let regex = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
            for text in TEXTS {
                assert_eq!(compiled.is_match(text), regex.is_match(text), "{pattern} on {text}");
                assert_eq!(compiled.find(text), regex.is_match(text), "{pattern} on {text}");
                for group in 0..regex.captures_len() {
                    let expected = regex.captures(text).map(|found| found[group].to_owned());
                    let ours = compiled.find(text).then(|| compiled.group(group, text).to_owned());
                    assert_eq!(ours, expected);
                }
            }
        }
    }

    #[test]
    fn everything_else_is_a_regex() {
        for pattern in [
            "a.b", "a?", "ab*", "(a)|(b)", "(a)(b)", "[ab]", "a{2}", "^a$", r"\d", r"\n", ".*a",
            "a.*b", "(?i:a)", "(?P<x>a)", "a.*+", ".*.*", "(?i)a", ".*?", r"\pL|a",
        ] {
            assert!(Pattern::compile(pattern).map_or(true, |_| !is_fast(pattern)), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("a|b", "ab", false),
            ("a.b", "a\nb", true),
            ("[a-z]+", "abc\n", false),
            ("[a-z]", "abc", false),
            ("(?i:ABC)", "abc", true),
            ("a|bc?", "bc", true),
        ] {
            assert_eq!(Pattern::compile(pattern).unwrap().is_match(text), expected, "{pattern}");
        }
    }

    #[test]
    fn templates_expand_as_in_go() {
        for (pattern, template, text, expected) in [
            ("(.*)", "$1", "v", "v"),
            ("(.*)", "${1}x", "v", "vx"),
            ("(.*)", "$1x", "v", ""),
            ("(.*)", "a$0-$2-$1b", "v", "av--"),
            ("(.*)", "$$1 $ ${ ${1 ${} $-", "v", "$1 $ ${ ${1 ${} $-"),
            ("(.*)", "$01${00}$999999999999999999999", "v", ""),
            ("(.+)-(.+)", "$2-$1", "a-b-c", "c-a-b"),
            ("(a)|(b)", "[$1$2]", "b", "[b]"),
            ("(?P<one>.)(?P<two>.)", "$two$one$three${one}", "xy", "yxx"),
            (".*", "$1", "v", ""),
            ("é(.)", "$1-é$1é", "éü", "ü-é"),
            ("(.*)", "", "v", ""),
        ] {
            assert_eq!(expand(pattern, template, text), expected, "{template}");
        }
    }

    #[test]
    fn bad_patterns_say_why() {
        let error = |pattern: &str| Pattern::compile(pattern).unwrap_err();
        assert!(error("a(").starts_with("regex 'a(': "), "{}", error("a("));
        assert!(error(r"\p{Greek}").contains("not supported"));
        assert!(!error("[").contains("not supported"));
        // Exponential in its text: REGEX_BYTES_MAX is the answer.
        assert!(error("((((a{100}){100}){100}){100})").contains("size limit"));
    }
}
