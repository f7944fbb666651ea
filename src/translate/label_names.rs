//! Attribute keys as label names (prometheus/otlptranslator 1.0, `LabelNamer`).

/// Whose habits to follow where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Prometheus' own receiver: one `_` per character.
    Prometheus,
    /// The collector's exporter: one `_` for a run, except in a name inside double underscores.
    Collector,
    /// The collector's exporter, for `target_info`: one `_` per character, leading ones untouched.
    CollectorTarget,
}

/// Appends the label name of `key`; false, and nothing appended, where nothing is left of it.
#[inline]
pub fn push_label_name(out: &mut String, key: &str, style: Style) -> bool {
    let start = out.len();
    match style {
        Style::Collector => match inside_double_underscores(key) {
            Some(inside) => {
                out.push_str("__");
                push_collapsed(out, inside);
                out.push_str("__");
            }
            None => push_collapsed(out, key),
        },
        Style::Prometheus | Style::CollectorTarget => push_characters(out, key),
    }
    let name = &out.as_bytes()[start..];
    if name.iter().all(|byte| *byte == b'_') {
        out.truncate(start);
        return false;
    }
    if name[0].is_ascii_digit() {
        out.insert_str(start, "key_");
    } else if name[0] == b'_' && name[1] != b'_' && style != Style::CollectorTarget {
        out.insert_str(start, "key");
    }
    true
}

fn inside_double_underscores(key: &str) -> Option<&str> {
    key.strip_prefix("__")?.strip_suffix("__")
}

#[inline]
fn push_collapsed(out: &mut String, key: &str) {
    let mut after_separator = false;
    for character in key.chars() {
        if character.is_ascii_alphanumeric() {
            out.push(character);
            after_separator = false;
        } else if !after_separator {
            out.push('_');
            after_separator = true;
        }
    }
}

#[inline]
fn push_characters(out: &mut String, key: &str) {
    for character in key.chars() {
        out.push(if character.is_ascii_alphanumeric() { character } else { '_' });
    }
}

#[cfg(test)]
mod tests {
    use super::Style::{Collector, CollectorTarget, Prometheus};
    use super::*;

    #[track_caller]
    fn ok(key: &str, collector: &str, prometheus: &str, target: &str) {
        let styles = [(Collector, collector), (Prometheus, prometheus), (CollectorTarget, target)];
        for (style, expected) in styles {
            let mut out = "kept".to_owned();
            let is_good = push_label_name(&mut out, key, style);
            assert_eq!((&out[4..], is_good), (expected, !expected.is_empty()), "{key} {style:?}");
        }
    }

    #[test]
    fn golden() {
        ok("http.method", "http_method", "http_method", "http_method");
        ok("a..b", "a_b", "a__b", "a__b");
        ok("123x", "key_123x", "key_123x", "key_123x");
        ok("_x", "key_x", "key_x", "_x");
        ok(".x", "key_x", "key_x", "_x");
        ok("__x", "key_x", "__x", "__x");
        ok("__x__", "__x__", "__x__", "__x__");
        ok("__a..b__", "__a_b__", "__a__b__", "__a__b__");
        ok("label:colon", "label_colon", "label_colon", "label_colon");
        ok("é", "", "", "");
        ok("ようこそ", "", "", "");
        ok("", "", "", "");
        ok("____", "", "", "");
    }
}
