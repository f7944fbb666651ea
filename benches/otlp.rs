//! OTLP: validation of bodies in GB/s, JSON to protobuf, points per second to samples, allocations
//! per point.

use std::time::Instant;

use otlet::codec::otlp::{from_json, splice_resource, validate, Signal};
use otlet::codec::protobuf::{
    push_bytes, push_double, push_fixed64, push_message, push_varint_field,
};
use otlet::model::Sample;
use otlet::translate::{Config, Out, Translator, Walk};

#[path = "support/mod.rs"]
mod support;

use support::otlp::{attribute, resource, traces};

fn main() {
    for spans in [1, 100] {
        let mut body = traces(spans);
        let (ns, allocations) = best(|| {
            validate(Signal::Traces, &mut body).expect("a good body");
        });
        println!(
            "validate, {spans} spans of {} bytes: {:.2} GB/s, {allocations} allocations",
            body.len() / spans,
            body.len() as f64 / ns
        );
    }
    let (body, mut out) = (traces(100), Vec::new());
    let attributes = ["cloud.region", "cloud.provider", "aws.ecs.task.id"]
        .map(|key| (key.to_owned(), "eu-west-1".to_owned()));
    let (ns, allocations) = best(|| {
        out.clear();
        splice_resource(&body, &attributes, &mut out);
    });
    println!("splice: {:.2} GB/s, {allocations} allocations", body.len() as f64 / ns);
    json();
    translate(
        "sums",
        &mut metrics(7, |out, at| {
            times(out);
            push_fixed64(out, 6, at);
            labels(out, 7, at);
        }),
    );
    translate(
        "histograms of 15 buckets",
        &mut metrics(9, |out, at| {
            times(out);
            push_fixed64(out, 4, 15);
            push_double(out, 5, 1.5);
            let words =
                |values: &[u64]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let counts: Vec<u8> = words(&[1; 15]);
            let bounds: Vec<u64> = (1..15).map(|at| (f64::from(at) * 0.25).to_bits()).collect();
            let bounds: Vec<u8> = words(&bounds);
            push_bytes(out, 6, &counts);
            push_bytes(out, 7, &bounds);
            labels(out, 9, at);
        }),
    );
    translate(
        "exponential histograms of 40 buckets",
        &mut metrics(10, |out, at| {
            times(out);
            push_fixed64(out, 4, 40);
            push_double(out, 5, 1.5);
            push_varint_field(out, 6, 6);
            push_message(out, 8, |out| push_bytes(out, 2, &[1; 40]));
            labels(out, 1, at);
        }),
    );
}

fn times(out: &mut Vec<u8>) {
    push_fixed64(out, 2, 1_700_000_000_000_000_000);
    push_fixed64(out, 3, 1_700_000_060_000_000_000);
}

fn labels(out: &mut Vec<u8>, field: u32, at: u64) {
    attribute(out, field, "http.request.method", "GET");
    attribute(out, field, "http.route", &format!("/api/v1/orders/{at}"));
    attribute(out, field, "url.scheme", "http");
    push_message(out, field, |out| {
        push_bytes(out, 1, b"http.response.status_code");
        push_message(out, 2, |out| push_varint_field(out, 3, 200));
    });
}

/// Ten metrics with a hundred cumulative points each.
fn metrics(field: u32, point: impl Fn(&mut Vec<u8>, u64)) -> Vec<u8> {
    let mut body = Vec::new();
    push_message(&mut body, 1, |out| {
        resource(out);
        push_message(out, 2, |out| {
            for metric in 0..10 {
                push_message(out, 2, |out| {
                    push_bytes(out, 1, format!("http.server.requests.{metric}").as_bytes());
                    push_bytes(out, 3, b"s");
                    push_message(out, field, |out| {
                        (0..100).for_each(|at| push_message(out, 1, |out| point(out, at)));
                        push_varint_field(out, 2, 2);
                        if field == 7 {
                            push_varint_field(out, 3, 1);
                        }
                    });
                });
            }
        });
    });
    body
}

/// Points through the translation, in one body.
fn translate(name: &str, body: &mut [u8]) {
    let points = validate(Signal::Metrics, body).expect("a good body").items;
    for native_histograms in [false, true] {
        let config = Config { native_histograms, ..Config::default() };
        let mut translator = Translator::new(&config, 1);
        let mut samples = 0;
        let (ns, allocations) = best(|| {
            let mut walk = Walk::new(body);
            samples = 0;
            while !translator.piece(&mut walk, 0, &mut |out| {
                if let Out::Sample(sample) = out {
                    samples += 1;
                    std::hint::black_box::<&Sample>(sample);
                }
            }) {}
        });
        println!(
            "{name} (native histograms: {native_histograms}): {:.2} million points/s, {:.2} \
             million samples/s; {:.1} allocations for {points} points",
            points as f64 / ns * 1e3,
            samples as f64 / ns * 1e3,
            allocations as f64 / ROUNDS as f64
        );
    }
}

fn json() {
    let mut text = String::from(r#"{"resourceSpans":[{"scopeSpans":[{"spans":["#);
    for at in 0..100 {
        text += if at > 0 { "," } else { "" };
        text += r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
            "name":"GET /api/v1/orders/{id}","kind":2,"startTimeUnixNano":"1544712660000000000",
            "endTimeUnixNano":"1544712661000000000","attributes":[
            {"key":"http.request.method","value":{"stringValue":"GET"}},
            {"key":"url.path","value":{"stringValue":"/api/v1/orders/81294"}},
            {"key":"http.response.status_code","value":{"intValue":"200"}}]}"#;
    }
    text += "]}]}]}";
    let mut text = text.into_bytes();
    let (ns, _) = best(|| {
        std::hint::black_box(from_json(Signal::Traces, &mut text).expect("good JSON"));
    });
    println!("JSON to protobuf, 100 spans: {:.0} MB/s", text.len() as f64 / ns * 1e3);
}

const ROUNDS: u32 = 1000;

/// Nanoseconds of the fastest round, and allocations of all rounds but the first.
fn best(mut round: impl FnMut()) -> (f64, u64) {
    round();
    let allocations = support::allocations::count();
    let mut best_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best_ns = best_ns.min(start.elapsed().as_nanos() as f64);
    }
    (best_ns, support::allocations::count() - allocations)
}
