//! `keep` and `drop`: which metric names of a target are taken, anchored as in Prometheus.

use regex_lite::Regex;

/// Both expressions match the whole name; `drop` is asked after `keep`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    keep: Option<Regex>,
    drop: Option<Regex>,
}

impl Filter {
    /// The texts were checked with the flags; one that does not compile filters nothing.
    pub fn new(keep: Option<&str>, drop: Option<&str>) -> Filter {
        Filter { keep: keep.and_then(anchored), drop: drop.and_then(anchored) }
    }

    pub fn keeps(&self, name: &str) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.is_match(name))
            && !self.drop.as_ref().is_some_and(|drop| drop.is_match(name))
    }
}

/// As Prometheus anchors it: the whole text, with `.` matching line feeds.
fn anchored(text: &str) -> Option<Regex> {
    Regex::new(&format!("^(?s:{text})$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_match() {
        let filter = Filter::new(Some("http_.*|up"), Some(".*_bucket"));
        for (name, kept) in
            [("http_total", true), ("up", true), ("upper", false), ("http_bucket", false)]
        {
            assert_eq!(filter.keeps(name), kept, "{name}");
        }
        assert!(Filter::default().keeps("anything"));
        assert!(!Filter::new(None, Some("a|b")).keeps("b"));
    }
}
