//! The collector from start to stop: builds every room from the checked flags, runs, drains.
//!
//! Order of the stop, all within `--stop-timeout` from the signal: receivers stay open for
//! `--linger`; each target is scraped once more and its series end; exporters send what is left;
//! what cannot be sent is counted and said in the last line. A second signal ends at once.

mod check;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admin::{Admin, State};
use crate::aws::task_metadata::{identity, identity_from_uri, parse_task};
use crate::aws::Aws;
use crate::export::otlp::Otlp;
use crate::export::queue::Queues;
use crate::export::remote_write::{RemoteWrite, Sender};
use crate::export::stdout::Stdout;
use crate::export::xray;
use crate::flags::{Config, Exporter as ExporterFlag, Receiver as ReceiverFlag, METADATA_VARIABLE};
use crate::net::dns::Resolver;
use crate::net::http1::{serve, Incoming};
use crate::net::signals::Signals;
use crate::net::{self, sys, ClientConfig, Listener, Task, Url};
use crate::observe::output::Output;
use crate::observe::{log as own_log, Budget, Registry};
use crate::pipeline::{Exporter, Pipeline};
use crate::receive::ecs::Ecs;
use crate::receive::otlp;
use crate::receive::scrape::{Stop, Target};
use crate::receive::statsd::Statsd;
use crate::receive::xray as receive_xray;

pub use check::check;

/// How often code that has not run lately leaves memory: what a collection every 15 s needs is not
/// resident in between.
const UNMAP_INTERVAL: Duration = Duration::from_secs(5);

/// When that happens for the first time.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// How many of these pass before memory that is only kept for speed goes back to the system.
const UNMAPS_PER_TRIM: u32 = 6;

/// Pauses between attempts to learn the task's identity.
const IDENTITY_RETRY_MIN: Duration = Duration::from_millis(250);
const IDENTITY_RETRY_MAX: Duration = Duration::from_secs(30);

/// What of the stop's time is kept for the last words.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs until a signal; the error says why it could not, or what a second signal left behind.
pub fn run(config: Config) -> Result<(), String> {
    net::run(async {
        // PID 1 has no default action for signals: handlers come before anything else.
        let signals = Signals::install().map_err(|error| format!("signals: {error}"))?;
        Collector::start(config)?.until_stopped(signals).await
    })
}

/// A way out, and the task that serves it.
type Running = (Rc<dyn Exporter>, Task<()>);

/// Everything that runs.
struct Collector {
    registry: Rc<Registry>,
    admin: Rc<Admin>,
    admin_task: Option<Task<()>>,
    exporters: Vec<Running>,
    receivers: Vec<(Stop, Task<()>)>,
    linger: Duration,
    stop_timeout: Duration,
}

impl Collector {
    fn start(config: Config) -> Result<Collector, String> {
        sys::keep_free_memory();
        if let Err(error) = sys::disable_core_dumps() {
            log::warn!("core dumps stay possible: {error}");
        }
        let registry = Registry::new();
        let budget = Budget::new(config.memory_limit_bytes);
        let resolver = Rc::new(Resolver::default());
        let admin = Admin::new(Rc::clone(&registry), Rc::clone(&budget));
        let admin_task = listen(&config, &admin)?;
        let aws = Aws::new(config.environment.clone(), Rc::clone(&resolver));
        let exporters = start_exporters(&config, &registry, &budget, &resolver, &aws)?;
        let ways_out = exporters.iter().map(|(exporter, _)| Rc::clone(exporter)).collect();
        let pipeline = Pipeline::new(&config.pipeline, ways_out, Rc::clone(&registry))?;
        if let Some(uri) = config.environment.get(METADATA_VARIABLE) {
            pipeline.expect_identity(identity_from_uri(uri));
            net::spawn(learn_identity(Rc::clone(&aws), Rc::clone(&pipeline))).detach();
        }
        let receivers = start_receivers(&config, &pipeline, &registry, &budget, &resolver, &aws)?;
        let ways_out = exporters.iter().map(|(exporter, _)| Rc::clone(exporter)).collect();
        net::spawn(keep_house(ways_out)).detach();
        admin.set_state(State::Ready);
        log::info!("ready: {} receivers, {} destinations", receivers.len(), exporters.len());
        let (linger, stop_timeout) = (config.linger, config.stop_timeout);
        Ok(Collector { registry, admin, admin_task, exporters, receivers, linger, stop_timeout })
    }

