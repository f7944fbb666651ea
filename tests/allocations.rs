//! Steady state allocates nothing per sample: a page of ten thousand, from text to snappy blocks,
//! under an allocator that counts.
//!
//! What is left is per page and per block (a transaction, a request's body), whatever their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

use otlet::codec::otlp::Signal;
use otlet::codec::prometheus::Format;
use otlet::export::otlp::{self, Otlp};
use otlet::export::queue::Queues;
use otlet::export::remote_write::{self, RemoteWrite};
use otlet::net::Url;
use otlet::observe::{Budget, Registry};
use otlet::pipeline::{self, Action, OtlpIntake, Pipeline, ReceiverAccount, RelabelConfig};
use otlet::receive::scrape::page::{Into, Page, Rules};
use otlet::receive::scrape::series::Series;

#[path = "../benches/support/otlp.rs"]
mod otlp_bodies;
#[path = "../benches/support/page.rs"]
mod page;

const SERIES: usize = 10_000;
const WINDOW_BYTES: usize = 64 * 1024;
/// A page makes six blocks; each costs a body that grows and is cut to size, and a place in line.
const PER_PAGE_MAX: u64 = 100;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Gone while a thread ends: nobody looks at it then.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed to the system allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        System.realloc(at, layout, bytes)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The path from a page to blocks, without the sockets at its ends.
struct Path {
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    exporter: Rc<RemoteWrite>,
    page: Page,
    series: Series,
    rules: Rules,
    now_ms: i64,
}

impl Path {
    fn new(config: &pipeline::Config) -> Path {
        let registry = Registry::new();
        let budget = Budget::new(32 << 20);
        let queues = Queues::new(Rc::clone(&budget));
        let config_out = remote_write::Config::for_url(Url::parse("http://localhost/").unwrap());
        let exporter = RemoteWrite::new(config_out, "test", &registry, &queues, 32 << 20);
        let ways_out: Vec<Rc<dyn pipeline::Exporter>> = vec![Rc::clone(&exporter) as _];
        let pipeline = Pipeline::new(config, ways_out, registry).unwrap();
        let labels = [("instance", "localhost:8080"), ("job", "otlet")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Path {
            account: pipeline.account("scrape", "metrics"),
            pipeline,
            exporter,
            page: Page::default(),
            series: Series::new(budget.reservation()),
            rules: Rules { labels, honor_timestamps: true, ..Rules::default() },
            now_ms: 1_700_000_000_000,
        }
    }

    fn take(&mut self, text: &[u8]) {
        self.now_ms += 1000;
        let timestamp_ms = self.now_ms;
        let mut transaction = self.pipeline.begin(&self.account);
        self.series.begin();
        self.page.begin(Format::Text);
        let (series, rules) = (&mut self.series, &self.rules);
        let mut into = Into { rules, series, transaction: &mut transaction, timestamp_ms };
        let mut at = 0;
        while at < text.len() {
            let end = (at + WINDOW_BYTES).min(text.len());
            at += self.page.push(&text[at..end], end == text.len(), &mut into).unwrap();
        }
        self.page.finish(&mut into).unwrap();
        let markers = self.series.commit(timestamp_ms, |marker| transaction.sample(marker));
        otlet::net::run(markers);
        transaction.commit();
        assert!(self.exporter.discard_queue() > SERIES);
    }
}

/// The most that one of the later pages allocates.
fn worst_page(config: &pipeline::Config) -> u64 {
    let pages: Vec<String> = (0..8).map(|tick| page::page(SERIES, tick)).collect();
    let mut path = Path::new(config);
    let allocated = |page: &String| {
        let before = ALLOCATIONS.with(Cell::get);
        path.take(page.as_bytes());
        ALLOCATIONS.with(Cell::get) - before
    };
    let each: Vec<u64> = pages.iter().map(allocated).collect();
    assert!(each[0] > PER_PAGE_MAX, "the first page makes the buffers: {each:?}");
    each[2..].iter().copied().max().unwrap()
}

#[test]
fn a_page_costs_no_allocation_per_sample() {
    let worst = worst_page(&pipeline::Config::default());
    assert!(worst <= PER_PAGE_MAX, "{worst} allocations for {SERIES} samples");
}

#[test]
fn nor_do_labels_and_rules() {
    let rule = |action, source: &str, regex: &str, target: &str| RelabelConfig {
        action,
        source: vec![source.to_owned()],
        separator: ";".to_owned(),
        regex: regex.to_owned(),
        target: target.to_owned(),
        replacement: "x-$1".to_owned(),
    };
    let config = pipeline::Config {
        labels: vec![("region".to_owned(), "eu".to_owned())],
        relabel: vec![
            rule(Action::Drop, "method", "NONE", ""),
            rule(Action::Replace, "path", "/api/(v.).*", "version"),
        ],
        ..pipeline::Config::default()
    };
    let worst = worst_page(&config);
    assert!(worst <= PER_PAGE_MAX, "{worst} allocations for {SERIES} samples");
}

/// A request that is relayed: its body is there already; it is checked, staged and appended, and
/// every megabyte a block is made.
const PER_RELAY_MAX: u64 = 40;

#[test]
fn a_relayed_request_costs_the_same_whatever_is_in_it() {
    let registry = Registry::new();
    let budget = Budget::new(32 << 20);
    let (queues, mut held) = (Queues::new(Rc::clone(&budget)), budget.reservation());
    let config = otlp::Config::for_url(Url::parse("http://localhost/").unwrap());
    let exporter = Otlp::new(config, "test", &registry, &queues, 32 << 20, 1);
    let ways_out: Vec<Rc<dyn pipeline::Exporter>> = vec![Rc::clone(&exporter) as _];
    let pipeline = Pipeline::new(&pipeline::Config::default(), ways_out, registry).unwrap();
    let intake = OtlpIntake::new(&pipeline, "otlp", 1);
    for spans in [1, 100, 2000] {
        let mut worst = 0;
        for round in 0..20 {
            let body = otlp_bodies::traces(spans);
            let before = ALLOCATIONS.with(Cell::get);
            otlet::net::run(intake.take(Signal::Traces, false, body, &mut held)).unwrap();
            exporter.discard_queues();
            let allocated = ALLOCATIONS.with(Cell::get) - before;
            // The first ones make the buffers.
            worst = if round < 5 { 0 } else { worst.max(allocated) };
        }
        assert!((1..=PER_RELAY_MAX).contains(&worst), "{worst} allocations for {spans} spans");
    }
}
