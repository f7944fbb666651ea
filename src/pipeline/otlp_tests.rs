//! What is taken comes out whole, and what is refused or dropped leaves nothing.

use std::cell::RefCell;
use std::future::{poll_fn, Future};
use std::task::Poll;

use super::super::{Added, Config, Staging};
use super::*;
use crate::codec::otlp::from_json;
use crate::codec::protobuf::{push_bytes, push_fixed64, push_message, push_varint_field};
use crate::model::{Changes, Family, Sample};
use crate::net::run;
use crate::observe::{Budget, Registry};
use crate::translate;

/// Keeps the bodies it is given.
#[derive(Default)]
struct Bodies(RefCell<Vec<Vec<u8>>>);

/// Takes samples, and forgets them.
struct Samples;

impl Exporter for Bodies {
    fn takes(&self, _: Signal) -> Intake {
        Intake::Bytes
    }
    fn relay(&self, _signal: Signal, body: &[u8], _items: u64) {
        self.0.borrow_mut().push(body.to_vec());
    }
    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        panic!("takes no samples");
    }
    fn stop(&self) {}
    fn give_up(&self) -> u64 {
        0
    }
    fn trim(&self) {}
}

impl Exporter for Samples {
    fn takes(&self, _: Signal) -> Intake {
        Intake::Samples(translate::Config::default())
    }
    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        Box::new(Samples)
    }
    fn stop(&self) {}
    fn give_up(&self) -> u64 {
        0
    }
    fn trim(&self) {}
}

impl Staging for Samples {
    fn sample(&mut self, _: &Sample<'_>, _: Changes) {}
    fn end_family(&mut self, _: &Family<'_>) {}
    fn commit(self: Box<Self>) {}
}

/// So many resources, the first of which has a span.
fn resources(count: usize) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| push_message(out, 2, |out| out.extend([0x12, 0])));
    body.extend([0x0a, 0].repeat(count - 1));
    body
}

#[test]
fn a_body_does_not_grow_out_of_proportion() {
    let registry = Registry::new();
    let exporter = Rc::new(Bodies::default());
    let labels = vec![("l".repeat(100), "v".repeat(868))];
    let config = Config { labels, ..Config::default() };
    let pipeline =
        Pipeline::new(&config, vec![Rc::clone(&exporter) as _], Rc::clone(&registry)).unwrap();
    let intake = OtlpIntake::new(&pipeline, "otlp", 1);
    let take =
        |count| run(intake.take(Signal::Traces, false, resources(count), &mut room_for(64 << 20)));
    let fits = ADDED_BYTES_MAX / 1000;
    assert_eq!(take(fits), Ok(()));
    assert!(matches!(take(fits + 1), Err(NotTaken::Bad(Refusal { offset: 0, .. }))));
    let bodies = exporter.0.borrow();
    assert!(bodies.len() == 1 && bodies[0].len() < ADDED_BYTES_MAX + 2 * fits);
    let mut page = String::new();
    registry.render(&mut page);
    let refused = "refused_items_total{receiver=\"otlp\",signal=\"traces\",reason=\"resources\"} 1";
    assert!(page.contains(refused), "{page}");
}

/// A reservation of nothing, on a budget of so many bytes.
fn room_for(bytes: u64) -> Reservation {
    Budget::new(bytes).reservation()
}

/// Takes a body on a budget that holds it and `room_bytes` more; what came of it, how often it
/// paused, and what is held at the end.
fn take_within(
    intake: &OtlpIntake,
    is_json: bool,
    body: &[u8],
    room_bytes: usize,
) -> (Result<(), NotTaken>, u32, usize) {
    // What a request takes beside its body is held all the time.
    let beside = 4096;
    let mut held = room_for((beside + body.len() + room_bytes) as u64);
    held.resize((beside + body.len()) as u64);
    let mut taking = Box::pin(intake.take(Signal::Metrics, is_json, body.to_vec(), &mut held));
    let mut pauses = 0;
    let taken = run(poll_fn(|context| {
        let polled = taking.as_mut().poll(context);
        pauses += u32::from(polled.is_pending());
        polled
    }));
    drop(taking);
    (taken, pauses, held.bytes() as usize - beside)
}

fn intake_of(exporters: Vec<Rc<dyn Exporter>>, labels: Vec<(String, String)>) -> OtlpIntake {
    let config = Config { labels, ..Config::default() };
    OtlpIntake::new(&Pipeline::new(&config, exporters, Registry::new()).unwrap(), "otlp", 1)
}