    async fn until_stopped(self, mut signals: Signals) -> Result<(), String> {
        // A task of its own, which is not asked again whenever anything happens.
        let first = net::spawn(async {
            let signal = signals.next().await;
            (signal, signals)
        });
        let (signal, mut signals) = first.await;
        let deadline = Instant::now() + self.stop_timeout.saturating_sub(LAST_WORDS);
        log::info!("{signal}: stopping");
        self.admin.set_state(State::Stopping);
        let registry = Rc::clone(&self.registry);
        let stop = async {
            self.stop(deadline).await;
            Ok(())
        };
        let second_signal = async {
            signals.next().await;
            let left = registry.total("otlet_exporter_queued_items");
            if left > 0 {
                return Err(format!("second signal: stopped at once; {left} items were not sent"));
            }
            log::info!("second signal: stopped at once; nothing was left to send");
            Ok(())
        };
        let result = net::either(stop, second_signal).await;
        own_log::flush();
        result
    }

    async fn stop(self, deadline: Instant) {
        net::timeout_at(deadline, net::sleep(self.linger)).await.ok();
        for (stop, _) in &self.receivers {
            stop.notify();
        }
        for (_, task) in self.receivers {
            net::timeout_at(deadline, task).await.ok();
        }
        for (exporter, _) in &self.exporters {
            exporter.stop();
        }
        let mut left = 0;
        for (exporter, task) in self.exporters {
            net::timeout_at(deadline, task).await.ok();
            left += exporter.give_up();
        }
        drop(self.admin_task);
        let dropped = self.registry.total("otlet_exporter_dropped_items_total");
        match (left, dropped.saturating_sub(left)) {
            (0, 0) => log::info!("stopped: everything was sent"),
            (0, before) => log::warn!("stopped: {before} items were dropped, all others sent"),
            (left, 0) => log::warn!("stopped: {left} items were not sent"),
            (left, before) => {
                log::warn!("stopped: {left} items were not sent, {before} were dropped before");
            }
        }
    }
}

/// Opens the admin port unless it is off.
fn listen(config: &Config, admin: &Rc<Admin>) -> Result<Option<Task<()>>, String> {
    let Some(address) = config.admin.listen else { return Ok(None) };
    let listener =
        Listener::bind_loopback_pair(address).map_err(|error| format!("--admin: {error}"))?;
    log::info!("admin: listening on {}", listener.local_addr());
    let admin = Rc::clone(admin);
    let answer = async move |incoming: &mut Incoming<'_>| admin.answer(incoming.head());
    Ok(Some(net::spawn(serve(listener, answer))))
}

fn start_exporters(
    config: &Config,
    registry: &Rc<Registry>,
    budget: &Rc<Budget>,
    resolver: &Rc<Resolver>,
    aws: &Rc<Aws>,
) -> Result<Vec<Running>, String> {
    let queues = Queues::new(Rc::clone(budget));
    let share = config.memory_limit_bytes / config.exporters.len().max(1) as u64;
    let (mut names, stdout) = (Names::default(), Rc::new(RefCell::new(Output::stdout())));
    let mut started: Vec<Running> = Vec::new();
    for exporter in &config.exporters {
        match exporter {
            ExporterFlag::RemoteWrite(config) => {
                let name = names.of(&config.client, &config.url);
                let bytes_max = config.pace.queue.unwrap_or(share);
                let exporter =
                    RemoteWrite::new(config.clone(), &name, registry, &queues, bytes_max);
                let sender = Sender::new(Rc::clone(&exporter), resolver, aws)
                    .map_err(|error| format!("--to-remote-write: {error}"))?;
                started.push((exporter, net::spawn(sender.run())));
            }
            ExporterFlag::Xray(config) => {
                let name = names.of(&config.client, &config.endpoint);
                let bytes_max = config.pace.queue.unwrap_or(share);
                let exporter = xray::Xray::new(config.clone(), &name, registry, &queues, bytes_max);
                let sender = xray::Sender::new(Rc::clone(&exporter), resolver, aws)
                    .map_err(|error| format!("--to-xray: {error}"))?;
                started.push((exporter, net::spawn(sender.run())));
            }
            ExporterFlag::Otlp(config) => {
                let name = names.of(&config.client, &config.url);
                let (bytes_max, seed) = (config.pace.queue.unwrap_or(share), fastrand::u64(..));
                let exporter = Otlp::new(config.clone(), &name, registry, &queues, bytes_max, seed);
                let senders =
                    exporter.start(resolver, aws).map_err(|error| format!("--to-otlp: {error}"))?;
                started.push((exporter, senders));
            }
            ExporterFlag::Stdout(config) => {
                let name = names.unique("stdout".to_owned());
                let exporter = Stdout::new(config, &name, registry, &queues, share);
                started.push((
                    Rc::clone(&exporter) as _,
                    net::spawn(exporter.run(Rc::clone(&stdout))),
                ));
            }
        }
    }
    Ok(started)
}

