//! What transactions leave in the queue, checked against the bytes their samples encode to.

use super::*;
use crate::codec::snappy::decompress;
use crate::model::{Changes, Family, Label, MetricType, Part, Sample};
use crate::observe::Budget;

struct Bench {
    exporter: Rc<RemoteWrite>,
    budget: Rc<Budget>,
    registry: Rc<Registry>,
}

const FAMILY: Family<'static> =
    Family { name: "m", metric_type: MetricType::Gauge, unit: "", help: "" };

fn bench(samples_max: usize, queue_bytes_max: u64, metadata: bool) -> Bench {
    let registry = Registry::new();
    let budget = Budget::new(1 << 20);
    let queues = Queues::new(Rc::clone(&budget));
    let url = crate::net::Url::parse("http://a:1/write").unwrap();
    let config = Config { samples_max, metadata, ..Config::for_url(url) };
    let exporter = RemoteWrite::new(config, "a:1", &registry, &queues, queue_bytes_max);
    Bench { exporter, budget, registry }
}

fn with_sample<T>(value: u64, visit: impl FnOnce(&Sample<'_>) -> T) -> T {
    let text = value.to_string();
    let labels = [Label::new("__name__", "m"), Label::new("n", &text)];
    visit(&Sample {
        family: &FAMILY,
        part: Part::Value,
        labels: &labels,
        value: value as f64,
        timestamp_ms: 1,
        exemplar: None,
        histogram: None,
    })
}

/// The bytes that these samples encode to.
fn encoded(values: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        with_sample(value, |sample| encode::push_series(&mut out, sample, &[]));
    }
    out
}

impl Bench {
    fn stage(&self, values: std::ops::Range<u64>) -> Box<dyn Staging> {
        let mut staging = Rc::clone(&self.exporter).begin(&Rc::default());
        for value in values {
            with_sample(value, |sample| staging.sample(sample, Changes::ALL));
        }
        staging
    }

    fn commit(&self, values: std::ops::Range<u64>) {
        self.stage(values).commit();
    }

    /// Everything that waits, the open batch included, as items and plain bytes.
    fn drain(&self) -> Vec<(u64, Vec<u8>)> {
        self.exporter.seal_open();
        let mut blocks = Vec::new();
        while let Some(block) = self.exporter.outbox.queue.take() {
            blocks.push((block.items, decompress(&block.body, block.raw_bytes).unwrap()));
            self.exporter.outbox.queue.landed(block.held_bytes());
            self.exporter.outbox.account.sent(block.items);
        }
        blocks
    }

    fn metric(&self, name: &str) -> f64 {
        let mut page = String::new();
        self.registry.render(&mut page);
        let values = page.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The account balances and holds this many items and no memory it does not need.
    fn check(&self, queued: f64, dropped: f64) {
        assert_eq!(self.metric("otlet_exporter_queued_items"), queued);
        assert_eq!(self.metric("otlet_exporter_dropped_items_total"), dropped);
        let balance = self.metric("otlet_exporter_sent_items_total") + queued + dropped;
        assert_eq!(self.metric("otlet_exporter_items_total"), balance);
        assert_eq!(self.metric("otlet_exporter_queue_bytes"), self.budget.bytes_used() as f64);
    }
}

#[test]
fn small_transactions_share_a_block() {
    let bench = bench(100, 1 << 20, false);
    bench.commit(0..3);
    bench.commit(3..7);
    bench.check(7.0, 0.0);
    assert!(bench.exporter.open_due().is_some() && bench.exporter.outbox.queue.is_empty());
    assert_eq!(bench.drain(), [(7, encoded(0..7))]);
    bench.check(0.0, 0.0);
    assert!(bench.exporter.open_due().is_none());
}

#[test]
fn blocks_close_on_samples_and_keep_order() {
    let bench = bench(10, 1 << 20, false);
    bench.commit(0..4);
    bench.commit(4..29);
    bench.commit(29..31);
    let blocks = bench.drain();
    let items: Vec<u64> = blocks.iter().map(|(items, _)| *items).collect();
    assert_eq!(items, [4, 10, 10, 7]);
    let bytes: Vec<u8> = blocks.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, encoded(0..31));
}

#[test]
fn an_open_batch_does_not_outgrow_a_request() {
    let bench = bench(10, 1 << 20, false);
    bench.commit(0..6);
    bench.commit(6..12);
    assert_eq!(bench.drain(), [(6, encoded(0..6)), (6, encoded(6..12))]);
}

#[test]
fn a_discarded_transaction_leaves_nothing() {
    let bench = bench(10, 1 << 20, true);
    let mut staging = bench.stage(0..25);
    staging.end_family(&FAMILY);
    assert!(bench.budget.bytes_used() > 0);
    drop(staging);
    bench.check(0.0, 0.0);
    assert_eq!(bench.budget.bytes_used(), 0);
    assert_eq!(bench.drain(), []);
    // Its metadata was not told either.
    assert!(bench.exporter.metadata.borrow().due(&FAMILY, Instant::now()).is_some());
}

#[test]
fn metadata_go_once_and_are_not_items() {
    let bench = bench(10, 1 << 20, true);
    for _ in 0..2 {
        let mut staging = bench.stage(0..1);
        staging.end_family(&FAMILY);
        staging.end_family(&FAMILY);
        staging.commit();
    }
    let metadata = b"\x1a\x05\x08\x02\x12\x01m".to_vec();
    let expected = [encoded(0..1), metadata, encoded(0..1)].concat();
    assert_eq!(bench.drain(), [(2, expected)]);
}

#[test]
fn concurrent_transactions_do_not_mix() {
    let bench = bench(1000, 1 << 20, false);
    let first = bench.stage(0..500);
    let second = bench.stage(500..900);
    second.commit();
    first.commit();
    assert_eq!(bench.drain(), [(900, [encoded(500..900), encoded(0..500)].concat())]);
}

#[test]
fn the_queue_drops_its_oldest_and_says_so() {
    let bench = bench(100, 20_000, false);
    for round in 0..100 {
        bench.commit(round * 100..round * 100 + 100);
    }
    let dropped = bench.metric("otlet_exporter_dropped_items_total{");
    assert!(dropped > 1000.0 && bench.budget.bytes_used() <= 20_000);
    bench.check(10_000.0 - dropped, dropped);
    let bytes: Vec<u8> = bench.drain().into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, encoded(dropped as u64..10_000));
}

#[test]
fn a_transaction_larger_than_the_queue_keeps_its_newest() {
    let bench = bench(100, 10_000, false);
    bench.commit(0..20_000);
    let dropped = bench.metric("otlet_exporter_dropped_items_total{");
    assert!(dropped > 10_000.0 && bench.budget.bytes_used() <= 10_000 + 70_000);
    bench.check(20_000.0 - dropped, dropped);
}

#[test]
fn giving_up_counts_what_was_left() {
    let bench = bench(10, 1 << 20, false);
    bench.commit(0..25);
    let flying = bench.exporter.outbox.queue.take().unwrap();
    assert_eq!(bench.exporter.give_up(), 25);
    bench.check(0.0, 25.0);
    drop(flying);
}
