//! What cannot be borrowed from the window: unescaped texts and normalised bounds.
//!
//! Exposition formats, "Text format details": `\\`, `\"` and `\n` are escapes; any other backslash
//! is itself, as in Prometheus. Lines that need none of this never come here.

use super::bound::{is_normal, push_bound};
use crate::model::Label;

/// Holds the rewritten texts of one line.
#[derive(Default)]
pub(super) struct Rewriter {
    text: String,
    /// Where each rewritten text ends in `text`.
    ends: Vec<usize>,
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
        self.text.clear();
        self.ends.clear();
        self.add(name, false);
        for (at, label) in labels.iter().enumerate() {
            self.add(label.name, false);
            self.add(label.value, bound == Some(at));
        }
        let (text, mut start, mut ends) = (self.text.as_str(), 0, self.ends.iter());
        let mut replace = |old: &mut &'a str, is_bound| {
            if is_kept(old, is_bound) {
                return;
            }
            if let Some(&end) = ends.next() {
                *old = &text[start..end];
                start = end;
            }
        };
        replace(name, false);
        for (at, label) in labels.iter_mut().enumerate() {
            replace(&mut label.name, false);
            replace(&mut label.value, bound == Some(at));
        }
    }

    fn add(&mut self, old: &str, is_bound: bool) {
        if is_kept(old, is_bound) {
            return;
        }
        if old.contains('\\') {
            // Then it is no float, before or after.
            push_unescaped(&mut self.text, old, true);
        } else {
            push_bound(&mut self.text, old);
        }
        self.ends.push(self.text.len());
    }
}

fn is_kept(text: &str, is_bound: bool) -> bool {
    !text.contains('\\') && (!is_bound || is_normal(text))
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
        let mut plain = [Label::new("le", "1"), Label::new("le", "0.5")];
        rewriter.rewrite(&mut "n", &mut plain, Some(1));
        assert_eq!(plain, [Label::new("le", "1"), Label::new("le", "0.5")]);
    }
}
