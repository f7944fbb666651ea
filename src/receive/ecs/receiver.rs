//! The loop: both documents at every interval, their samples published together, series that are
//! gone marked, and the containers that ask for it scraped.
//!
//! A document that cannot be had costs its own metrics and no others: without statistics the task's
//! limits and lives are still written. The scrape targets that were found stay while the endpoint
//! is silent.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::discover::{changes, discover, Discovered};
use super::endpoint::{Endpoint, Failure};
use super::{collect, Config, Cycle, Output, State};
use crate::aws::task_metadata::{parse_stats, parse_task, Task};
use crate::net::clock::{self, SampleClock};
use crate::net::dns::Resolver;
use crate::net::{self, Notify, Url};
use crate::observe::Budget;
use crate::pipeline::{Added, Pipeline, ReceiverAccount};
use crate::receive::scrape::series::{Seen, Series};
use crate::receive::scrape::{self, Target};

/// The collection after the stop signal may take this long.
const LAST_COLLECTION_MAX: Duration = Duration::from_secs(2);

/// How often the interval doubles at most while the endpoint throttles.
const DOUBLINGS_MAX: u32 = 3;

/// A scrape target that a container asked for, and how to end it.
struct Running {
    found: Discovered,
    stop: Notify,
    task: net::Task<()>,
}

/// The receiver of one task.
pub struct Ecs {
    config: Config,
    endpoint: Endpoint,
    state: State,
    series: Series,
    clock: SampleClock,
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    budget: Rc<Budget>,
    resolver: Rc<Resolver>,
    targets: Vec<Running>,
    /// The endpoint found the last collection one too many.
    throttled: bool,
    /// What the pipeline added to the last samples.
    added: Rc<Added>,
    /// When the last samples were published; none before the first collection.
    last_ms: Option<i64>,
}

impl Ecs {
    /// `uri` is the value of ECS_CONTAINER_METADATA_URI_V4; fails where it is no address.
    pub fn new(
        config: Config,
        uri: &str,
        pipeline: Rc<Pipeline>,
        budget: &Rc<Budget>,
        resolver: Rc<Resolver>,
    ) -> Result<Ecs, String> {
        Ok(Ecs {
            endpoint: Endpoint::new(uri, Rc::clone(&resolver))?,
            state: State::default(),
            series: Series::new(budget.reservation()),
            clock: SampleClock::default(),
            account: pipeline.account("ecs", "metrics"),
            config,
            pipeline,
            budget: Rc::clone(budget),
            resolver,
            targets: Vec::new(),
            throttled: false,
            added: Rc::default(),
            last_ms: None,
        })
    }

    /// Collects until told to stop, then once more, and ends the series and the targets it found.
    pub async fn run(mut self, stop: Notify) {
        self.pipeline.identity_settled().await;
        let (mut next, mut doublings) = (Instant::now(), 0);
        loop {
            self.throttled = false;
            self.collect().await;
            // Who asks too often asks less often: every second, fourth, eighth beat.
            doublings = if self.throttled { (doublings + 1).min(DOUBLINGS_MAX) } else { 0 };
            next += self.config.interval * (1 << doublings);
            // After a pause of the machine the beat goes on from here.
            next = next.max(Instant::now());
            if net::timeout(next.saturating_duration_since(Instant::now()), stop.notified())
                .await
                .is_ok()
            {
                break;
            }
        }
        for running in &self.targets {
            running.stop.notify();
        }
        // Cut short it leaves nothing behind.
        let _ = net::timeout(LAST_COLLECTION_MAX, self.collect()).await;
        self.end().await;
        for running in self.targets.drain(..) {
            running.task.await;
        }
    }

