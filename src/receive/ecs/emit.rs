//! From values to samples: label sets that are built once per container, and families that end
//! where they had a sample.
//!
//! Invariant: labels go out sorted, unique, without empty values, the metric's name among them.

use super::Output;
use crate::model::{sort_labels, Family, Label, Part, Sample, NAME_LABEL};

/// Labels of one container or the task, with a place for the metric's name.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    labels: Vec<Label<'a>>,
    name_at: usize,
}

impl<'a> Labels<'a> {
    /// `own` labels win over `base`; what is absent or empty is left out.
    pub fn new(base: &[Label<'a>], own: &[(&'a str, Option<&'a str>)]) -> Labels<'a> {
        let mut labels = Vec::with_capacity(base.len() + own.len() + 3);
        labels.push(Label::new(NAME_LABEL, ""));
        for &(name, value) in own {
            let value = value.filter(|value| !value.is_empty());
            labels.extend(value.map(|value| Label::new(name, value)));
        }
        for label in base {
            if labels.iter().all(|own| own.name != label.name) {
                labels.push(*label);
            }
        }
        Labels::sorted(labels)
    }

    /// The same labels and `more`, which they do not have.
    pub fn with<'b>(&self, more: &[(&'b str, &'b str)]) -> Labels<'b>
    where
        'a: 'b,
    {
        let mut labels: Vec<Label<'b>> = self.labels.clone();
        let more = more.iter().filter(|(_, value)| !value.is_empty());
        labels.extend(more.map(|(name, value)| Label::new(name, value)));
        Labels::sorted(labels)
    }

    fn sorted(mut labels: Vec<Label<'a>>) -> Labels<'a> {
        sort_labels(&mut labels);
        let name_at = labels.iter().position(|label| label.name == NAME_LABEL).unwrap_or(0);
        Labels { labels, name_at }
    }
}

/// Writes families one after the other.
pub struct Emitter<'a, 'o> {
    now_ms: i64,
    base: &'a [Label<'a>],
    output: &'o mut dyn FnMut(Output<'_>),
    /// The open family has a sample.
    is_open: bool,
}

impl<'a, 'o> Emitter<'a, 'o> {
    pub fn new(
        now_ms: i64,
        base: &'a [Label<'a>],
        output: &'o mut dyn FnMut(Output<'_>),
    ) -> Emitter<'a, 'o> {
        Emitter { now_ms, base, output, is_open: false }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Labels that every sample has, and `own`.
    pub fn labels<'l>(&self, own: &[(&'l str, Option<&'l str>)]) -> Labels<'l>
    where
        'a: 'l,
    {
        Labels::new(self.base, own)
    }

    /// One sample of `family`, where there is a value.
    pub fn sample(
        &mut self,
        family: &Family<'static>,
        labels: &mut Labels<'_>,
        value: Option<f64>,
    ) {
        let Some(value) = value else { return };
        labels.labels[labels.name_at].value = family.name;
        self.is_open = true;
        (self.output)(Output::Sample(&Sample {
            family,
            part: Part::Value,
            labels: &labels.labels,
            value,
            timestamp_ms: self.now_ms,
            exemplar: None,
            histogram: None,
        }));
    }

    /// Ends `family`; one without samples is not mentioned.
    pub fn end(&mut self, family: &Family<'static>) {
        if self.is_open {
            (self.output)(Output::EndFamily(family));
        }
        self.is_open = false;
    }
}
