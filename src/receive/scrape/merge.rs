//! The label set a sample ends up with: its own labels, the target's, and the name.
//!
//! With `honor_labels=false` a sample's label that the target has too is renamed to
//! `exported_<name>`, again and again until the name is free; with `true` the target only fills in
//! names that the sample does not mention, an empty mention included (Prometheus configuration,
//! `<scrape_config>`, honor_labels). Empty values are no labels. The result is sorted.

use crate::model::{sort_labels, Label, NAME_LABEL};

const EXPORTED: &str = "exported_";

/// Appends the merged set to `out`, which must be empty. `renamed` holds the names this makes up.
pub fn merge<'a>(
    name: &'a str,
    labels: &[Label<'a>],
    target: &'a [(String, String)],
    honor_labels: bool,
    renamed: &'a mut Vec<String>,
    out: &mut Vec<Label<'a>>,
) {
    out.push(Label::new(NAME_LABEL, name));
    let mentions = |label: &Label<'_>| target.iter().any(|(own, _)| own == label.name);
    let conflict = labels.iter().any(mentions);
    if !conflict {
        out.extend(labels.iter().filter(|label| !label.value.is_empty()));
        out.extend(target.iter().map(|(name, value)| Label::new(name, value)));
    } else if honor_labels {
        out.extend(labels.iter().filter(|label| !label.value.is_empty()));
        let absent = |own: &&(String, String)| labels.iter().all(|label| label.name != own.0);
        out.extend(target.iter().filter(absent).map(|(name, value)| Label::new(name, value)));
    } else {
        rename(labels, target, renamed, out);
    }
    sort_labels(out);
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
        let (mut renamed, mut out) = (Vec::new(), Vec::new());
        merge("m", &labels, &target, honor_labels, &mut renamed, &mut out);
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
