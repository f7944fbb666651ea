//! A Rust file as the rules want to see it: without the insides of comments and literals, and with
//! its test code marked. Just enough of a lexer for that (The Rust Reference, "Tokens" and
//! "Comments"); it trusts that the compiler accepts the file.

/// One file under inspection.
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments and the insides of literals blanked out; same lines, same columns.
    pub code: String,
    /// For each line of the file: is it test code?
    pub is_test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let code = blank(text);
        let lines = code.lines().count();
        let whole = !(path.starts_with("src/") || path == "build.rs")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs")
            || path.contains("/tests/");
        let is_test = if whole { vec![true; lines] } else { test_lines(&code, lines) };
        Source { path: path.to_owned(), text: text.to_owned(), code, is_test }
    }

    /// Line numbers (from 1) and code of what is not a test.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate();
        numbered.filter(|(at, _)| !self.is_test[*at]).map(|(at, line)| (at + 1, line))
    }

    /// The room this file is in: the folder or file directly under src.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        inside.split('/').next()?.split('.').next()
    }

    /// Every function with a body: its name, its first line and how many lines it has.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for at in words(&self.code, "fn") {
            let Some((open, close)) = body(&self.code, at) else { continue };
            let name: String =
                self.code[at + 2..open].trim_start().chars().take_while(is_word).collect();
            let first = line_of(&self.code, at);
            // A function pointer type has no name.
            if !name.is_empty() {
                found.push((name, first, line_of(&self.code, close) - first + 1));
            }
        }
        found
    }
}

/// Where `word` stands in `code` as a word of its own.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().is_some_and(|c| is_word(&c));
        let after = code[at + word.len()..].chars().next().is_some_and(|c| is_word(&c));
        !before && !after
    })
}

pub fn is_word(character: &char) -> bool {
    character.is_alphanumeric() || *character == '_'
}

/// The line number (from 1) of a byte.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The braces of the item that starts at `at`; none for one that ends with a semicolon.
fn body(code: &str, at: usize) -> Option<(usize, usize)> {
    let mut depth = 0;
    let mut open = None;
    for (offset, byte) in code[at..].bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' if depth == 0 => return None,
            b')' | b']' => depth -= 1,
            b';' | b',' if depth == 0 && open.is_none() => return None,
            b'{' if depth == 0 && open.is_none() => {
                open = Some(at + offset);
                depth += 1;
            }
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if let (b'}', 0, Some(open)) = (byte, depth, open) {
            return Some((open, at + offset));
        }
    }
    None
}

/// Marks the items under `#[cfg(test)]`.
fn test_lines(code: &str, lines: usize) -> Vec<bool> {
    let mut is_test = vec![false; lines];
    let attribute = "#[cfg(test)]";
    for (at, _) in code.match_indices(attribute) {
        let item = at + attribute.len();
        let end = body(code, item).map_or(item, |(_, close)| close);
        is_test[line_of(code, at) - 1..line_of(code, end)].fill(true);
    }
    is_test
}

/// Blanks comments and the insides of string and character literals; newlines stay.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let follows_word = text[..at].chars().next_back().is_some_and(|c| is_word(&c));
        let length = match rest.as_bytes()[0] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'"' => quoted(rest, '"'),
            b'r' | b'b' if !follows_word => prefixed(rest),
            b'\'' if is_character(rest) => quoted(rest, '\''),
            _ => 0,
        };
        let kept = if length == 0 { rest.chars().next().map_or(1, char::len_utf8) } else { 0 };
        out.push_str(&rest[..kept]);
        // Blank by byte, so that columns and offsets agree with the text.
        out.extend(
            rest[kept..length.max(kept)].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }),
        );
        at += length.max(kept);
    }
    out
}

/// Length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    for at in 0..rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => depth -= 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a literal in `quote`s with backslash escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#`, `b"…"`, `br"…"` or `b'…'`; zero for an ordinary word.
fn prefixed(rest: &str) -> usize {
    let after = rest.trim_start_matches(['b', 'r']);
    let prefix = &rest[..rest.len() - after.len()];
    if !["r", "b", "br"].contains(&prefix) {
        return 0;
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    match (prefix, after[hashes..].chars().next()) {
        ("b", Some(quote @ ('"' | '\''))) if hashes == 0 => 1 + quoted(after, quote),
        ("r" | "br", Some('"')) => {
            let open = prefix.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
        }
        _ => 0,
    }
}

/// Tells a character literal from a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}
