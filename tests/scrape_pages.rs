//! A page in windows of any size gives what it gives line by line, in process: the same requests,
//! the same counts, the same error.
//!
//! From line to line a page's samples say how they differ, and encoders and hashes trust that; from
//! window to window nothing is taken over. So one line in each window is the way without it.

use std::cell::RefCell;
use std::rc::Rc;

use fastrand::Rng;
use otlet::codec::prometheus::Format;
use otlet::codec::snappy::decompress;
use otlet::export::queue::Queues;
use otlet::export::remote_write::{self, RemoteWrite};
use otlet::model::{Changes, Family, Sample};
use otlet::net::Url;
use otlet::observe::{Budget, Registry};
use otlet::pipeline::{Added, Exporter, Intake, Pipeline, ReceiverAccount, Staging};
use otlet::receive::scrape::page::{Counts, Into, Page, PageError, Rules};
use otlet::receive::scrape::series::Series;

#[path = "support/random_page.rs"]
mod random_page;

use random_page::{random_page, random_setup, Setup};

/// Where every page starts in time.
const START_MS: i64 = 1_700_000_000_000;

/// An exporter that writes down what it is told, and holds what it is told of changes against it.
#[derive(Default)]
struct Recorder {
    samples: RefCell<Vec<String>>,
    alike: RefCell<usize>,
}

struct Recording {
    recorder: Rc<Recorder>,
    last: Vec<(String, String)>,
}

impl Exporter for Recorder {
    fn takes(&self, _: otlet::codec::otlp::Signal) -> Intake {
        Intake::Samples(otlet::translate::Config::default())
    }
    fn begin(self: Rc<Self>, _added: &Rc<Added>) -> Box<dyn Staging> {
        Box::new(Recording { recorder: self, last: Vec::new() })
    }
    fn stop(&self) {}
    fn give_up(&self) -> u64 {
        0
    }
    fn trim(&self) {}
}

impl Staging for Recording {
    fn sample(&mut self, sample: &Sample<'_>, changes: Changes) {
        let pair =
            |at: usize| (sample.labels[at].name.to_owned(), sample.labels[at].value.to_owned());
        let pairs: Vec<_> = (0..sample.labels.len()).map(pair).collect();
        if !changes.is_all() {
            changes.places().for_each(|at| self.last[at].1.clone_from(&pairs[at].1));
            assert_eq!(self.last, pairs);
            *self.recorder.alike.borrow_mut() += 1;
        }
        self.last = pairs;
        // A NaN does not equal itself.
        let shown = Sample { value: 0.0, ..*sample };
        let text = format!("{:x} {shown:?}", sample.value.to_bits());
        self.recorder.samples.borrow_mut().push(text);
    }
    fn end_family(&mut self, family: &Family<'_>) {
        self.recorder.samples.borrow_mut().push(format!("{family:?}"));
    }
    fn commit(self: Box<Self>) {}
}

/// The path from a page to blocks, without the sockets at its ends.
struct Path {
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    exporters: Vec<Rc<RemoteWrite>>,
    recorder: Rc<Recorder>,
    page: Page,
    series: Series,
    rules: Rules,
    now_ms: i64,
}

/// All that comes of a page.
#[derive(Debug, PartialEq)]
struct Outcome {
    error: Option<String>,
    counts: Counts,
    /// What each destination gets: items and message of each request.
    requests: Vec<Vec<(u64, Vec<u8>)>>,
    recorded: Vec<String>,
}

impl Path {
    fn new(setup: &Setup) -> Path {
        let registry = Registry::new();
        let budget = Budget::new(64 << 20);
        let queues = Queues::new(Rc::clone(&budget));
        let exporter = |(at, labels): (usize, &Vec<(String, String)>)| {
            let url = Url::parse("http://localhost/").unwrap();
            let (labels, samples_max) = (labels.clone(), setup.samples_max[at]);
            let config =
                remote_write::Config { labels, samples_max, ..remote_write::Config::for_url(url) };
            RemoteWrite::new(config, &at.to_string(), &registry, &queues, 16 << 20)
        };
        let exporters: Vec<_> = setup.own_labels.iter().enumerate().map(exporter).collect();
        let recorder = Rc::new(Recorder::default());
        let mut ways_out: Vec<Rc<dyn Exporter>> = vec![Rc::clone(&recorder) as _];
        ways_out.extend(exporters.iter().map(|exporter| Rc::clone(exporter) as Rc<dyn Exporter>));
        let pipeline = Pipeline::new(&setup.pipeline, ways_out, registry).unwrap();
        Path {
            account: pipeline.account("scrape", "metrics"),
            pipeline,
            exporters,
            recorder,
            page: Page::default(),
            series: Series::new(budget.reservation()),
            rules: setup.rules.clone(),
            now_ms: START_MS,
        }
    }

