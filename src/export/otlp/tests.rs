//! What is staged comes out of the queue, in order and within bounds.

use std::time::Duration;

use super::batch::unpack;
use super::*;
use crate::codec::otlp::{resource_metrics, validate};
use crate::codec::protobuf::{push_bytes, push_fixed64, push_message};
use crate::export::queue::Block;
use crate::model::{Changes, Family, Label, Part, Sample, NAME_LABEL};
use crate::net::Url;
use crate::observe::Budget;

const SHARE: u64 = 200_000;

fn exporter(change: impl FnOnce(&mut Config)) -> (Rc<Otlp>, Rc<Budget>) {
    let mut config = Config::for_url(Url::parse("http://h").unwrap());
    change(&mut config);
    let budget = Budget::new(1 << 24);
    let queues = Queues::new(Rc::clone(&budget));
    (Otlp::new(config, "h", &Registry::new(), &queues, SHARE, 1), budget)
}

/// A traces request with one span, whose name has this many bytes of noise.
fn span(name_bytes: usize) -> Vec<u8> {
    let name: Vec<u8> = (0..name_bytes).map(|_| fastrand::u8(b'a'..=b'z')).collect();
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| {
        push_message(out, 2, |out| {
            push_message(out, 2, |out| {
                push_bytes(out, 1, &[1; 16]);
                push_bytes(out, 2, &[2; 8]);
                push_bytes(out, 5, &name);
                push_fixed64(out, 7, 3);
            });
        });
    });
    body
}

fn relay(exporter: &Rc<Otlp>, body: &[u8]) {
    let mut staged = Rc::clone(exporter).begin_relay(Signal::Traces).unwrap();
    let (rest, before) = {
        let mut pieces: Vec<_> = body.chunks(1000).collect();
        (pieces.pop().unwrap_or_default(), pieces)
    };
    before.into_iter().for_each(|piece| staged.push(piece));
    staged.commit(rest, 1);
}

/// All that waits, settled as sent.
fn drain(exporter: &Rc<Otlp>, signal: Signal) -> Vec<Block> {
    let lane = exporter.lane(signal).unwrap();
    lane.seal_open();
    let mut blocks = Vec::new();
    while let Some(block) = lane.outbox.queue.take() {
        lane.outbox.account.sent(block.items);
        lane.outbox.queue.landed(block.held_bytes());
        blocks.push(block);
    }
    blocks
}

#[test]
fn requests_are_joined_and_remembered() {
    let (exporter, budget) = exporter(|_| ());
    let bodies: Vec<_> = (0..10).map(span).collect();
    bodies.iter().for_each(|body| relay(&exporter, body));
    let lane = exporter.lane(Signal::Traces).unwrap();
    assert!(lane.open_due().is_some() && lane.outbox.queue.is_empty());
    let blocks = drain(&exporter, Signal::Traces);
    assert_eq!((blocks.len(), blocks[0].items, blocks[0].pieces.len()), (1, 10, 10));
    let mut raw = unpack(&blocks[0], true).unwrap();
    assert_eq!(raw, bodies.concat());
    assert_eq!(validate(Signal::Traces, &mut raw).unwrap().items, 10);
    assert_eq!((budget.bytes_used(), lane.outbox.account.queued_items()), (0, 0));
}

#[test]
fn what_is_dropped_before_its_commit_leaves_nothing() {
    let (exporter, budget) = exporter(|_| ());
    let mut staged = Rc::clone(&exporter).begin_relay(Signal::Logs).unwrap();
    staged.push(&[0; 5000]);
    assert!(budget.bytes_used() >= 5000);
    drop(staged);
    assert_eq!(budget.bytes_used(), 0);
    assert!(drain(&exporter, Signal::Logs).is_empty());
}

#[test]
fn a_batch_closes_on_bytes_and_the_oldest_goes_at_the_share() {
    let (exporter, budget) = exporter(|config| config.gzip = false);
    for _ in 0..30 {
        relay(&exporter, &span(50_000));
    }
    assert!(budget.bytes_used() <= SHARE, "{}", budget.bytes_used());
    // What alone is larger than the share is given up as well.
    relay(&exporter, &span(300_000));
    let lane = exporter.lane(Signal::Traces).unwrap();
    let account = Rc::clone(&lane.outbox.account);
    let sent: u64 = drain(&exporter, Signal::Traces).iter().map(|block| block.items).sum();
    assert_eq!((account.queued_items(), account.sent_items()), (0, sent));
    assert!(budget.bytes_used() == 0 && sent < 31);
}

#[test]
fn signals_that_are_not_taken() {
    let (exporter, _) = exporter(|config| config.signals = [false, true, false]);
    assert!(matches!(exporter.takes(Signal::Traces), Intake::Bytes));
    assert!(matches!(exporter.takes(Signal::Metrics), Intake::Nothing));
    assert!(Rc::clone(&exporter).begin_relay(Signal::Logs).is_none());
    assert_eq!(exporter.lanes.len(), 1);
}

#[test]
fn samples_become_points_of_their_target() {
    let (exporter, budget) = exporter(|config| config.pace.batch = Duration::from_secs(9));
    let added = Rc::new(Added {
        labels: vec![("ecs_cluster".to_owned(), "c".to_owned())],
        attributes: vec![("aws.ecs.cluster.arn".to_owned(), "arn".to_owned())],
        task_id: String::new(),
    });
    let mut staging = Rc::clone(&exporter).begin(&added);
    for at in 0..2000 {
        let (name, series) = (format!("requests_{at}"), at.to_string());
        let family = Family { name: &name, ..Family::default() };
        let labels = [
            Label::new(NAME_LABEL, &name),
            Label::new("ecs_cluster", "c"),
            Label::new("instance", "i"),
            Label::new("job", "j"),
            Label::new("series", &series),
        ];
        let sample = Sample {
            family: &family,
            part: Part::Value,
            labels: &labels,
            value: 1.0,
            timestamp_ms: 1000,
            exemplar: None,
            histogram: None,
        };
        staging.sample(&sample, Changes::ALL);
        staging.end_family(&family);
    }
    staging.commit();
    let blocks = drain(&exporter, Signal::Metrics);
    assert_eq!((blocks.len(), blocks[0].items), (1, 2000));
    let body = unpack(&blocks[0], true).unwrap();
    let resources: Vec<_> = resource_metrics(&body).collect();
    assert_eq!(resources.len(), blocks[0].pieces.len(), "one for each piece: {}", body.len());
    let keys: Vec<_> = resources[0].attributes().map(|attribute| attribute.key).collect();
    assert_eq!(keys, ["service.name", "service.instance.id", "aws.ecs.cluster.arn"]);
    let metric = resources[0].scopes().next().unwrap().metrics().next().unwrap();
    let point = metric.points().next_number().unwrap();
    let keys: Vec<_> = point.attributes().map(|attribute| attribute.key).collect();
    assert_eq!(keys, ["series"]);
    assert_eq!(budget.bytes_used(), 0);
    assert_eq!(exporter.give_up(), 0);
}
