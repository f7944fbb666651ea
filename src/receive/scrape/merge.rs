//! The label set a sample ends up with: its own labels, the target's, and the name.
//!
//! With `honor_labels=false` a sample's label that the target has too is renamed to
//! `exported_<name>`, again and again until the name is free; with `true` the target only fills in
//! names that the sample does not mention, an empty mention included (Prometheus configuration,
//! `<scrape_config>`, honor_labels). Empty values are no labels. The result is sorted.

use std::mem;

use crate::model::{insertion_sort, is_after, sort_labels, Changes, Label, NAME_LABEL};
use crate::pipeline::add_absent;

use super::series_labels::hash_names;

const EXPORTED: &str = "exported_";

/// Merges the label sets of a target's samples.
///
/// Neighbours on a page mostly have the same label names, or those of the last but one, as a
/// histogram's buckets and its sum have. What depends on the names alone is settled once for them.
#[derive(Debug, Default)]
pub struct Merger {
    /// Names made up for the sample at hand.
    renamed: Vec<String>,
    /// Of the last sample's names, and of those before them.
    shape: Shape,
    other: Shape,
    /// How samples differed that have passed by.
    passed: Changes,
    /// The last result was not made in that order.
    is_by_value: bool,
}

/// What the label names of a sample decide.
#[derive(Debug, Default)]
struct Shape {
    names: Vec<String>,
    /// Where each label of a result comes from: 0 is the name, from 1 on the sample's labels, then
    /// the target's, then what is added. Empty where names clash, and where nothing is settled.
    order: Vec<usize>,
    /// Where in a result the name goes, and each of the sample's labels.
    places: Vec<usize>,
    /// Of the names in that order.
    names_hash: u64,
}

/// What is known of a merged set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Its [`hash_names`].
    pub names_hash: u64,
    /// How many of its labels were not added.
    pub own_labels: usize,
    /// How it differs from the set merged before it.
    pub changes: Changes,
}

/// A target's part in it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub labels: &'a [(String, String)],
    pub honor_labels: bool,
    /// What every sample gets where it lacks the name; see [`crate::pipeline::Added`].
    pub added: &'a [(String, String)],
}

impl Merger {
    /// Starts a page, on which other labels may be added than on the last.
    pub fn begin(&mut self) {
        self.shape.order.clear();
        self.other.order.clear();
    }

    /// Takes note of a sample that is not merged; `changes` as in [`Merger::merge`].
    pub fn pass(&mut self, changes: Changes) {
        self.passed |= changes;
    }

    /// Appends the merged set to `out`, which must be empty; returns what is known of it.
    /// `changes` are those since the last sample: place 0 is the name, 1 the first label.
    #[inline]
    pub fn merge<'a>(
        &'a mut self,
        name: &'a str,
        labels: &[Label<'a>],
        changes: Changes,
        target: Target<'a>,
        out: &mut Vec<Label<'a>>,
    ) -> Merged {
        let changes = changes | mem::take(&mut self.passed);
        if changes.is_all() && !self.shape.fits(labels) {
            mem::swap(&mut self.shape, &mut self.other);
            if !self.shape.fits(labels) {
                self.shape.settle(labels, target);
            }
        }
        if self.shape.order.is_empty() || labels.iter().any(|label| label.value.is_empty()) {
            return self.merge_by_value(name, labels, target, out);
        }
        let changes = self.in_order(changes);
        let target_from = 1 + labels.len();
        let added_from = target_from + target.labels.len();
        out.extend(self.shape.order.iter().map(|&from| match from {
            0 => Label::new(NAME_LABEL, name),
            _ if from < target_from => labels[from - 1],
            _ if from < added_from => pair(&target.labels[from - target_from]),
            _ => pair(&target.added[from - added_from]),
        }));
        Merged { names_hash: self.shape.names_hash, own_labels: added_from, changes }
    }

    /// The changes of a sample as those of its result, which is made in order.
    fn in_order(&mut self, changes: Changes) -> Changes {
        if mem::take(&mut self.is_by_value) || changes.is_all() {
            return Changes::ALL;
        }
        let mut moved = Changes::NONE;
        changes.places().for_each(|place| moved.add(self.shape.places[place]));
        moved
    }

