//! The label set a sample ends up with: its own labels, the target's, and the name.
//!
//! With `honor_labels=false` a sample's label that the target has too is renamed to
//! `exported_<name>`, again and again until the name is free; with `true` the target only fills in
//! names that the sample does not mention, an empty mention included (Prometheus configuration,
//! `<scrape_config>`, honor_labels). Empty values are no labels. The result is sorted.

use crate::model::{insertion_sort, is_after, sort_labels, Label, NAME_LABEL};

use super::series_labels::hash_names;

const EXPORTED: &str = "exported_";

/// Merges the label sets of a target's samples.
///
/// Neighbours on a page mostly have the same label names. What depends on the names alone is then
/// settled for all of them by the first: whether any clash, the order, and the hash of the names.
#[derive(Debug, Default)]
pub struct Merger {
    /// Names made up for the sample at hand.
    renamed: Vec<String>,
    /// Where each label of a result comes from: 0 is the name, from 1 on the sample's labels, then
    /// the target's. Empty where names clash.
    order: Vec<usize>,
    /// Of the names in that order.
    names_hash: u64,
    /// A sample with other names has passed by.
    is_outdated: bool,
}

/// A target's part in it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub labels: &'a [(String, String)],
    pub honor_labels: bool,
}

impl Merger {
    /// Takes note of a sample that is not merged; `is_alike` as in [`Merger::merge`].
    pub fn pass(&mut self, is_alike: bool) {
        self.is_outdated |= !is_alike;
    }

    /// Appends the merged set to `out`, which must be empty; returns the [`hash_names`] of it.
    /// `is_alike`: `labels` have the names of the last sample's, in the same order.
    #[inline]
    pub fn merge<'a>(
        &'a mut self,
        name: &'a str,
        labels: &[Label<'a>],
        is_alike: bool,
        target: Target<'a>,
        out: &mut Vec<Label<'a>>,
    ) -> u64 {
        if !is_alike || self.is_outdated {
            self.settle(labels, target.labels);
        }
        if self.order.is_empty() || labels.iter().any(|label| label.value.is_empty()) {
            self.merge_by_value(name, labels, target, out);
            return hash_names(out.iter().map(|label| label.name));
        }
        let target_from = 1 + labels.len();
        out.extend(self.order.iter().map(|&from| match from {
            0 => Label::new(NAME_LABEL, name),
            _ if from < target_from => labels[from - 1],
            _ => {
                let (name, value) = &target.labels[from - target_from];
                Label::new(name, value)
            }
        }));
        self.names_hash
    }

