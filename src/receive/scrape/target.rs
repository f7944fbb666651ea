//! One target: its beat, its state from scrape to scrape, and how each scrape ends.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::config::Config;
use super::fetch::{Body, Consumer, ScrapeError, Source};
use super::filter::Filter;
use super::page::{Into, Page, Rules, WINDOW_BYTES};
use super::report::{self, Report};
use super::schedule::Schedule;
use super::series::Series;
use crate::codec::prometheus::{Format, LINE_BYTES_MAX};
use crate::net::clock::{self, SampleClock};
use crate::net::dns::Resolver;
use crate::net::{self, Notify};
use crate::observe::Budget;
use crate::pipeline::{Added, Pipeline, ReceiverAccount, Transaction};

const WINDOW_BYTES_MAX: usize = LINE_BYTES_MAX + WINDOW_BYTES;

/// The last scrape, after the stop signal, may take this long.
const LAST_SCRAPE_MAX: Duration = Duration::from_secs(2);

/// Tells a target to scrape once more and end.
pub type Stop = Notify;

/// A scrape target and everything remembered about it.
pub struct Target {
    config: Config,
    rules: Rules,
    source: Source,
    schedule: Schedule,
    clock: SampleClock,
    page: Page,
    series: Series,
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    /// What the pipeline added to the last samples.
    added: Rc<Added>,
    /// When the last samples were published; none before the first scrape.
    last_ms: Option<i64>,
    failing: bool,
}

impl Target {
    /// `host` spreads the beat between hosts. Fails where the client keys do not make sense.
    pub fn new(
        config: Config,
        host: &str,
        pipeline: Rc<Pipeline>,
        budget: &Rc<Budget>,
        resolver: Rc<Resolver>,
    ) -> Result<Target, String> {
        let url = &config.url;
        let schedule = Schedule::new(
            config.interval,
            &format!("{} {}", config.job, url),
            host,
            Instant::now(),
            clock::unix_ms(),
        );
        Ok(Target {
            rules: rules(&config, ""),
            source: Source::new(&config, resolver)?,
            schedule,
            clock: SampleClock::default(),
            page: Page::default(),
            series: Series::new(budget.reservation()),
            account: pipeline.account("scrape", "metrics"),
            pipeline,
            config,
            added: Rc::default(),
            last_ms: None,
            failing: false,
        })
    }

    /// Scrapes on the beat until told to stop, then once more, and ends the series.
    pub async fn run(mut self, stop: Stop) {
        self.pipeline.identity_settled().await;
        loop {
            let next = self.schedule.next(Instant::now());
            let beat = async {
                net::sleep_until(next).await;
                false
            };
            let stopped = async {
                stop.notified().await;
                true
            };
            if net::either(beat, stopped).await {
                break;
            }
            let timeout = self.config.timeout;
            if self.scrape(timeout, Some(&stop)).await {
                return self.end().await;
            }
        }
        self.scrape(self.config.timeout.min(LAST_SCRAPE_MAX), None).await;
        self.end().await;
    }

    /// One scrape with all that follows from it. If `stop` comes meanwhile the scrape is the last
    /// one, gets no longer than such a one, and true is returned.
    async fn scrape(&mut self, timeout: Duration, stop: Option<&Stop>) -> bool {
        let tick = self.clock.tick(clock::unix_ms());
        if tick.stepped_back {
            log::warn!("clock set back: series of {} end and start again", self.config.url);
            self.end().await;
        }
        if !Rc::ptr_eq(&self.added, &self.pipeline.added()) {
            self.end().await;
            self.added = self.pipeline.added();
            self.rules = rules(&self.config, &self.added.task_id);
        }
        let timestamp_ms = self.schedule.align(tick.unix_ms).max(self.last_ms.unwrap_or(0) + 1);
        let started = Instant::now();
        let mut transaction = self.pipeline.begin(&self.account);
        self.series.begin();
        let mut stopped = false;
        let collected = {
            let collect = self.collect(&mut transaction, timestamp_ms);
            let expire = async {
                let hurry = async {
                    match stop {
                        Some(stop) => stop.notified().await,
                        None => std::future::pending().await,
                    }
                };
                if net::timeout(timeout, hurry).await.is_ok() {
                    stopped = true;
                    net::sleep(LAST_SCRAPE_MAX.min(timeout)).await;
                }
                let waited = started.elapsed().as_secs_f64();
                Err(ScrapeError::new("timeout", format!("not complete after {waited:.1} s")))
            };
            net::either(collect, expire).await
        };
        let report = Report {
            up: collected.is_ok(),
            duration_s: started.elapsed().as_secs_f64(),
            counts: self.page.counts,
        };
        match collected {
            Ok(()) => self.succeed(transaction, timestamp_ms, &report).await,
            Err(error) => self.fail(transaction, timestamp_ms, &report, &error).await,
        }
        self.last_ms = Some(timestamp_ms);
        stopped
    }