    /// The merged set of a sample that shares names with its target or has labels without value.
    #[inline(never)]
    fn merge_by_value<'a>(
        &'a mut self,
        name: &'a str,
        labels: &[Label<'a>],
        target: Target<'a>,
        out: &mut Vec<Label<'a>>,
    ) -> Merged {
        self.is_by_value = true;
        out.push(Label::new(NAME_LABEL, name));
        let clashes = self.shape.order.is_empty();
        if clashes && !target.honor_labels {
            rename(labels, target.labels, &mut self.renamed, out);
        } else {
            out.extend(labels.iter().filter(|label| !label.value.is_empty()));
            let absent = |own: &&(String, String)| labels.iter().all(|label| label.name != own.0);
            out.extend(target.labels.iter().filter(absent).map(pair));
        }
        let own_labels = out.len();
        add_absent(out, target.added);
        sort_labels(out);
        let names_hash = hash_names(out.iter().map(|label| label.name));
        Merged { names_hash, own_labels, changes: Changes::ALL }
    }
}

impl Shape {
    /// Whether it was settled for these names.
    fn fits(&self, labels: &[Label<'_>]) -> bool {
        let names = self.names.iter().zip(labels);
        !self.order.is_empty()
            && self.names.len() == labels.len()
            && names.into_iter().all(|(name, label)| name == label.name)
    }

    /// Settles what the names of `labels` decide.
    #[inline(never)]
    fn settle(&mut self, labels: &[Label<'_>], target: Target<'_>) {
        let Target { labels: theirs, added, .. } = target;
        self.order.clear();
        self.names.truncate(labels.len());
        self.names.resize_with(labels.len(), String::new);
        for (name, label) in self.names.iter_mut().zip(labels) {
            name.clear();
            name.push_str(label.name);
        }
        if labels.iter().any(|label| has(theirs, label.name)) {
            return;
        }
        let (target_from, added_from) = (1 + labels.len(), 1 + labels.len() + theirs.len());
        let name = |from: usize| match from {
            0 => NAME_LABEL,
            _ if from < target_from => labels[from - 1].name,
            _ if from < added_from => &theirs[from - target_from].0,
            _ => &added[from - added_from].0,
        };
        self.order.extend(0..added_from);
        let is_absent = |from: &usize| {
            let own = name(*from);
            !has(theirs, own) && labels.iter().all(|label| label.name != own)
        };
        self.order.extend((added_from..added_from + added.len()).filter(is_absent));
        insertion_sort(&mut self.order, |one, other| is_after(name(one), name(other)));
        self.names_hash = hash_names(self.order.iter().map(|&from| name(from)));
        self.places.clear();
        self.places.resize(self.order.len(), 0);
        self.order.iter().enumerate().for_each(|(place, &from)| {
            // Of what is added some may not be among them.
            if let Some(own) = self.places.get_mut(from) {
                *own = place;
            }
        });
    }
}

fn pair((name, value): &(String, String)) -> Label<'_> {
    Label::new(name, value)
}

fn has(pairs: &[(String, String)], name: &str) -> bool {
    pairs.iter().any(|(own, _)| own == name)
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
        kept.partition(|label| has(target, label.name));
    let mut clashing = clashing;
    // Shorter names are settled first.
    clashing.sort_by_key(|label| label.name.len());
    renamed.clear();
    for label in &clashing {
        let mut name = format!("{EXPORTED}{}", label.name);
        while has(target, &name)
            || free.iter().any(|label| label.name == name)
            || renamed.contains(&name)
        {
            name.insert_str(0, EXPORTED);
        }
        renamed.push(name);
    }
    let renamed: &'a [String] = renamed;
    out.extend(free);
    out.extend(target.iter().map(pair));
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
        let target = Target { labels: &target, honor_labels, added: &[] };
        let merged = merger.merge("m", &labels, Changes::ALL, target, &mut out);
        let names_hash = hash_names(out.iter().map(|label| label.name));
        let changes = Changes::ALL;
        assert_eq!(merged, Merged { names_hash, own_labels: out.len(), changes });
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
        let (own, added) = (pairs("instance=i job=a"), pairs("b=0 job=0 task=t"));
        let target = Target { labels: &own, honor_labels: false, added: &added };
        let mut merger = Merger::default();
        let mut last: Vec<(String, String)> = Vec::new();
        const ALL: &[usize] = &[usize::MAX];
        for (name, sample, passes, expected, changes) in [
            ("m", "z=1 b=2", false, "__name__=m b=2 instance=i job=a task=t z=1", ALL),
            ("m", "z=3 b=4", false, "__name__=m b=4 instance=i job=a task=t z=3", &[1, 5]),
            ("m", "z=3 b=4", false, "__name__=m b=4 instance=i job=a task=t z=3", &[]),
            ("n", "z=3 b=5", false, "__name__=n b=5 instance=i job=a task=t z=3", &[0, 1]),
            ("n", "z=4 b=", false, "__name__=n b=0 instance=i job=a task=t z=4", ALL),
            ("m", "z= b=4", false, "__name__=m b=4 instance=i job=a task=t", ALL),
            ("m", "z=5 b=4", false, "__name__=m b=4 instance=i job=a task=t z=5", ALL),
            ("m", "z=6 b=4", false, "__name__=m b=4 instance=i job=a task=t z=6", &[5]),
            ("m", "z=6 b=7", true, "", &[]),
            ("m", "z=6 b=4", false, "__name__=m b=4 instance=i job=a task=t z=6", &[1]),
            ("m", "job=1 b=2", false, "__name__=m b=2 exported_job=1 instance=i job=a task=t", ALL),
            ("m", "job=1 b=4", false, "__name__=m b=4 exported_job=1 instance=i job=a task=t", ALL),
            ("m", "A=1 __z=2", false, "A=1 __name__=m __z=2 b=0 instance=i job=a task=t", ALL),
            ("m", "A=3 __z=4", true, "", &[]),
            ("m", "A=3 __z=5", false, "A=3 __name__=m __z=5 b=0 instance=i job=a task=t", &[0, 2]),
            ("m", "c=1", true, "", &[]),
            ("m", "c=1", false, "__name__=m b=0 c=1 instance=i job=a task=t", ALL),
            ("m", "", true, "", &[]),
            ("m", "", false, "__name__=m b=0 instance=i job=a task=t", ALL),
            ("x", "", false, "__name__=x b=0 instance=i job=a task=t", &[0]),
        ] {
            let sample = pairs(sample);
            let named = vec![(String::new(), name.to_owned())];
            let now = [named, sample.clone()].concat();
            let given = difference(&std::mem::replace(&mut last, now.clone()), &now);
            if passes {
                merger.pass(given);
                continue;
            }
            let labels: Vec<_> = sample.iter().map(|(n, v)| Label::new(n, v)).collect();
            let mut out = Vec::new();
            let merged = merger.merge(name, &labels, given, target, &mut out);
            let names_hash = hash_names(out.iter().map(|label| label.name));
            let is_own = |label: &&Label| label.value != "t" && label.value != "0";
            let own_labels = out.iter().filter(is_own).count();
            let changes = changes_at(changes);
            assert_eq!(merged, Merged { names_hash, own_labels, changes }, "{expected}");
            let texts = out.iter().map(|label| format!("{}={}", label.name, label.value));
            assert_eq!(texts.collect::<Vec<_>>().join(" "), expected);
        }
    }