/// `0,` in JSON is eight bytes in protobuf.
#[test]
fn what_json_is_turned_into_is_held_before_it_is_there() {
    let exporter = Rc::new(Bodies::default());
    let intake = intake_of(vec![Rc::clone(&exporter) as _], Vec::new());
    for (histograms, buckets) in [(20, 10_000), (1, 200_000), (1, 10)] {
        let zeros = "0,".repeat(buckets);
        let data = format!(r#"{{"dataPoints":[{{"bucketCounts":[{zeros}0]}}]}}"#);
        let metric = format!(r#"{{"name":"h","histogram":{data}}}"#);
        let metrics = vec![metric.as_str(); histograms].join(",");
        let json =
            format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#);
        let json = json.as_bytes();
        // Room doubles until it does.
        let mut room = Conversion::room_usual(json);
        while room < histograms * (buckets + 1) * 8 + 1000 {
            room *= 2;
        }
        let (taken, _, held_bytes) = take_within(&intake, true, json, room);
        let body = exporter.0.borrow_mut().pop().expect("it came through");
        assert_eq!((taken, held_bytes), (Ok(()), room));
        assert!(body.len() > histograms * buckets * 8);
        // Not with a byte less; and of such a budget there is never more.
        let (taken, _, held_bytes) = take_within(&intake, true, json, room - 1);
        assert_eq!(taken, Err(NotTaken::TooLarge));
        assert!(held_bytes < json.len() + room);
        assert_eq!(take_within(&intake, true, json, 0).0, Err(NotTaken::TooLarge));
    }
    assert!(exporter.0.borrow().is_empty());
}

#[test]
fn without_room_at_this_moment_a_body_may_come_again() {
    let intake = intake_of(vec![Rc::new(Bodies::default())], Vec::new());
    let budget = Budget::new(10_000);
    let (mut others, mut held) = (budget.reservation(), budget.reservation());
    others.resize(9000);
    let body = || br#"{"resourceMetrics":[]}"#.to_vec();
    let take = |held: &mut _| run(intake.take(Signal::Metrics, true, body(), held));
    assert_eq!(take(&mut held), Err(NotTaken::NoRoom));
    others.resize(0);
    assert_eq!(take(&mut held), Ok(()));
}

#[test]
fn a_copy_with_attributes_is_held_and_comes_before_translation() {
    let labels = vec![("team".to_owned(), "a".repeat(100))];
    let bodies = Rc::new(Bodies::default());
    let intake = intake_of(vec![Rc::new(Samples), Rc::clone(&bodies) as _], labels);
    // A sum of deltas: taken twice it would be out of order.
    let mut delta = Vec::new();
    push_message(&mut delta, 1, |out| {
        push_message(out, 2, |out| {
            push_message(out, 2, |out| {
                push_bytes(out, 1, b"sum");
                push_message(out, 7, |out| {
                    push_message(out, 1, |out| {
                        push_fixed64(out, 2, 1);
                        push_fixed64(out, 3, 2);
                        push_fixed64(out, 6, 1);
                    });
                    push_varint_field(out, 2, 1);
                    push_varint_field(out, 3, 1);
                });
            });
        });
    });
    let room = delta.len() + 4 + 100 + 32;
    assert_eq!(take_within(&intake, false, &delta, room - 1).0, Err(NotTaken::TooLarge));
    let (taken, _, held_bytes) = take_within(&intake, false, &delta, room);
    assert_eq!((taken, held_bytes), (Ok(()), room));
    assert_eq!(bodies.0.borrow().len(), 1);
    let mut page = String::new();
    intake.pipeline.registry.render(&mut page);
    assert!(!page.contains("out_of_order"), "{page}");
    // Were it translated the first time, it would be so: the third time it is.
    assert_eq!(take_within(&intake, false, &delta, room).0, Ok(()));
    page.clear();
    intake.pipeline.registry.render(&mut page);
    assert!(page.contains("out_of_order"), "{page}");
}

#[test]
fn json_is_converted_with_pauses_and_its_bad_text_counted() {
    // Only samples are taken, so that relaying has no part in it.
    let intake = intake_of(vec![Rc::new(Samples)], Vec::new());
    let attributes = vec![r#"{"key":"k"}"#; 80].join(",");
    let point = format!(r#"{{"asDouble":1,"attributes":[{attributes}]}}"#);
    let points = vec![point; 640].join(",");
    let json = format!(
        "{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":\
         [{{\"gauge\":{{\"dataPoints\":[{points}]}},\"name\":\"\u{1}\"}}]}}]}}]}}"
    );
    let mut body = json.into_bytes();
    let at = body.iter().position(|byte| *byte == 1).expect("a place for it");
    body[at] = 0xff;
    let (taken, pauses, _) = take_within(&intake, true, &body, body.len());
    assert_eq!(taken, Ok(()));
    let other_pauses = {
        let protobuf = from_json(Signal::Metrics, &mut body.clone()).unwrap().0;
        take_within(&intake, false, &protobuf, 0).1
    };
    assert_eq!(pauses - other_pauses, (body.len() / CONVERTED_BYTES_MAX) as u32);
    assert_eq!(intake.repaired_strings.value(), 1.0);
}

#[test]
fn of_what_is_dropped_midway_nothing_was_taken_or_lost() {
    let registry = Registry::new();
    let exporters: Vec<Rc<dyn Exporter>> = vec![Rc::new(Samples), Rc::new(Bodies::default())];
    let pipeline = Pipeline::new(&Config::default(), exporters, Rc::clone(&registry)).unwrap();
    let intake = OtlpIntake::new(&pipeline, "otlp", 1);
    // A point without a value, and so many bytes that their way out has a pause.
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| {
        push_message(out, 2, |out| {
            push_message(out, 2, |out| {
                push_bytes(out, 1, b"gauge");
                push_bytes(out, 2, &vec![b'x'; RELAY_BYTES_MAX]);
                push_message(out, 5, |out| push_bytes(out, 1, b""));
            });
        });
    });
    let lost = || {
        let mut page = String::new();
        registry.render(&mut page);
        page.contains("otlet_pipeline_dropped_items_total")
    };
    run(async {
        let mut held = room_for(64 << 20);
        let mut taking = Box::pin(intake.take(Signal::Metrics, false, body.clone(), &mut held));
        let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        drop(taking);
        assert!(!lost());
        assert_eq!(intake.take(Signal::Metrics, false, body, &mut held).await, Ok(()));
        assert!(lost());
    });
}
