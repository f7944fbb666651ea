//! X-Ray: microseconds and allocations per segment document, each walk alone; and back from spans.
//!
//! The goal is 10 µs per KiB for both walks together.

#![allow(unsafe_code)] // a counting allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use otlet::translate::segment::{documents, Segments};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting calls.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A web request with a call to DynamoDB, one to a database, annotations and metadata.
const WEB: &str = r#"{"name":"checkout","id":"1111111111111111",
"trace_id":"1-67000000-abcdefabcdefabcdefabcdef","start_time":1728053248.251234,
"end_time":1728053249.5,"origin":"AWS::ECS::Fargate","service":{"version":"1.2.3",
"runtime":"CPython"},"aws":{"xray":{"sdk":"X-Ray for Python","sdk_version":"2.15.0"},
"ecs":{"container":"ip-10-0-0-1.eu-west-1.compute.internal"}},
"http":{"request":{"method":"POST","url":"https://shop.example/cart",
"client_ip":"10.0.0.9","user_agent":"Mozilla/5.0 (X11; Linux)"},"response":{"status":200,
"content_length":1234}},"annotations":{"tier":3,"plan":"gold","paid":true},
"metadata":{"default":{"cart":[1,2,3],"note":"hello"}},"subsegments":[{"name":"DynamoDB",
"id":"2222222222222222","start_time":1728053248.5,"end_time":1728053249.0,
"namespace":"aws","aws":{"operation":"GetItem","region":"eu-west-1","table_name":"carts",
"retries":1}},{"name":"orders@db","id":"3333333333333333","start_time":1728053248.6,
"end_time":1728053249.1,"namespace":"remote","sql":{"url":"postgresql://db:5432/orders",
"sanitized_query":"SELECT * FROM t WHERE id = ?","database_type":"PostgreSQL",
"user":"app"}}]}"#;

/// The same with everything under a chain of `levels` subsegments, without annotations.
fn nested(levels: usize) -> String {
    let mut text = r#"{"name":"n","id":"00000000000000aa","start_time":1,"end_time":2,
        "trace_id":"1-67000000-abcdefabcdefabcdefabcdef""#
        .to_owned();
    for level in 1..=levels {
        text += &format!(
            r#","subsegments":[{{"name":"s","id":"{level:016}","start_time":1,"end_time":2"#
        );
    }
    text + &"}]".repeat(levels) + "}"
}

fn main() {
    measure("web request", WEB);
    measure("20 levels", &nested(20));
    let sub = r#"{"name":"step","id":"0000000000000001","start_time":1.5,"end_time":2.5},"#;
    let wide = format!(
        "{},\"subsegments\":[{}{{}}]}}",
        &nested(0)[..nested(0).len() - 1],
        sub.repeat(800)
    );
    measure("800 subsegments", &wide);
}

fn measure(name: &str, document: &str) {
    let (mut segments, mut body) = (Segments::default(), Vec::new());
    let read = per_call(|| {
        black_box(segments.read(black_box(document.as_bytes())).expect("a good document"));
    });
    let both = per_call(|| {
        segments.read(black_box(document.as_bytes())).expect("a good document");
        body.clear();
        segments.write_spans(document.as_bytes(), &mut body);
        black_box(&body);
    });
    let mut random = || 1;
    let back = per_call(|| {
        documents(black_box(&body), &mut random, &mut |text| {
            black_box(text);
        })
    });
    let kib = document.len() as f64 / 1024.0;
    let line = |what: &str, (us, allocations): (f64, f64)| {
        println!(
            "xray {name}, {} bytes, {what}: {us:.2} us, {:.2} us/KiB, {allocations:.1} allocations",
            document.len(),
            us / kib
        );
    };
    line("checked", read);
    line("checked and translated", both);
    line("spans back to documents", back);
}

/// Microseconds and allocations of a call, the best of five runs.
fn per_call(mut call: impl FnMut()) -> (f64, f64) {
    call();
    let mut best = (f64::MAX, 0.0);
    for _ in 0..5 {
        let (start, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
        let mut calls = 0_u32;
        while start.elapsed() < Duration::from_millis(200) {
            (0..16).for_each(|_| call());
            calls += 16;
        }
        let us = start.elapsed().as_secs_f64() * 1e6 / f64::from(calls);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        if us < best.0 {
            best = (us, allocations as f64 / f64::from(calls));
        }
    }
    best
}