    async fn collect(&mut self) {
        let tick = self.clock.tick(clock::unix_ms());
        if tick.stepped_back {
            log::warn!("clock set back: series of the task end and start again");
            self.end().await;
        }
        if !Rc::ptr_eq(&self.added, &self.pipeline.added()) {
            self.end().await;
            self.added = self.pipeline.added();
        }
        let started = Instant::now();
        let task = self.endpoint.get("/task").await;
        let stats = self.endpoint.get("/task/stats").await;
        let task = match task {
            Ok(document) => document,
            Err(failure) => return self.fail(&failure).await,
        };
        let stats = stats.unwrap_or_else(|failure| {
            self.complain(&failure);
            b"{}".to_vec()
        });
        let now_ms = tick.unix_ms.max(self.last_ms.unwrap_or(0) + 1);
        let parsed = match parse_task(&task) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("/task: {error}");
                return self.fail(&Failure { reason: "parse", message }).await;
            }
        };
        let stats = parse_stats(&stats).unwrap_or_else(|error| {
            let message = format!("/task/stats: {error}");
            self.complain(&Failure { reason: "parse", message });
            Vec::new()
        });
        if self.config.discover {
            self.follow(&parsed);
        }
        let mut transaction = self.pipeline.begin(&self.account);
        self.series.begin();
        let vocabularies = &self.config.metrics;
        let cycle = Cycle { task: &parsed, stats: &stats, now_ms, labels: &[], vocabularies };
        let (series, mut refused) = (&mut self.series, 0);
        collect(&cycle, &mut self.state, &mut |output| match output {
            Output::Sample(sample) => match series.see(sample.labels, false) {
                Seen::New | Seen::Known => transaction.sample(sample),
                Seen::Duplicate | Seen::Full => refused += 1,
            },
            Output::EndFamily(family) => transaction.end_family(family),
        });
        self.series.commit(now_ms, |marker| transaction.sample(marker)).await;
        transaction.commit();
        self.account.refuse(refused, "duplicate");
        self.last_ms = Some(now_ms);
        let (containers, took_ms) = (parsed.containers.len(), started.elapsed().as_millis());
        log::debug!("ecs: collected from {containers} containers in {took_ms} ms");
    }

    /// A collection that failed says nothing of the containers, whose series end.
    async fn fail(&mut self, failure: &Failure) {
        self.complain(failure);
        self.end().await;
    }

    fn complain(&mut self, failure: &Failure) {
        self.account.error(failure.reason);
        self.throttled |= failure.reason == "throttled";
        log::warn!("ecs: the task metadata endpoint failed: {}", failure.message);
    }

    /// Starts and ends scrape targets as containers come and go.
    fn follow(&mut self, task: &Task<'_>) {
        let discovery = discover(task);
        for complaint in discovery.complaints {
            log::warn!("ecs: {complaint}");
        }
        let known: Vec<Discovered> =
            self.targets.iter().map(|running| running.found.clone()).collect();
        let changes = changes(&known, &discovery.targets);
        for gone in changes.removed {
            log::info!("ecs: container {} is no longer scraped", gone.container_name);
            let is_gone = |running: &Running| running.found == gone;
            if let Some(at) = self.targets.iter().position(is_gone) {
                let Running { stop, task, .. } = self.targets.swap_remove(at);
                stop.notify();
                task.detach();
            }
        }
        for found in changes.added {
            match self.start(&found) {
                Ok(running) => self.targets.push(running),
                Err(why) => log::warn!("ecs: container {}: {why}", found.container_name),
            }
        }
    }

    fn start(&self, found: &Discovered) -> Result<Running, String> {
        let url = Url::parse(&found.url())?;
        log::info!("ecs: container {} is scraped at {url}", found.container_name);
        let mut config = scrape::Config::for_url(url);
        config.job = found.job.clone();
        config.labels = vec![("container_name".to_owned(), found.container_name.clone())];
        if let Some(interval) = found.interval {
            config.interval = interval;
            config.timeout = config.timeout.min(interval);
        }
        let (pipeline, resolver) = (Rc::clone(&self.pipeline), Rc::clone(&self.resolver));
        let target = Target::new(config, "", pipeline, &self.budget, resolver)?;
        let stop = Notify::default();
        let task = net::spawn(target.run(stop.clone()));
        Ok(Running { found: found.clone(), stop, task })
    }

    /// Ends every series, right after its last sample.
    async fn end(&mut self) {
        let Some(last_ms) = self.last_ms.take() else { return };
        let mut transaction = self.pipeline.begin_as(&self.account, Rc::clone(&self.added));
        self.series.begin();
        self.series.commit(last_ms + 1, |marker| transaction.sample(marker)).await;
        transaction.commit();
    }
}