    /// Settles what the names of `labels` decide.
    #[inline(never)]
    fn settle(&mut self, labels: &[Label<'_>], target: &[(String, String)]) {
        self.is_outdated = false;
        self.order.clear();
        if labels.iter().any(|label| target.iter().any(|(name, _)| name == label.name)) {
            return;
        }
        let name = |from: usize| match from {
            0 => NAME_LABEL,
            _ => {
                labels.get(from - 1).map_or_else(|| &*target[from - 1 - labels.len()].0, |l| l.name)
            }
        };
        self.order.extend(0..1 + labels.len() + target.len());
        insertion_sort(&mut self.order, |one, other| is_after(name(one), name(other)));
        self.names_hash = hash_names(self.order.iter().map(|&from| name(from)));
    }

    /// The merged set of a sample that shares names with its target or has labels without value.
    #[inline(never)]
    fn merge_by_value<'a>(
        &'a mut self,
        name: &'a str,
        labels: &[Label<'a>],
        target: Target<'a>,
        out: &mut Vec<Label<'a>>,
    ) {
        out.push(Label::new(NAME_LABEL, name));
        let clashes = self.order.is_empty();
        if clashes && !target.honor_labels {
            rename(labels, target.labels, &mut self.renamed, out);
        } else {
            out.extend(labels.iter().filter(|label| !label.value.is_empty()));
            let absent = |own: &&(String, String)| labels.iter().all(|label| label.name != own.0);
            let theirs = target.labels.iter().filter(absent);
            out.extend(theirs.map(|(name, value)| Label::new(name, value)));
        }
        sort_labels(out);
    }
}

/// The target's labels, and the sample's under names that are free.
fn rename<'a>(
    labels: &[Label<'a>],
    target: &'a [(String, String)],
    renamed: &'a mut Vec<String>,
    out: &mut Vec<Label<'a>>,
) {
    let kept = labels.iter().filter(|label| !label.value.is_empty());
    let (clashing, free): (Vec<&Label<'_>>, Vec<&Label<'_>>) =
        kept.partition(|label| target.iter().any(|(own, _)| own == label.name));
    let mut clashing = clashing;
    // Shorter names are settled first.
    clashing.sort_by_key(|label| label.name.len());
    renamed.clear();
    for label in &clashing {
        let mut name = format!("{EXPORTED}{}", label.name);
        while target.iter().any(|(own, _)| *own == name)
            || free.iter().any(|label| label.name == name)
            || renamed.contains(&name)
        {
            name.insert_str(0, EXPORTED);
        }
        renamed.push(name);
    }
    let renamed: &'a [String] = renamed;
    out.extend(free);
    out.extend(target.iter().map(|(name, value)| Label::new(name, value)));
    let pairs = clashing.iter().zip(renamed);
    out.extend(pairs.map(|(label, name)| Label::new(name, label.value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pair = |pair: &str| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        text.split(' ').filter_map(pair).collect()
    }

    fn merged(sample: &str, target: &str, honor_labels: bool) -> String {
        let (sample, target) = (pairs(sample), pairs(target));
        let labels: Vec<_> = sample.iter().map(|(name, value)| Label::new(name, value)).collect();
        let (mut merger, mut out) = (Merger::default(), Vec::new());
        let target = Target { labels: &target, honor_labels };
        let names_hash = merger.merge("m", &labels, false, target, &mut out);
        assert_eq!(names_hash, hash_names(out.iter().map(|label| label.name)));
        let texts = out.iter().skip(1).map(|label| format!("{}={}", label.name, label.value));
        assert_eq!(out[0], Label::new("__name__", "m"));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_target_wins_and_the_sample_is_exported() {
        for (sample, target, expected) in [
            ("", "job=a", "job=a"),
            ("b=1 z=2 c=", "job=a", "b=1 job=a z=2"),
            ("job=x", "job=a", "exported_job=x job=a"),
            ("job=", "job=a", "job=a"),
            ("foo=1", "exported_foo=3 foo=2", "exported_exported_foo=1 exported_foo=3 foo=2"),
            ("foo=1 exported_foo=0", "foo=2", "exported_exported_foo=1 exported_foo=0 foo=2"),
            (
                "exported_foo=1 foo=2",
                "exported_foo=3 foo=4",
                "exported_exported_exported_foo=1 exported_exported_foo=2 exported_foo=3 foo=4",
            ),
        ] {
            assert_eq!(merged(sample, target, false), expected, "{sample} / {target}");
        }
    }

    #[test]
    fn samples_with_the_names_of_the_last_are_merged_alike() {
        let target = pairs("instance=i job=a");
        let target = Target { labels: &target, honor_labels: false };
        let mut merger = Merger::default();
        let mut names: Vec<String> = Vec::new();
        for (sample, passes, expected) in [
            ("z=1 b=2", false, "__name__=m b=2 instance=i job=a z=1"),
            ("z=3 b=4", false, "__name__=m b=4 instance=i job=a z=3"),
            ("z= b=4", false, "__name__=m b=4 instance=i job=a"),
            ("z=5 b=6", false, "__name__=m b=6 instance=i job=a z=5"),
            ("job=1 b=2", false, "__name__=m b=2 exported_job=1 instance=i job=a"),
            ("job=3 b=4", false, "__name__=m b=4 exported_job=3 instance=i job=a"),
            ("A=1 __z=2", false, "A=1 __name__=m __z=2 instance=i job=a"),
            ("A=3 __z=4", true, ""),
            ("A=3 __z=4", false, "A=3 __name__=m __z=4 instance=i job=a"),
            ("c=1", true, ""),
            ("c=1", false, "__name__=m c=1 instance=i job=a"),
            ("", true, ""),
            ("", false, "__name__=m instance=i job=a"),
            ("", false, "__name__=m instance=i job=a"),
        ] {
            let sample = pairs(sample);
            let own: Vec<_> = sample.iter().map(|(name, _)| name.clone()).collect();
            let is_alike = own == std::mem::replace(&mut names, own.clone());
            if passes {
                merger.pass(is_alike);
                continue;
            }
            let labels: Vec<_> = sample.iter().map(|(n, v)| Label::new(n, v)).collect();
            let mut out = Vec::new();
            let names_hash = merger.merge("m", &labels, is_alike, target, &mut out);
            assert_eq!(names_hash, hash_names(out.iter().map(|label| label.name)));
            let texts = out.iter().map(|label| format!("{}={}", label.name, label.value));
            assert_eq!(texts.collect::<Vec<_>>().join(" "), expected);
        }
    }

    #[test]
    fn the_sample_wins_when_honoured() {
        for (sample, target, expected) in [
            ("job=x", "instance=i job=a", "instance=i job=x"),
            ("job=", "instance=i job=a", "instance=i"),
            ("b=1", "job=a", "b=1 job=a"),
        ] {
            assert_eq!(merged(sample, target, true), expected, "{sample} / {target}");
        }
    }
}