/// Names of destinations, kept apart by `#2`, `#3` in flag order.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// The name given, else host and port.
    fn of(&mut self, client: &ClientConfig, url: &Url) -> String {
        self.unique(client.name.clone().unwrap_or_else(|| url.authority()))
    }

    fn unique(&mut self, name: String) -> String {
        let same = self.0.iter().filter(|taken| **taken == name).count();
        self.0.push(name.clone());
        match same {
            0 => name,
            others => format!("{name}#{}", others + 1),
        }
    }
}

fn start_receivers(
    config: &Config,
    pipeline: &Rc<Pipeline>,
    registry: &Rc<Registry>,
    budget: &Rc<Budget>,
    resolver: &Rc<Resolver>,
    aws: &Rc<Aws>,
) -> Result<Vec<(Stop, Task<()>)>, String> {
    let environment = &config.environment;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let start = |receiver: &ReceiverFlag| -> Result<Option<(Stop, Task<()>)>, String> {
        let stop = Stop::default();
        let task = match receiver {
            ReceiverFlag::Ecs(config) => {
                let (pipeline, resolver) = (Rc::clone(pipeline), Rc::clone(resolver));
                let Some(uri) = environment.get(METADATA_VARIABLE) else {
                    log::warn!("--from-ecs: {METADATA_VARIABLE} is not set: this is no ECS task");
                    return Ok(None);
                };
                let ecs = Ecs::new(config.clone(), uri, pipeline, budget, resolver)
                    .map_err(|error| format!("--from-ecs: {error}"))?;
                net::spawn(ecs.run(stop.clone()))
            }
            ReceiverFlag::Otlp(config) => {
                let server = otlp::open(config, pipeline, registry, budget)
                    .map_err(|error| format!("--from-otlp: {error}"))?;
                net::spawn(server.run(stop.clone()))
            }
            ReceiverFlag::Scrape(config) => {
                let (pipeline, resolver) = (Rc::clone(pipeline), Rc::clone(resolver));
                let target = Target::new(config.clone(), &host, pipeline, budget, resolver)
                    .map_err(|error| format!("--from-scrape: {error}"))?;
                net::spawn(target.run(stop.clone()))
            }
            ReceiverFlag::Xray(config) => {
                let around = receive_xray::Surroundings {
                    registry,
                    budget,
                    aws,
                    resolver,
                    spans: pipeline.account("xray", "traces"),
                    takes: match (pipeline.takes_spans(), pipeline.takes_segments()) {
                        (true, _) => receive_xray::Takes::Spans,
                        (false, true) => receive_xray::Takes::Documents,
                        (false, false) => receive_xray::Takes::Nothing,
                    },
                };
                let pipeline = Rc::clone(pipeline);
                let sink = move |document: &[u8], spans: Option<&[u8]>, items| {
                    pipeline.segment(document, spans, items);
                };
                let xray = receive_xray::Xray::open(config, around, sink)
                    .map_err(|error| format!("--from-xray: {error}"))?;
                net::spawn(xray.run(stop.clone()))
            }
            ReceiverFlag::Statsd(config) => {
                let statsd = Statsd::open(config, pipeline, registry, budget)
                    .map_err(|error| format!("--from-statsd: {error}"))?;
                net::spawn(statsd.run(stop.clone()))
            }
        };
        Ok(Some((stop, task)))
    };
    config.receivers.iter().filter_map(|receiver| start(receiver).transpose()).collect()
}

/// Asks who this task is until the metadata endpoint says it.
async fn learn_identity(aws: Rc<Aws>, pipeline: Rc<Pipeline>) {
    let mut wait = IDENTITY_RETRY_MIN;
    loop {
        let why = match aws.task_document().await {
            Ok(document) => match parse_task(document.as_bytes()) {
                Ok(task) if task.id().is_some() => {
                    return pipeline.set_identity(identity(&task, None));
                }
                Ok(_) => "the document has no task ARN".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) => error,
        };
        log::warn!("task metadata: {why}");
        net::sleep(wait).await;
        wait = (wait * 2).min(IDENTITY_RETRY_MAX);
    }
}

/// Gives memory back and writes what the log still holds, now and then.
async fn keep_house(exporters: Vec<Rc<dyn Exporter>>) {
    for round in 0_u32.. {
        // The first time soon, since what only the start needed is most of it.
        net::sleep(if round == 0 { SETTLE_TIME } else { UNMAP_INTERVAL }).await;
        if round % UNMAPS_PER_TRIM == 0 {
            for exporter in &exporters {
                exporter.trim();
            }
            net::yield_now().await;
            sys::malloc_trim();
            net::yield_now().await;
            own_log::flush();
        }
        // Without procfs it stays resident, which costs nothing else.
        let _ = sys::unmap_idle_code();
    }
}
