//! One point's labels: what the resource and the scope give, then the point's own, in one text.
//!
//! The order of precedence is that of the collector's exporter: `job`, `instance` and scope labels
//! win over attributes; attributes whose names fall together are joined with `;` in the order of
//! their keys. Invariant: names are unique, values not empty.

use crate::codec::otlp::{Attribute, Attributes};
use crate::model::Label;

use super::config::{Config, Names, ResourceLabels};
use super::label_names::{push_label_name, Style};
use super::values::push_value;

type Range = std::ops::Range<u32>;

#[derive(Clone, Debug)]
struct Pair {
    name: Range,
    value: Range,
}

/// How much of a label set is fixed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(usize, usize);

/// Names and values in one text. The first [`LabelSet::fixed`] pairs are those of the resource and
/// the scope.
#[derive(Clone, Debug, Default)]
pub struct LabelSet {
    text: String,
    pairs: Vec<Pair>,
    fixed: usize,
    fixed_bytes: usize,
    names: Vec<KnownName>,
}

/// Names remembered, and how long a key may be for it.
const KNOWN_NAMES_MAX: usize = 64;
const KNOWN_NAME_BYTES_MAX: usize = 128;

/// What a key has become before.
#[derive(Clone, Debug, Default)]
struct KnownName {
    key: String,
    name: String,
    /// None where nothing was learnt.
    style: Option<Style>,
}

impl LabelSet {
    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.fixed, self.fixed_bytes) = (0, 0);
        self.begin();
    }

    /// What is there stays for all points to come. Returns where that is.
    pub fn fix(&mut self) -> Mark {
        (self.fixed, self.fixed_bytes) = (self.pairs.len(), self.text.len());
        Mark(self.fixed, self.fixed_bytes)
    }

    /// Forgets what was added since then.
    pub fn reset(&mut self, mark: Mark) {
        Mark(self.fixed, self.fixed_bytes) = mark;
        self.begin();
    }

    /// Back to what the resource and the scope give.
    #[inline]
    pub fn begin(&mut self) {
        self.pairs.truncate(self.fixed);
        self.text.truncate(self.fixed_bytes);
    }

    fn get(&self, range: &Range) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }

    /// Sets a label; an empty value is none.
    pub fn set(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        self.text.push_str(value);
        self.close(start, middle, true);
    }

    /// Sets a label to the parts that are not empty, with `/` between them.
    pub fn set_joined(&mut self, name: &str, parts: [&str; 2]) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            if self.text.len() > middle {
                self.text.push('/');
            }
            self.text.push_str(part);
        }
        self.close(start, middle, true);
    }

    /// Sets the label of a scope's attribute.
    pub fn set_scope(&mut self, attribute: &Attribute<'_>, style: Style) {
        let start = self.text.len();
        self.text.push_str("otel_scope_");
        if push_label_name(&mut self.text, attribute.key, style) {
            let middle = self.text.len();
            push_value(&mut self.text, attribute.value);
            self.close(start, middle, true);
        } else {
            self.text.truncate(start);
        }
    }

    /// Adds what was written to the text from `start` on. Returns false where it was there already.
    fn close(&mut self, start: usize, middle: usize, overwrite: bool) -> bool {
        let end = self.text.len();
        if middle == end {
            self.text.truncate(start);
            return true;
        }
        let (name, value) = (start as u32..middle as u32, middle as u32..end as u32);
        let same = self.find(&self.text[start..middle]);
        match same {
            None => self.pairs.push(Pair { name, value }),
            Some(at) if overwrite => self.pairs[at] = Pair { name, value },
            Some(_) => return false,
        }
        true
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| self.get(&pair.name) == name)
    }

    /// Adds an attribute. False where nothing is left of its key.
    #[inline]
    pub fn push(&mut self, attribute: &Attribute<'_>, style: Style) -> bool {
        let start = self.text.len();
        if !self.push_name(attribute.key, style) {
            return false;
        }
        let middle = self.text.len();
        push_value(&mut self.text, attribute.value);
        if !self.close(start, middle, false) {
            self.join(start, middle, style);
        }
        true
    }

    /// Appends the label name of `key`. Points of a metric have the same keys, mostly, and what
    /// they become is remembered by where they come in the set.
    #[inline]
    fn push_name(&mut self, key: &str, style: Style) -> bool {
        let at = self.pairs.len();
        match self.names.get(at) {
            Some(known) if known.style == Some(style) && known.key == key => {
                self.text.push_str(&known.name);
                true
            }
            _ => self.learn_name(at, key, style),
        }
    }

    #[cold]
    fn learn_name(&mut self, at: usize, key: &str, style: Style) -> bool {
        let start = self.text.len();
        if !push_label_name(&mut self.text, key, style) {
            return false;
        }
        if at < KNOWN_NAMES_MAX && key.len() <= KNOWN_NAME_BYTES_MAX {
            if self.names.len() <= at {
                self.names.resize_with(at + 1, KnownName::default);
            }
            let known = &mut self.names[at];
            key.clone_into(&mut known.key);
            self.text[start..].clone_into(&mut known.name);
            known.style = Some(style);
        }
        true
    }

    /// Joins a value with that of the same name; those that are fixed win.
    #[cold]
    fn join(&mut self, start: usize, middle: usize, style: Style) {
        let at = self.find(&self.text[start..middle]).unwrap_or(0);
        let before = self.pairs[at].value.start as usize..self.pairs[at].value.end as usize;
        let is_same = self.text[before.clone()] == self.text[middle..];
        if at < self.fixed || (is_same && style != Style::Prometheus) {
            return self.text.truncate(start);
        }
        let joined = format!("{};{}", &self.text[before], &self.text[middle..]);
        self.text.truncate(start);
        self.text.push_str(&joined);
        self.pairs[at].value = start as u32..self.text.len() as u32;
    }

    /// Adds an attribute where its name is free.
    fn push_absent(&mut self, attribute: &Attribute<'_>, style: Style) {
        let start = self.text.len();
        if push_label_name(&mut self.text, attribute.key, style) {
            let middle = self.text.len();
            push_value(&mut self.text, attribute.value);
            if !self.close(start, middle, false) {
                self.text.truncate(start);
            }
        }
    }

    pub fn labels<'a>(&'a self) -> impl Iterator<Item = Label<'a>> {
        self.pairs.iter().map(|pair| Label::new(self.get(&pair.name), self.get(&pair.value)))
    }
}

