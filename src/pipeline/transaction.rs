//! One receiver's unit of publication: everything in it goes out, or nothing does.
//!
//! Labels are settled here in the order of the contract: the task's identity and `--label` where a
//! name is absent, then `--relabel`. Without rules nothing is copied but the borrowed pairs; with
//! rules the labels go through one owned set whose buffers are kept.

use std::mem;
use std::rc::Rc;

use super::{Added, Pipeline, ReceiverAccount, Staging};
use crate::model::{recycle, sort_labels, Changes, Family, Label, OwnedLabels, Sample};

/// Collects samples until [`Transaction::commit`]; dropping it discards them.
pub struct Transaction {
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    added: Rc<Added>,
    staged: Vec<Box<dyn Staging>>,
    items: u64,
    relabelled_away: u64,
    /// The last sample was not a settled one.
    is_interrupted: bool,
    owned: OwnedLabels,
    /// Buffers for label sets with what is added, and after the rules.
    labels: Vec<Label<'static>>,
    ruled: Vec<Label<'static>>,
}

impl Transaction {
    /// Towards what is staged.
    pub(super) fn to(
        pipeline: Rc<Pipeline>,
        account: Rc<ReceiverAccount>,
        added: Rc<Added>,
        staged: Vec<Box<dyn Staging>>,
    ) -> Transaction {
        Transaction {
            pipeline,
            account,
            added,
            staged,
            items: 0,
            relabelled_away: 0,
            is_interrupted: false,
            owned: OwnedLabels::default(),
            labels: Vec::new(),
            ruled: Vec::new(),
        }
    }

    /// Samples taken so far.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// What its samples get where they lack it.
    pub fn added(&self) -> Rc<Added> {
        Rc::clone(&self.added)
    }

    /// Stages one sample at every exporter, unless a relabel rule drops it.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        self.is_interrupted = true;
        if self.added.labels.is_empty() {
            return self.stage(sample, Changes::ALL);
        }
        let mut labels = recycle(mem::take(&mut self.labels));
        let added = self.added();
        labels.extend_from_slice(sample.labels);
        add_absent(&mut labels, &added.labels);
        sort_labels(&mut labels);
        self.stage(&Sample { labels: &labels, ..*sample }, Changes::ALL);
        self.labels = recycle(labels);
    }

    /// The same for a sample that has what is [`added`](Transaction::added). `changes` says how its
    /// labels differ from those of the settled sample before it.
    #[inline]
    pub fn settled(&mut self, sample: &Sample<'_>, changes: Changes) {
        let is_interrupted = mem::take(&mut self.is_interrupted);
        self.stage(sample, if is_interrupted { Changes::ALL } else { changes });
    }

    fn stage(&mut self, sample: &Sample<'_>, changes: Changes) {
        self.items += 1;
        if self.pipeline.rules.is_empty() {
            return self.fan_out(sample, changes);
        }
        let mut labels = recycle(mem::take(&mut self.ruled));
        let mut owned = mem::take(&mut self.owned);
        owned.assign(sample.labels);
        if self.pipeline.rules.apply(&mut owned) && !owned.is_empty() {
            labels.extend(owned.iter());
            sort_labels(&mut labels);
            self.fan_out(&Sample { labels: &labels, ..*sample }, Changes::ALL);
        } else {
            self.relabelled_away += 1;
        }
        self.ruled = recycle(labels);
        self.owned = owned;
    }

    fn fan_out(&mut self, sample: &Sample<'_>, changes: Changes) {
        for staging in &mut self.staged {
            staging.sample(sample, changes);
        }
    }

    /// Tells every exporter that a family is complete.
    pub fn end_family(&mut self, family: &Family<'_>) {
        for staging in &mut self.staged {
            staging.end_family(family);
        }
    }

    /// Publishes everything at every exporter, and counts it as accepted.
    pub fn commit(self) {
        self.account.accept(self.items);
        self.publish();
    }

    /// Publishes everything, which was counted as accepted in another unit.
    pub(super) fn publish(self) {
        self.account.drop_in_pipeline(self.relabelled_away, "relabel");
        for staging in self.staged {
            staging.commit();
        }
    }

    /// Discards everything and counts it as refused.
    pub fn abort(self, reason: &'static str) {
        self.account.refuse(self.items, reason);
    }
}