    /// Fetches the page into the transaction.
    async fn collect(
        &mut self,
        transaction: &mut Transaction,
        timestamp_ms: i64,
    ) -> Result<(), ScrapeError> {
        self.page.begin(Format::Text);
        let into = Into { rules: &self.rules, series: &mut self.series, transaction, timestamp_ms };
        self.source.fetch(&mut Reading { page: &mut self.page, into }).await
    }

    async fn succeed(&mut self, mut transaction: Transaction, timestamp_ms: i64, report: &Report) {
        self.series.commit(timestamp_ms, |marker| transaction.sample(marker)).await;
        report::push(&mut transaction, &self.rules.labels, timestamp_ms, report);
        transaction.commit();
        let counts = report.counts;
        self.account.refuse(counts.filtered(), "filtered");
        self.account.refuse(counts.duplicates, "duplicate");
        self.account.refuse(counts.out_of_bounds, "out_of_bounds");
        log::debug!(
            "scrape of {}: {} samples, {} of them kept, {} new series, {:.0} ms",
            self.config.url,
            counts.scraped,
            counts.kept,
            counts.added,
            report.duration_s * 1000.0
        );
        let refused = counts.duplicates + counts.out_of_bounds;
        if refused > 0 {
            log::warn!(
                "scrape of {}: refused {} duplicate samples and {} too far in the future",
                self.config.url,
                counts.duplicates,
                counts.out_of_bounds
            );
        }
        if std::mem::take(&mut self.failing) {
            log::info!("scrape of {}: works again", self.config.url);
        }
    }

    async fn fail(
        &mut self,
        transaction: Transaction,
        timestamp_ms: i64,
        report: &Report,
        error: &ScrapeError,
    ) {
        let staged = transaction.items();
        transaction.abort(error.reason);
        self.account.refuse(report.counts.scraped.saturating_sub(staged), error.reason);
        self.account.error(error.reason);
        let mut transaction = self.pipeline.begin(&self.account);
        self.series.abort(timestamp_ms, |marker| transaction.sample(marker)).await;
        if !error.is_of_page() {
            // The page did not come whole: nothing that was met in it counts as still there.
            self.series.begin();
            self.series.commit(timestamp_ms, |marker| transaction.sample(marker)).await;
        }
        report::push(&mut transaction, &self.rules.labels, timestamp_ms, report);
        transaction.commit();
        self.failing = true;
        log::warn!("scrape of {}: {}", self.config.url, error.message);
    }

    /// Ends every series, the report's too, right after their last sample.
    async fn end(&mut self) {
        let Some(last_ms) = self.last_ms.take() else { return };
        let timestamp_ms = last_ms + 1;
        let mut transaction = self.pipeline.begin_as(&self.account, Rc::clone(&self.added));
        self.series.begin();
        self.series.commit(timestamp_ms, |marker| transaction.sample(marker)).await;
        report::push_end(&mut transaction, &self.rules.labels, timestamp_ms);
        transaction.commit();
    }
}

/// The target's labels as flags give them, and the rules for its samples. A target of the task
/// itself is an instance of it: loopback is the same address in every task.
fn rules(config: &Config, task_id: &str) -> Rules {
    let mut labels = config.labels.clone();
    let instance = match task_id {
        "" => config.url.authority(),
        _ if !config.url.is_loopback() => config.url.authority(),
        _ => format!("{task_id}:{}", config.url.port),
    };
    let defaults = [("job", config.job.clone()), ("instance", instance)];
    for (name, value) in defaults {
        if labels.iter().all(|(own, _)| own != name) {
            labels.push((name.to_owned(), value));
        }
    }
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort();
    Rules {
        labels,
        honor_labels: config.honor_labels,
        honor_timestamps: config.honor_timestamps,
        sample_limit: config.sample_limit,
        label_limit: config.label_limit,
        filter: Filter::new(config.keep.as_deref(), config.drop.as_deref()),
    }
}

/// Reads a body through the window.
struct Reading<'a> {
    page: &'a mut Page,
    into: Into<'a>,
}

impl Consumer for Reading<'_> {
    fn begin(&mut self, format: Format) {
        self.page.begin(format);
    }

    async fn read_into(&mut self, body: &mut Body<'_, '_>) -> Result<(), ScrapeError> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut filled = 0;
        loop {
            if filled == window.len() {
                // A single line fills the window; the parser refuses it before this gets large.
                window.resize((window.len() * 2).min(WINDOW_BYTES_MAX), 0);
            }
            let read = body.read(&mut window[filled..]).await?;
            filled += read;
            let last = read == 0;
            let consumed = self
                .page
                .push(&window[..filled], last, &mut self.into)
                .map_err(ScrapeError::from)?;
            window.copy_within(consumed..filled, 0);
            filled -= consumed;
            if last {
                break;
            }
            net::yield_now().await;
        }
        if body.bytes() == 0 {
            return Ok(());
        }
        self.page.finish(&mut self.into).map_err(ScrapeError::from)
    }
}