/// Which attributes a point's labels are made of, by the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    pub style: Style,
    pub target_style: Style,
    resource_labels: ResourceLabels,
}

impl Rules {
    pub fn new(config: &Config) -> Rules {
        let (style, target_style) = match config.names {
            Names::Prometheus => (Style::Prometheus, Style::Prometheus),
            Names::Adot => (Style::Collector, Style::CollectorTarget),
        };
        Rules { style, target_style, resource_labels: config.resource_labels.clone() }
    }

    /// The resource's attributes that become labels.
    pub fn promote<'a>(&self, attributes: Attributes<'a>, out: &mut Vec<Attribute<'a>>) {
        out.clear();
        out.extend(attributes.filter(|attribute| match &self.resource_labels {
            ResourceLabels::All => true,
            ResourceLabels::Only(keys) => keys.iter().any(|key| key == attribute.key),
        }));
    }

    /// Adds a point's attributes and those promoted. `sorted` is a buffer. False where a name is
    /// impossible: the point cannot be told from others.
    #[inline]
    pub fn point<'a>(
        &self,
        set: &mut LabelSet,
        attributes: Attributes<'a>,
        promoted: &[Attribute<'a>],
        sorted: &mut Vec<Attribute<'a>>,
    ) -> bool {
        set.begin();
        sorted.clear();
        if self.style == Style::Prometheus || promoted.is_empty() {
            sorted.extend(attributes);
        } else {
            // The collector's exporter merges the resource's attributes in before, and over.
            let is_own = |own: &Attribute<'_>| promoted.iter().all(|other| other.key != own.key);
            sorted.extend(attributes.filter(is_own));
            sorted.extend_from_slice(promoted);
        }
        sort(sorted);
        let is_good = sorted.iter().all(|attribute| set.push(attribute, self.style));
        if self.style == Style::Prometheus {
            promoted.iter().for_each(|attribute| set.push_absent(attribute, self.style));
        }
        is_good
    }
}

/// Sorts by key. There are few, and most senders sort them: insertion sort.
#[inline]
fn sort(attributes: &mut [Attribute<'_>]) {
    for sorted in 1..attributes.len() {
        let attribute = attributes[sorted];
        let mut hole = sorted;
        while hole > 0 && attributes[hole - 1].key > attribute.key {
            attributes[hole] = attributes[hole - 1];
            hole -= 1;
        }
        attributes[hole] = attribute;
    }
}
