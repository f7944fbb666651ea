//! Relabel rules: labels rewritten, samples kept or dropped, as Prometheus' `relabel_config` does
//! (Prometheus documentation, "Configuration", relabel_config).
//!
//! A rule joins the values of its source labels and matches the whole text; what follows depends on
//! its action. Names follow Prometheus 3: any text but the empty one. Leaves out `hashmod`.
//!
//! Invariants: rules apply in their order and the first drop ends it; a rule whose result is out of
//! bounds changes nothing; in the steady state nothing is allocated.

pub mod pattern;

use std::cell::RefCell;

use crate::model::OwnedLabels;

use super::{Action, RelabelConfig};
use pattern::{Pattern, Template};

/// Longest name or value a rule may write; rules that double a text end here and change nothing.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    action: Action,
    source: Vec<String>,
    separator: String,
    pattern: Pattern,
    target: Template,
    /// The target as written, for the actions that do not expand it.
    target_name: String,
    replacement: Template,
}

/// Texts kept for their allocation.
#[derive(Debug, Default)]
struct Scratch {
    /// Values of the source labels, joined.
    source: String,
    name: String,
    value: String,
    /// What `labelmap` is going to set.
    mapped: OwnedLabels,
}

/// The rules of one place, in order.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    scratch: RefCell<Scratch>,
}

impl Rules {
    pub fn new(rules: Vec<Rule>) -> Rules {
        Rules { rules, scratch: RefCell::default() }
    }

    pub fn compile(configs: &[RelabelConfig]) -> Result<Rules, String> {
        configs.iter().map(Rule::compile).collect::<Result<_, _>>().map(Rules::new)
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules; false where one of them drops the sample. Its labels mean nothing then.
    pub fn apply(&self, labels: &mut OwnedLabels) -> bool {
        let scratch = &mut *self.scratch.borrow_mut();
        self.rules.iter().all(|rule| rule.apply(labels, scratch))
    }
}

impl Rule {
    pub fn compile(config: &RelabelConfig) -> Result<Rule, String> {
        check_fields(config)?;
        let pattern = Pattern::compile(&config.regex)?;
        Ok(Rule {
            action: config.action,
            source: config.source.clone(),
            separator: config.separator.clone(),
            target: Template::compile(&config.target, &pattern),
            target_name: config.target.clone(),
            replacement: Template::compile(&config.replacement, &pattern),
            pattern,
        })
    }

    fn apply(&self, labels: &mut OwnedLabels, scratch: &mut Scratch) -> bool {
        self.join_source(labels, &mut scratch.source);
        let source = scratch.source.as_str();
        match self.action {
            Action::Keep => return self.pattern.is_match(source),
            Action::Drop => return !self.pattern.is_match(source),
            Action::KeepEqual => return labels.get(&self.target_name) == source,
            Action::DropEqual => return labels.get(&self.target_name) != source,
            Action::LabelDrop => labels.retain(|name| !self.pattern.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.pattern.is_match(name)),
            Action::Replace => self.replace(labels, scratch),
            Action::LabelMap => self.map_names(labels, scratch),
            Action::Lowercase => {
                map_case(source, &mut scratch.value, lower);
                set_bounded(labels, &self.target_name, &scratch.value);
            }
            Action::Uppercase => {
                map_case(source, &mut scratch.value, upper);
                set_bounded(labels, &self.target_name, &scratch.value);
            }
        }
        true
    }

    fn join_source(&self, labels: &OwnedLabels, out: &mut String) {
        out.clear();
        for (at, name) in self.source.iter().enumerate() {
            if at > 0 {
                out.push_str(&self.separator);
            }
            out.push_str(labels.get(name));
        }
    }

    fn replace(&self, labels: &mut OwnedLabels, scratch: &mut Scratch) {
        let source = scratch.source.as_str();
        if self.pattern.find(source) {
            self.target.expand(&self.pattern, source, &mut scratch.name);
            self.replacement.expand(&self.pattern, source, &mut scratch.value);
            set_bounded(labels, &scratch.name, &scratch.value);
        }
    }

    /// Copies the values of matching labels to the names made from theirs. All names and values are
    /// those from before the rule; where two make the same name the later one counts.
    fn map_names(&self, labels: &mut OwnedLabels, scratch: &mut Scratch) {
        scratch.mapped.clear();
        for label in labels.iter() {
            if self.pattern.find(label.name) {
                self.replacement.expand(&self.pattern, label.name, &mut scratch.name);
                set_bounded(&mut scratch.mapped, &scratch.name, label.value);
            }
        }
        for label in scratch.mapped.iter() {
            labels.set(label.name, label.value);
        }
    }
}

/// Refuses rules that say less than their action needs, or more than it looks at.
fn check_fields(config: &RelabelConfig) -> Result<(), String> {
    let default = RelabelConfig::default();
    let has_default_regex = config.regex == default.regex;
    let has_default_texts =
        config.separator == default.separator && config.replacement == default.replacement;
    match config.action {
        Action::Keep | Action::Drop => Ok(()),
        Action::KeepEqual | Action::DropEqual if !has_default_regex || !has_default_texts => {
            Err("keepequal and dropequal take a source and a target, nothing else".to_owned())
        }
        Action::LabelDrop | Action::LabelKeep
            if !config.source.is_empty() || !config.target.is_empty() || !has_default_texts =>
        {
            Err("labeldrop and labelkeep take a regex, nothing else".to_owned())
        }
        Action::LabelDrop | Action::LabelKeep => Ok(()),
        Action::LabelMap if config.replacement.is_empty() => {
            Err("labelmap needs a replacement to make names from".to_owned())
        }
        Action::LabelMap => Ok(()),
        _ if config.target.is_empty() => Err("the rule needs a target label".to_owned()),
        _ => Ok(()),
    }
}

/// Sets the label, or removes it where `value` is empty; a name that is none does nothing.
fn set_bounded(labels: &mut OwnedLabels, name: &str, value: &str) {
    if !name.is_empty() && name.len() <= TEXT_BYTES_MAX && value.len() <= TEXT_BYTES_MAX {
        labels.set(name, value);
    }
}

/// Maps character by character, as Go does: no context, and each stays one character.
fn map_case(text: &str, out: &mut String, map: fn(char) -> char) {
    out.clear();
    out.extend(text.chars().map(map));
}

/// `İ` becomes two characters in full Unicode mapping; the first is the simple one.
fn lower(char: char) -> char {
    char.to_lowercase().next().unwrap_or(char)
}

/// Characters like `ß` whose upper case are several stay as they are.
fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => char,
    }
}

#[cfg(test)]
mod tests;
