//! Page text → parse → labels → protobuf → snappy, in process: time and allocations per sample.
//!
//! Once as a target alone has it, and once with six labels more, as those of a task's identity are.
//!
//! With an argument `pages=N` it only takes N pages and prints nothing: for counting instructions
//! (`make instructions`, which `make bench` ends with where there is valgrind, runs it so under
//! callgrind, twice, and divides the difference).

use std::rc::Rc;
use std::time::Instant;

use otlet::codec::prometheus::Format;
use otlet::export::queue::Queues;
use otlet::export::remote_write::{self, RemoteWrite};
use otlet::net::Url;
use otlet::observe::{Budget, Registry};
use otlet::pipeline::{self, Pipeline, ReceiverAccount};
use otlet::receive::scrape::page::{Into, Page, Rules, WINDOW_BYTES};
use otlet::receive::scrape::series::Series;

#[path = "support/mod.rs"]
mod support;

use support::{allocations, page};

const SERIES: usize = 10_000;

/// The path from a page to blocks, without the sockets at its ends.
struct Path {
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    exporter: Rc<RemoteWrite>,
    page: Page,
    series: Series,
    rules: Rules,
    now_ms: i64,
    wire_bytes: usize,
}

impl Path {
    fn new(added: usize) -> Path {
        let registry = Registry::new();
        let budget = Budget::new(32 << 20);
        let queues = Queues::new(Rc::clone(&budget));
        let url = Url::parse("http://localhost/").expect("a good address");
        let config = remote_write::Config::for_url(url);
        let exporter = RemoteWrite::new(config, "bench", &registry, &queues, 32 << 20);
        let ways_out: Vec<Rc<dyn pipeline::Exporter>> = vec![Rc::clone(&exporter) as _];
        let label = |at| (format!("ecs_label_{at}"), format!("value-{at}-of-the-task"));
        let config =
            pipeline::Config { labels: (0..added).map(label).collect(), ..Default::default() };
        let pipeline = Pipeline::new(&config, ways_out, registry).expect("no rule, no error");
        let labels = [("instance", "localhost:8080"), ("job", "otlet")];
        let rules = Rules {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            honor_timestamps: true,
            ..Rules::default()
        };
        let account = pipeline.account("scrape", "metrics");
        let series = Series::new(budget.reservation());
        let (page, now_ms) = (Page::default(), 1_700_000_000_000);
        Path { pipeline, account, exporter, page, series, rules, now_ms, wire_bytes: 0 }
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
            let window = &text[at..end];
            at += self.page.push(window, end == text.len(), &mut into).expect("a good page");
        }
        self.page.finish(&mut into).expect("a good page");
        let markers = self.series.commit(timestamp_ms, |marker| transaction.sample(marker));
        otlet::net::run(markers);
        transaction.commit();
        self.wire_bytes += self.exporter.discard_queue();
    }
}

fn main() {
    let pages: Vec<String> = (0..4).map(|tick| page::page(SERIES, tick)).collect();
    let argument =
        |name: &str| std::env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
    if let Some(count) = argument("pages=") {
        let mut path = Path::new(argument("added=").unwrap_or(0));
        (0..count).for_each(|at: usize| path.take(pages[at % pages.len()].as_bytes()));
        return;
    }
    measure(&pages, 0);
    measure(&pages, 6);
}

fn measure(pages: &[String], added: usize) {
    let mut path = Path::new(added);
    // The first pages make the buffers that the others use.
    pages.iter().for_each(|page| path.take(page.as_bytes()));
    let mut best_ns = f64::INFINITY;
    path.wire_bytes = 0;
    let allocations = allocations::count();
    let rounds = 50;
    for _ in 0..rounds {
        let start = Instant::now();
        pages.iter().for_each(|page| path.take(page.as_bytes()));
        let ns = start.elapsed().as_nanos() as f64 / (pages.len() * SERIES) as f64;
        best_ns = best_ns.min(ns);
    }
    let samples = (rounds * pages.len() * SERIES) as f64;
    let allocations = (allocations::count() - allocations) as f64;
    println!(
        "scrape to blocks, {added} labels added: {best_ns:.0} ns/sample, {:.2} million samples/s, \
         {:.4} allocations/sample, {:.1} wire bytes/sample, {:.0} text bytes/sample",
        1000.0 / best_ns,
        allocations / samples,
        path.wire_bytes as f64 / samples,
        pages[0].len() as f64 / SERIES as f64
    );
}