/// Adds the pairs whose name `labels` lacks.
pub fn add_absent<'a>(labels: &mut Vec<Label<'a>>, pairs: &'a [(String, String)]) {
    for (name, value) in pairs {
        if labels.iter().all(|label| label.name != name) {
            labels.push(Label::new(name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Config, Exporter, Intake, RelabelConfig};
    use super::*;
    use crate::codec::otlp::Signal;
    use crate::model::Part;
    use crate::observe::Registry;
    use crate::translate;
    use std::cell::RefCell;

    /// Keeps the published samples as text.
    #[derive(Clone, Default)]
    struct Recorder(Rc<RefCell<Vec<String>>>);

    struct Recording(Recorder, Vec<String>);

    impl Exporter for Recorder {
        fn takes(&self, _: Signal) -> Intake {
            Intake::Samples(translate::Config::default())
        }
        fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
            Box::new(Recording((*self).clone(), Vec::new()))
        }
        fn stop(&self) {}
        fn give_up(&self) -> u64 {
            0
        }
        fn trim(&self) {}
    }

    impl Staging for Recording {
        fn sample(&mut self, sample: &Sample<'_>, changes: Changes) {
            let pairs = sample.labels.iter().map(|label| format!("{}={}", label.name, label.value));
            let alike = if changes.is_all() { "" } else { " alike" };
            self.1.push(format!("{} {}{alike}", pairs.collect::<Vec<_>>().join(","), sample.value));
        }
        fn end_family(&mut self, family: &Family<'_>) {
            self.1.push(format!("end {}", family.name));
        }
        fn commit(self: Box<Self>) {
            self.0 .0.borrow_mut().extend(self.1);
        }
    }

    fn relabel(action: Action, source: &str, regex: &str, target: &str) -> RelabelConfig {
        RelabelConfig {
            action,
            source: vec![source.to_owned()],
            separator: ";".to_owned(),
            regex: regex.to_owned(),
            target: target.to_owned(),
            replacement: "$1".to_owned(),
        }
    }

    /// Sends two samples through and returns what was published and the page of own metrics.
    fn through(config: Config, commit: bool) -> (Vec<String>, String) {
        let registry = Registry::new();
        let recorder = Recorder::default();
        let exporters: Vec<Rc<dyn Exporter>> =
            vec![Rc::new(recorder.clone()), Rc::new(recorder.clone())];
        let pipeline = Pipeline::new(&config, exporters, Rc::clone(&registry)).unwrap();
        let mut transaction = pipeline.begin(&pipeline.account("scrape", "metrics"));
        let family = Family { name: "up", ..Family::default() };
        for (value, b) in [(1.0, "x"), (2.0, "y")] {
            let labels = [Label::new("__name__", "up"), Label::new("b", b)];
            transaction.sample(&Sample {
                family: &family,
                part: Part::Value,
                labels: &labels,
                value,
                timestamp_ms: 0,
                exemplar: None,
                histogram: None,
            });
        }
        transaction.end_family(&family);
        if commit {
            transaction.commit();
        } else {
            transaction.abort("parse");
        }
        let mut page = String::new();
        registry.render(&mut page);
        let published = recorder.0.borrow().clone();
        (published, page)
    }

    #[test]
    fn every_exporter_gets_all_of_it_or_nothing() {
        let all = ["__name__=up,b=x 1", "__name__=up,b=y 2", "end up"];
        let (published, page) = through(Config::default(), true);
        assert_eq!(published, [all, all].concat());
        assert!(page.contains(
            "otlet_receiver_accepted_items_total{receiver=\"scrape\",signal=\"metrics\"} 2"
        ));
        let (published, page) = through(Config::default(), false);
        assert!(published.is_empty());
        assert!(page.contains("signal=\"metrics\",reason=\"parse\"} 2"), "{page}");
        assert!(
            page.contains("otlet_receiver_items_total{receiver=\"scrape\",signal=\"metrics\"} 2")
        );
    }

    #[test]
    fn only_settled_samples_in_a_row_are_alike() {
        let rule = relabel(Action::Replace, "a", "(.*)", "b");
        for (rules, expected) in
            [(vec![], ["1 alike", "2", "3", "4 alike"]), (vec![rule], ["1", "2", "3", "4"])]
        {
            let recorder = Recorder::default();
            let config = Config { relabel: rules, ..Config::default() };
            let exporters: Vec<Rc<dyn Exporter>> = vec![Rc::new(recorder.clone())];
            let pipeline = Pipeline::new(&config, exporters, Registry::new()).unwrap();
            let mut transaction = pipeline.begin(&pipeline.account("scrape", "metrics"));
            for value in 1..=4 {
                let sample = Sample {
                    family: &Family::default(),
                    part: Part::Value,
                    labels: &[Label::new("__name__", "up")],
                    value: f64::from(value),
                    timestamp_ms: 0,
                    exemplar: None,
                    histogram: None,
                };
                match value {
                    2 => transaction.sample(&sample),
                    _ => transaction.settled(&sample, Changes::NONE),
                }
            }
            transaction.commit();
            let expected = expected.map(|text| format!("__name__=up {text}"));
            assert_eq!(*recorder.0.borrow(), expected);
        }
    }

    #[test]
    fn labels_are_added_where_absent_then_rules_apply() {
        let labels = vec![("b".to_owned(), "no".to_owned()), ("a".to_owned(), "1".to_owned())];
        let (published, _) = through(Config { labels: labels.clone(), ..Config::default() }, true);
        assert_eq!(published[0], "__name__=up,a=1,b=x 1");
        let rules =
            vec![relabel(Action::Drop, "b", "y", ""), relabel(Action::Replace, "a", "(.*)", "c")];
        let (published, page) =
            through(Config { labels, relabel: rules, ..Config::default() }, true);
        assert_eq!(published[..2], ["__name__=up,a=1,b=x,c=1 1", "end up"]);
        assert!(page.contains(
            "otlet_pipeline_dropped_items_total{receiver=\"scrape\",signal=\"metrics\",\
             reason=\"relabel\"} 1"
        ));
    }
}
