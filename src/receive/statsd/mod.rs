//! StatsD receiver: lines over UDP, TCP and unix datagram sockets, added up in one table of series
//! and turned into samples at every flush.
//!
//! Follows the statsd/statsd README and Datadog's DogStatsD documents for what lines mean, and the
//! OpenTelemetry Prometheus translation for what metrics are called. Unlike statsd/statsd, counters
//! and histograms are cumulative, so that any Prometheus takes them, and gauges are kept. A gauge
//! with a sign is a change, as Etsy has it, also from DogStatsD clients.
//!
//! Leaves out events (counted and refused) and container ids, external data and cardinality, which
//! speak to Datadog's agent.

mod config;
mod datagrams;
mod exponential;
mod flush;
mod hub;
mod names;
mod series;
mod set;
mod spellings;
mod state;
mod tcp;
mod worst;

use std::rc::Rc;
use std::time::{Duration, Instant};

pub use config::{Address, Config, Timers};
pub use flush::{Flush, Out};
pub use series::{Faults, Table};

use crate::net::clock::{self, SampleClock};
use crate::net::{self, DatagramSocket, Listener, Notify, Task};
use crate::observe::{Budget, Counter, Registry};
use crate::pipeline::{Added, Pipeline, ReceiverAccount};
use datagrams::Source;
use hub::Hub;
use tcp::Connections;

/// Most buckets of a classic histogram: a series stays below 1 KiB.
pub const BUCKETS_MAX: usize = 96;

/// How often the names that found no room are logged.
const OVERFLOW_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The receiver, its sockets open.
pub struct Statsd {
    hub: Rc<Hub>,
    sources: Vec<Rc<Source>>,
    listeners: Vec<Listener>,
    flusher: Flusher,
}

impl Statsd {
    /// Opens all sockets; fails where one cannot be, and says which and why.
    pub fn open(
        config: &Config,
        pipeline: &Rc<Pipeline>,
        registry: &Rc<Registry>,
        budget: &Rc<Budget>,
    ) -> Result<Statsd, String> {
        let table = Table::new(config, fastrand::u64(..));
        let hub = Hub::new(table, pipeline.account("statsd", "lines"), registry);
        let (mut sources, mut listeners) = (Vec::new(), Vec::new());
        for address in &config.listeners {
            let name = match address {
                Address::Udp(address) => {
                    let (sockets, address) =
                        DatagramSocket::bind_udp(*address).map_err(|error| error.to_string())?;
                    let named = |socket| Source::new(socket, address.to_string());
                    sources.extend(sockets.into_iter().map(named));
                    address.to_string()
                }
                Address::Unix(path) => {
                    let socket =
                        DatagramSocket::bind_unix(path).map_err(|error| error.to_string())?;
                    sources.push(Source::new(socket, address.to_string()));
                    address.to_string()
                }
                Address::Tcp(address) => {
                    let listener = Listener::bind_loopback_pair(*address)
                        .map_err(|error| error.to_string())?;
                    let name = Address::Tcp(listener.local_addr()).to_string();
                    listeners.push(listener);
                    name
                }
            };
            log::info!("statsd: listening on {name}");
        }
        set_buffers(&sources, config.rcvbuf_bytes, registry);
        let flusher = Flusher::new(config, Rc::clone(&hub), pipeline, registry, budget);
        Ok(Statsd { hub, sources, listeners, flusher })
    }

    /// Receives and flushes until told to stop; then takes in what has arrived, flushes it, and
    /// ends all series.
    pub async fn run(mut self, stop: Notify) {
        let mut tasks: Vec<Task<()>> = Vec::new();
        for source in &self.sources {
            tasks.push(net::spawn(Rc::clone(source).run(Rc::clone(&self.hub))));
        }
        let connections: Rc<Connections> = Rc::default();
        for listener in self.listeners.drain(..) {
            let accept = Rc::clone(&connections).run(listener, Rc::clone(&self.hub));
            tasks.push(net::spawn(accept));
        }
        self.flusher.run(stop).await;
        drop(tasks);
        connections.stop().await;
        for source in self.sources.drain(..) {
            source.drain(&self.hub).await;
        }
        self.flusher.flush().await;
        self.flusher.end().await;
    }
}