    /// What is added may differ from page to page.
    #[test]
    fn nothing_is_kept_for_another_page() {
        let (mut merger, own) = (Merger::default(), pairs("job=a"));
        let labels = [[Label::new("b", "1")], [Label::new("c", "2")]];
        for (added, expected) in [
            ("x=1", "__name__=m b=1 job=a x=1|__name__=m c=2 job=a x=1"),
            ("a=1", "__name__=m a=1 b=1 job=a|__name__=m a=1 c=2 job=a"),
            ("", "__name__=m b=1 job=a|__name__=m c=2 job=a"),
        ] {
            let added = pairs(added);
            let target = Target { labels: &own, honor_labels: false, added: &added };
            merger.begin();
            let mut texts = Vec::new();
            for labels in [&labels[0], &labels[1], &labels[0], &labels[1]] {
                let mut out = Vec::new();
                merger.merge("m", labels, Changes::ALL, target, &mut out);
                let pairs = out.iter().map(|label| format!("{}={}", label.name, label.value));
                texts.push(pairs.collect::<Vec<_>>().join(" "));
            }
            assert_eq!(texts[..2].join("|"), expected);
            assert_eq!(texts[..2], texts[2..]);
        }
    }

    fn changes_at(places: &[usize]) -> Changes {
        let mut changes = Changes::NONE;
        places.iter().for_each(|&place| changes.add(place));
        changes
    }

    /// How two lists of pairs differ, as a parser says it.
    fn difference(one: &[(String, String)], other: &[(String, String)]) -> Changes {
        if one.iter().map(|pair| &pair.0).ne(other.iter().map(|pair| &pair.0)) {
            return Changes::ALL;
        }
        let places = (0..one.len()).filter(|&at| one[at].1 != other[at].1);
        changes_at(&places.collect::<Vec<_>>())
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
