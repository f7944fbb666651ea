//! What cannot be borrowed from the window: unescaped texts and normalised bounds.
//!
//! Exposition formats, "Text format details": `\\`, `\"` and `\n` are escapes; any other backslash
//! is itself, as in Prometheus. Lines that need none of this never come here.

use super::bound::push_bound;
use super::scan::has_escape;
use crate::model::Label;

/// Holds the rewritten texts of one line.
#[derive(Default)]
pub(super) struct Rewriter {
    text: String,
    edits: Vec<Edit>,
}

/// A text to replace, and where its replacement ends in [`Rewriter::text`].
struct Edit {
    target: Target,
    end: usize,
}

#[derive(Clone, Copy)]
enum Target {
    Name,
    LabelName(usize),
    LabelValue(usize),
}

impl Rewriter {
    /// Replaces what is escaped in `name` and `labels`, and the value of `labels[bound]` by its
    /// normal form.
    #[inline(never)]
    pub fn rewrite<'a>(
        &'a mut self,
        name: &mut &'a str,
        labels: &mut [Label<'a>],
        bound: Option<usize>,
    ) {
        // All texts first: what the labels borrow may not move.
        self.text.clear();
        self.edits.clear();
        self.unescape(Target::Name, name);
        for (at, label) in labels.iter().enumerate() {
            self.unescape(Target::LabelName(at), label.name);
            self.unescape(Target::LabelValue(at), label.value);
        }
        // A value with a backslash is no float, before or after.
        if let Some((at, label)) = bound.and_then(|at| Some((at, labels.get(at)?))) {
            if !has_escape(label.value) {
                push_bound(&mut self.text, label.value);
                self.edits.push(Edit { target: Target::LabelValue(at), end: self.text.len() });
            }
        }
        let mut start = 0;
        for &Edit { target, end } in &self.edits {
            let text = &self.text[start..end];
            match target {
                Target::Name => *name = text,
                Target::LabelName(at) => labels[at].name = text,
                Target::LabelValue(at) => labels[at].value = text,
            }
            start = end;
        }
    }

    fn unescape(&mut self, target: Target, old: &str) {
        if has_escape(old) {
            push_unescaped(&mut self.text, old, true);
            self.edits.push(Edit { target, end: self.text.len() });
        }
    }
}

/// Appends `text` without its escapes; `\"` is one only where `quotes` is set.
pub(super) fn push_unescaped(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => "\\",
            Some(b'n') => "\n",
            Some(b'"') if quotes => "\"",
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push_str(escaped);
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (text, label, help) in [
            ("", "", ""),
            (r"a\\b", r"a\b", r"a\b"),
            (r#"a\"b"#, r#"a"b"#, r#"a\"b"#),
            (r"a\nb", "a\nb", "a\nb"),
            (r"a\xb\", r"a\xb\", r"a\xb\"),
            (r"\\n\é\\", "\\n\\é\\", "\\n\\é\\"),
        ] {
            for (quotes, expected) in [(true, label), (false, help)] {
                let mut out = String::new();
                push_unescaped(&mut out, text, quotes);
                assert_eq!(out, expected, "{text}");
            }
        }
    }

    #[test]
    fn only_what_must_be_is_rewritten() {
        let mut rewriter = Rewriter::default();
        let mut name = "n";
        let mut labels = [Label::new(r"\\", "v"), Label::new("le", "1"), Label::new("c", r"\n")];
        rewriter.rewrite(&mut name, &mut labels, Some(1));
        let expected = [Label::new("\\", "v"), Label::new("le", "1.0"), Label::new("c", "\n")];
        assert_eq!((name, labels), ("n", expected));
        let mut plain = [Label::new("le", "1"), Label::new("b", "1")];
        rewriter.rewrite(&mut "n", &mut plain, Some(0));
        assert_eq!(plain, [Label::new("le", "1.0"), Label::new("b", "1")]);
    }
}
