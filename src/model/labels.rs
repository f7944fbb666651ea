//! Label sets: sorting, an owned set for rules that rewrite labels, and a buffer kept across
//! inputs.
//!
//! Invariant: nothing here allocates in the steady state; buffers keep their capacity.

use super::Label;

/// Empties `labels` and gives its allocation back under another lifetime, so that one buffer serves
/// one borrowed input after the other.
///
/// `Vec`'s in-place collection re-uses the allocation; the allocation test watches that it does.
pub fn recycle<'b>(mut labels: Vec<Label<'_>>) -> Vec<Label<'b>> {
    labels.clear();
    labels.into_iter().map(|_| Label::new("", "")).collect()
}

/// Sorts by name, bytewise. Label sets are short and often nearly sorted: insertion sort.
pub fn sort_labels(labels: &mut [Label<'_>]) {
    insertion_sort(labels, |one, other| is_after(one.name, other.name));
}

/// Sorts what is short or nearly sorted; what is equal stays in order.
#[inline]
pub fn insertion_sort<T: Copy>(list: &mut [T], is_after: impl Fn(T, T) -> bool) {
    for sorted in 1..list.len() {
        let item = list[sorted];
        let mut hole = sorted;
        while hole > 0 && is_after(list[hole - 1], item) {
            list[hole] = list[hole - 1];
            hole -= 1;
        }
        list[hole] = item;
    }
}

/// Whether the name `one` sorts behind `other`. Most names differ in their first byte; only the
/// others are worth a call of memcmp.
#[inline]
pub fn is_after(one: &str, other: &str) -> bool {
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(a), Some(b)) if a != b => a > b,
        _ => one.as_bytes() > other.as_bytes(),
    }
}

/// A label set that owns its texts, for relabel rules that write new names and values.
/// Emptied entries keep their capacity.
#[derive(Clone, Debug, Default)]
pub struct OwnedLabels {
    entries: Vec<(String, String)>,
    len: usize,
}

impl OwnedLabels {
    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Replaces the content by a copy of `labels`.
    pub fn assign(&mut self, labels: &[Label<'_>]) {
        self.clear();
        for label in labels {
            self.push(label.name, label.value);
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        if self.len == self.entries.len() {
            self.entries.push((String::new(), String::new()));
        }
        let (to_name, to_value) = &mut self.entries[self.len];
        to_name.clear();
        to_name.push_str(name);
        to_value.clear();
        to_value.push_str(value);
        self.len += 1;
    }

    /// The value of `name`, empty where absent.
    pub fn get(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| &self.entries[at].1)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.entries[..self.len].iter().position(|(entry, _)| entry == name)
    }

    /// Sets `name`; an empty value removes the label, as everywhere in Prometheus.
    pub fn set(&mut self, name: &str, value: &str) {
        match (self.position(name), value.is_empty()) {
            (Some(at), true) => self.remove(at),
            (Some(at), false) => {
                self.entries[at].1.clear();
                self.entries[at].1.push_str(value);
            }
            (None, true) => {}
            (None, false) => self.push(name, value),
        }
    }

    fn remove(&mut self, at: usize) {
        self.entries[at..self.len].rotate_left(1);
        self.len -= 1;
    }

    /// Keeps the labels whose name `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let mut at = 0;
        while at < self.len {
            if keep(&self.entries[at].0) {
                at += 1;
            } else {
                self.remove(at);
            }
        }
    }

    /// The labels as borrowed pairs, in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = Label<'_>> {
        self.entries[..self.len].iter().map(|(name, value)| Label::new(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&'static str]) -> Vec<&'static str> {
        let mut labels: Vec<_> = names.iter().map(|name| Label::new(name, "x")).collect();
        sort_labels(&mut labels);
        labels.iter().map(|label| label.name).collect()
    }

    #[test]
    fn labels_sort_bytewise() {
        assert_eq!(sorted(&["b", "__name__", "a", "A"]), ["A", "__name__", "a", "b"]);
        assert_eq!(sorted(&["é", "z", ""]), ["", "z", "é"]);
        assert_eq!(sorted(&[]), [""; 0]);
    }

    #[test]
    fn recycling_keeps_the_allocation() {
        let mut labels = Vec::with_capacity(64);
        labels.push(Label::new("a", "b"));
        let before = labels.as_ptr() as usize;
        let again: Vec<Label<'static>> = recycle(labels);
        assert!(again.is_empty());
        assert_eq!((again.as_ptr() as usize, again.capacity()), (before, 64));
    }

    #[test]
    fn owned_labels_set_replace_and_remove() {
        let mut labels = OwnedLabels::default();
        labels.assign(&[Label::new("a", "1"), Label::new("b", "2")]);
        labels.set("a", "3");
        labels.set("c", "4");
        labels.set("b", "");
        labels.set("never", "");
        assert_eq!((labels.get("a"), labels.get("b"), labels.get("c")), ("3", "", "4"));
        labels.retain(|name| name != "a");
        assert_eq!(labels.iter().collect::<Vec<_>>(), [Label::new("c", "4")]);
        assert!(!labels.is_empty() && labels.len() == 1);
        for name in ["b", "a", "d"] {
            labels.set(name, "5");
        }
        labels.set("b", "");
        let names: Vec<_> = labels.iter().map(|label| label.name).collect();
        assert_eq!(names, ["c", "a", "d"]);
    }
}
