//! Two documents of a task of ten containers to encoded samples, in process: time, and memory that
//! outlives a collection. The goal is 150 µs and none.

use std::rc::Rc;
use std::time::Instant;

use otlet::aws::task_metadata::{parse_stats, parse_task};
use otlet::export::queue::Queues;
use otlet::export::remote_write::{self, RemoteWrite};
use otlet::net::Url;
use otlet::observe::{Budget, Registry};
use otlet::pipeline::{self, Pipeline};
use otlet::receive::ecs::{collect, Cycle, Output, State, Vocabulary};
use otlet::receive::scrape::series::Series;

#[path = "support/mod.rs"]
mod support;

use support::allocations;

const CONTAINERS: usize = 10;
const ROUNDS: usize = 2000;

/// The documents of tests/ecs with their running container ten times, under ids of its own.
fn documents() -> [String; 2] {
    let read = |kind: &str| {
        let path = format!("{}/tests/ecs/ec2-host.{kind}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).expect("a document of the tests")
    };
    let (task, stats) = (read("task"), read("stats"));
    let id = "1".repeat(64);
    let numbered = |text: &str, at: usize| text.replace(&id, &format!("{at:064}"));
    let inner = |text: &str, open: char, close: char| {
        let (start, end) = (text.find(open).unwrap_or(0) + 1, text.rfind(close).unwrap_or(0));
        (text[..start].to_owned(), text[start..end].to_owned(), text[end..].to_owned())
    };
    let containers = task.find("\"Containers\"").expect("containers");
    let (head, container, tail) = inner(&task[containers..], '[', ']');
    let many: Vec<String> = (0..CONTAINERS)
        .map(|at| numbered(&container, at).replace("\"agent\"", &format!("\"agent-{at}\"")))
        .collect();
    let task = format!("{}{head}{}{tail}", &task[..containers], many.join(","));
    let (head, entry, tail) = inner(&stats, '{', '}');
    let many: Vec<String> = (0..CONTAINERS).map(|at| numbered(&entry, at)).collect();
    [task, format!("{head}{}{tail}", many.join(","))]
}

fn main() {
    let [task, stats] = documents();
    let registry = Registry::new();
    let budget = Budget::new(32 << 20);
    let queues = Queues::new(Rc::clone(&budget));
    let config = remote_write::Config::for_url(Url::parse("http://localhost/").expect("a URL"));
    let exporter = RemoteWrite::new(config, "bench", &registry, &queues, 32 << 20);
    let ways_out: Vec<Rc<dyn pipeline::Exporter>> = vec![Rc::clone(&exporter) as _];
    let config = pipeline::Config::default();
    let pipeline = Pipeline::new(&config, ways_out, registry).expect("no rule, no error");
    let account = pipeline.account("ecs", "metrics");
    let (mut state, mut series) = (State::default(), Series::new(budget.reservation()));
    let mut now_ms = 1_767_323_420_000;
    let mut samples = 0_u64;
    let mut cycle = || {
        now_ms += 15_000;
        let task = parse_task(task.as_bytes()).expect("a task");
        let stats = parse_stats(stats.as_bytes()).expect("statistics");
        let vocabularies = &[Vocabulary::Adot];
        let cycle = Cycle { task: &task, stats: &stats, now_ms, labels: &[], vocabularies };
        let mut transaction = pipeline.begin(&account);
        series.begin();
        collect(&cycle, &mut state, &mut |output| match output {
            Output::Sample(sample) => {
                series.see(sample.labels, false);
                transaction.sample(sample);
            }
            Output::EndFamily(family) => transaction.end_family(family),
        });
        otlet::net::run(series.commit(now_ms, |marker| transaction.sample(marker)));
        samples = transaction.items();
        transaction.commit();
        exporter.discard_queue();
    };
    (0..10).for_each(|_| cycle());
    let (live, allocations) = (allocations::bytes(), allocations::count());
    let mut best_us = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        cycle();
        best_us = best_us.min(start.elapsed().as_nanos() as f64 / 1000.0);
    }
    let outlives = allocations::bytes() - live;
    let allocations = allocations::count() - allocations;
    println!(
        "ecs: {CONTAINERS} containers, {} bytes of JSON to {samples} encoded samples: \
         {best_us:.0} µs, {} allocations, {outlives} bytes outlive {ROUNDS} collections",
        task.len() + stats.len(),
        allocations / ROUNDS as u64
    );
}