/// Asks for large receive buffers, and says so where they are not granted.
fn set_buffers(sources: &[Rc<Source>], wanted: usize, registry: &Registry) {
    let mut granted = 0;
    for source in sources {
        match source.socket.set_recv_buffer(wanted) {
            Ok(bytes) if bytes < wanted => {
                log::info!(
                    "statsd: {}: receive buffer of {bytes} bytes instead of {wanted}; \
                     net.core.rmem_max limits it",
                    source.name
                );
                granted += bytes;
            }
            Ok(bytes) => granted += bytes,
            Err(error) => log::warn!("statsd: {}: receive buffer: {error}", source.name),
        }
    }
    registry.gauge("otlet_statsd_receive_buffer_bytes", &[]).set(granted as f64);
}

/// The beat of flushes.
struct Flusher {
    hub: Rc<Hub>,
    pipeline: Rc<Pipeline>,
    account: Rc<ReceiverAccount>,
    reservation: crate::observe::Reservation,
    series: Counter,
    interval: Duration,
    idle_s: u32,
    series_max: usize,
    clock: SampleClock,
    previous_ms: i64,
    /// What the pipeline added to the last samples.
    added: Rc<Added>,
    overflow_logged: Option<Instant>,
}

impl Flusher {
    fn new(
        config: &Config,
        hub: Rc<Hub>,
        pipeline: &Rc<Pipeline>,
        registry: &Rc<Registry>,
        budget: &Rc<Budget>,
    ) -> Flusher {
        Flusher {
            hub,
            pipeline: Rc::clone(pipeline),
            account: pipeline.account("statsd", "metrics"),
            reservation: budget.reservation(),
            series: registry.gauge("otlet_statsd_series", &[]),
            interval: config.interval,
            // Ages are whole seconds: one more than asked rather than one less.
            idle_s: u32::try_from(config.idle.as_millis().div_ceil(1000)).unwrap_or(u32::MAX),
            series_max: config.series_max,
            clock: SampleClock::default(),
            previous_ms: clock::unix_ms(),
            added: pipeline.added(),
            overflow_logged: None,
        }
    }

    /// Flushes at every interval until told to stop.
    async fn run(&mut self, stop: Notify) {
        let mut next = Instant::now() + self.interval;
        loop {
            let pipeline = Rc::clone(&self.pipeline);
            let beat = async {
                pipeline.identity_settled().await;
                net::sleep_until(next).await;
                false
            };
            let stopped = async {
                stop.notified().await;
                true
            };
            if net::either(beat, stopped).await {
                return;
            }
            self.flush().await;
            next = (next + self.interval).max(Instant::now());
        }
    }

    async fn flush(&mut self) {
        let tick = self.clock.tick(clock::unix_ms());
        if tick.stepped_back {
            log::warn!("clock set back: series of statsd end and start again");
            self.end().await;
            self.previous_ms = tick.unix_ms - 1;
        }
        if !Rc::ptr_eq(&self.added, &self.pipeline.added()) {
            self.end().await;
            self.added = self.pipeline.added();
        }
        let now_ms = tick.unix_ms.max(self.previous_ms + 1);
        let age_s = self.hub.age_s();
        self.write(Flush::new(now_ms, self.previous_ms, age_s, self.idle_s)).await;
        self.previous_ms = now_ms;
        self.hub.sum_up();
        let table = self.hub.table.borrow();
        self.series.set(table.len() as f64);
        self.reservation.resize(table.bytes() as u64);
        drop(table);
        self.log_overflow();
    }

    /// Ends all series, 1 ms after their last samples.
    async fn end(&mut self) {
        self.write(Flush::end(self.previous_ms + 1)).await;
    }

    async fn write(&mut self, mut flush: Flush) {
        let mut transaction = self.pipeline.begin_as(&self.account, Rc::clone(&self.added));
        loop {
            let complete = self.hub.table.borrow_mut().flush(&mut flush, &mut |out| match out {
                Out::Sample(sample) => transaction.sample(sample),
                Out::EndFamily(family) => transaction.end_family(family),
            });
            if complete {
                return transaction.commit();
            }
            net::yield_now().await;
        }
    }

    fn log_overflow(&mut self) {
        if self.overflow_logged.is_some_and(|at| at.elapsed() < OVERFLOW_LOG_INTERVAL) {
            return;
        }
        let overflow = self.hub.table.borrow_mut().take_overflow();
        if let Some((lines, names)) = overflow {
            self.overflow_logged = Some(Instant::now());
            log::warn!(
                "statsd: series_max={} is reached, {lines} lines were refused, most often: \
                 {names}; raise series_max, or send fewer different tags",
                self.series_max
            );
        }
    }
}