    /// Takes a page in windows that grow by the steps `step` gives for what is left.
    async fn take(
        &mut self,
        text: &[u8],
        format: Format,
        step: impl FnMut(&[u8]) -> usize,
    ) -> Outcome {
        self.now_ms += 1000;
        let timestamp_ms = self.now_ms;
        let mut transaction = self.pipeline.begin(&self.account);
        self.series.begin();
        self.page.begin(format);
        let (series, rules) = (&mut self.series, &self.rules);
        let mut into = Into { rules, series, transaction: &mut transaction, timestamp_ms };
        let result = read(&mut self.page, text, step, &mut into);
        match &result {
            Ok(()) => self.series.commit(timestamp_ms, |marker| transaction.sample(marker)).await,
            Err(error) => {
                transaction.abort(error.reason());
                transaction = self.pipeline.begin(&self.account);
                self.series.abort(timestamp_ms, |marker| transaction.sample(marker)).await;
            }
        }
        transaction.commit();
        Outcome {
            error: result.err().map(|error| error.to_string()),
            counts: self.page.counts,
            requests: self.exporters.iter().map(|exporter| requests(exporter)).collect(),
            recorded: self.recorder.samples.take(),
        }
    }
}

fn read(
    page: &mut Page,
    text: &[u8],
    mut step: impl FnMut(&[u8]) -> usize,
    into: &mut Into<'_>,
) -> Result<(), PageError> {
    let (mut from, mut to) = (0, 0);
    loop {
        to = text.len().min(to + step(&text[to..]));
        let last = to == text.len();
        from += page.push(&text[from..to], last, into)?;
        if last {
            return page.finish(into);
        }
    }
}

fn requests(exporter: &RemoteWrite) -> Vec<(u64, Vec<u8>)> {
    let message = |body: &[u8], raw_bytes| decompress(body, raw_bytes).unwrap();
    let mut found = Vec::new();
    exporter.take_queue(|block| {
        found.push((block.items, message(&block.body, block.raw_bytes)));
    });
    found
}

fn line_bytes(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1)
}

#[test]
fn a_page_gives_the_same_in_windows_of_any_size() {
    let (mut failed, mut pages, mut samples, mut alike) = (0, 0, 0, 0);
    for seed in 0..70 {
        let mut random = Rng::with_seed(seed);
        let setup = random_setup(&mut random);
        let (mut path, mut line_by_line) = (Path::new(&setup), Path::new(&setup));
        otlet::net::run(async {
            for _ in 0..4 {
                let format = if random.bool() { Format::Text } else { Format::OpenMetrics };
                let text = random_page(&mut random, format, START_MS);
                // Whatever is kept from page to page must not matter either.
                line_by_line.page = Page::default();
                let expected = line_by_line.take(text.as_bytes(), format, line_bytes).await;
                let window_bytes = [500, 5_000, 100_000][random.usize(..3)];
                let step = |_: &[u8]| random.usize(1..window_bytes);
                let found = path.take(text.as_bytes(), format, step).await;
                assert!(found == expected, "seed {seed}:\n{text}\n{found:#?}\n{expected:#?}");
                pages += 1;
                failed += usize::from(found.error.is_some());
                samples += found.counts.kept;
            }
        });
        alike += *path.recorder.alike.borrow();
        assert_eq!(*line_by_line.recorder.alike.borrow(), 0);
    }
    println!("{failed} of {pages} pages failed, {alike} of {samples} samples alike");
    assert!((pages / 20..pages / 2).contains(&failed), "{failed} of {pages} pages failed");
    assert!(alike as u64 > samples / 4, "{alike} of {samples} samples alike");
}
