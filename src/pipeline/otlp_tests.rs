//! What is taken comes out whole, and what is refused or dropped leaves nothing.

use std::cell::RefCell;
use std::future::{poll_fn, Future};
use std::task::Poll;

use super::super::{Added, Config, Staging};
use super::*;
use crate::codec::protobuf::{push_bytes, push_message};
use crate::model::{Family, Sample};
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
    fn sample(&mut self, _: &Sample<'_>) {}
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

/// `0,` in JSON is eight bytes in protobuf.
#[test]
fn what_a_body_is_turned_into_needs_room_of_its_own() {
    let exporter = Rc::new(Bodies::default());
    let pipeline =
        Pipeline::new(&Config::default(), vec![Rc::clone(&exporter) as _], Registry::new());
    let intake = OtlpIntake::new(&pipeline.unwrap(), "otlp", 1);
    let histogram = format!(r#"{{"dataPoints":[{{"bucketCounts":[{}0]}}]}}"#, "0,".repeat(10_000));
    let metric = format!(r#"{{"name":"h","histogram":{histogram}}}"#);
    let metrics = [metric.as_str(); 20].join(",");
    let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#);
    let expected_bytes = 20 * 10_001 * 8;
    let take = |budget_bytes| {
        let mut held = room_for(budget_bytes);
        held.resize(json.len() as u64);
        let mut taking =
            Box::pin(intake.take(Signal::Metrics, true, json.clone().into(), &mut held));
        let mut pauses = 0;
        let taken = run(poll_fn(|context| {
            let polled = taking.as_mut().poll(context);
            pauses += u32::from(polled.is_pending());
            polled
        }));
        drop(taking);
        (taken, pauses, held.bytes())
    };
    let (taken, _, _) = take(3 * json.len() as u64);
    assert_eq!(taken, Err(NotTaken::NoRoom));
    let (taken, pauses, held_bytes) = take(64 << 20);
    assert_eq!(taken, Ok(()));
    let body = &exporter.0.borrow()[0];
    assert!(body.len() > expected_bytes && body.len() < expected_bytes + 2000);
    assert!(held_bytes >= body.len() as u64, "{held_bytes}");
    // Some pieces of a histogram each, and those of the check.
    assert!(pauses >= 5 + 6, "{pauses}");
    assert_eq!(take(0).0, Err(NotTaken::NoRoom), "not even a beginning");
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
