//! OTLP receiver: the three signals over gRPC and over HTTP, protobuf or JSON, plain or gzip
//! (opentelemetry-proto, docs/specification.md).
//!
//! Here are the two servers and their answers. What is in a request is the sink's business: it gets
//! the signal, the encoding and the decompressed body, which holds its place in the memory budget,
//! and says what the sender is to be told. A sink may be dropped midway, when its connection ends:
//! then nothing of the request may have been taken.
//!
//! Left out: profiles (answered as unknown), TLS, HTTP/2 on the HTTP port, encodings but gzip.

mod answer;
mod body;
mod config;
mod cors;
mod grpc;
mod http;
mod sink;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub use answer::Answer;
pub use config::Config;
pub use sink::open;

pub use crate::codec::otlp::Signal;

use crate::codec::grpc::{Code, Status};
use crate::net::{http1, http2, spawn, Listener, Notify};
use crate::observe::{Budget, Registry, Reservation};
use body::BodyError;
use cors::Cors;

/// When to come back to a receiver that has no room.
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// One request, whole.
#[derive(Debug)]
pub struct Export {
    pub signal: Signal,
    pub encoding: Encoding,
    /// Decompressed; not looked at.
    pub body: Vec<u8>,
    /// Holds the body's memory; to be kept as long as the body is.
    pub held: Reservation,
}

/// The signals that some exporter takes; the others are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    pub metrics: bool,
    pub traces: bool,
    pub logs: bool,
}

impl Signals {
    /// Says once which signals are going to be refused.
    fn explain(self) {
        let all = [(self.metrics, "metrics"), (self.traces, "traces"), (self.logs, "logs")];
        let refused: Vec<&str> = all.iter().filter(|(taken, _)| !taken).map(|(_, n)| *n).collect();
        if !refused.is_empty() {
            log::warn!("otlp: no exporter takes {}; they are refused", refused.join(", "));
        }
    }

    fn has(self, signal: Signal) -> bool {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Traces => self.traces,
            Signal::Logs => self.logs,
        }
    }
}

/// What both servers need for each request.
struct Shared<S> {
    sink: S,
    signals: Signals,
    body_bytes_max: usize,
    cors: Cors,
    budget: Rc<Budget>,
    registry: Rc<Registry>,
}

impl<S> Shared<S> {
    /// Counts a request that did not get to the sink.
    fn count(&self, reason: &'static str) {
        let labels = [("receiver", "otlp"), ("reason", reason)];
        self.registry.counter("otlet_receiver_errors_total", &labels).increment();
    }

    /// Counts a body that was not taken, and says so.
    fn explain(&self, error: BodyError) -> Status {
        match error {
            BodyError::TooLarge => {
                self.count("too_large");
                let limit = self.body_bytes_max;
                let message = format!("the body is larger than {limit} bytes (body_limit)");
                Status::new(Code::ResourceExhausted, message)
            }
            BodyError::NeverFits => {
                self.count("too_large");
                let message = "the body takes more memory than there is (--memory-limit)";
                Status::new(Code::ResourceExhausted, message)
            }
            BodyError::NoRoom => {
                self.count("no_room");
                let status = Status::new(Code::Unavailable, "no memory for the body; come back");
                Status { retry_after: Some(NO_ROOM_RETRY_AFTER), ..status }
            }
            BodyError::Gzip(error) => {
                self.count("malformed");
                Status::new(Code::InvalidArgument, format!("the body is {error}"))
            }
        }
    }
}

/// A body that could never find room must not be asked to come back: half the budget is the most
/// that a body can count on while its buffer grows.
fn body_bytes_max(wanted: usize, budget: &Budget) -> usize {
    let possible = usize::try_from(budget.bytes_max() / 2).unwrap_or(usize::MAX);
    if possible < wanted {
        log::info!("otlp: body_limit is {possible} bytes, half of --memory-limit");
    }
    wanted.min(possible)
}

/// The receiver, its sockets open.
pub struct Otlp<S> {
    shared: Rc<Shared<S>>,
    grpc: Option<(Listener, http2::Server)>,
    http: Option<Listener>,
}

impl<S> Otlp<S>
where
    S: AsyncFn(Export) -> Answer + 'static,
{
    /// Opens the sockets; fails where one cannot be, and says which and why.
    pub fn open(
        config: &Config,
        signals: Signals,
        registry: &Rc<Registry>,
        budget: &Rc<Budget>,
        sink: S,
    ) -> Result<Otlp<S>, String> {
        let listen = |name: &str, address: Option<SocketAddr>| match address {
            None => Ok(None),
            Some(address) => {
                let listener = Listener::bind_loopback_pair(address)
                    .map_err(|error| format!("{name}: {error}"))?;
                log::info!("otlp: listening for {name} on {}", listener.local_addr());
                Ok::<_, String>(Some(listener))
            }
        };
        let http2 = || http2::Server {
            waits: http2::server::Waits::default(),
            budget: Rc::clone(budget),
            connections: registry.gauge("otlet_otlp_connections", &[]),
            refused: registry.counter("otlet_otlp_refused_connections_total", &[]),
            faulty: registry.counter("otlet_otlp_faulty_connections_total", &[]),
        };
        signals.explain();
        let body_bytes_max = body_bytes_max(config.body_bytes_max, budget);
        Ok(Otlp {
            grpc: listen("grpc", config.grpc)?.map(|listener| (listener, http2())),
            http: listen("http", config.http)?,
            shared: Rc::new(Shared {
                sink,
                signals,
                body_bytes_max,
                cors: Cors::new(&config.cors),
                budget: Rc::clone(budget),
                registry: Rc::clone(registry),
            }),
        })
    }

    /// Where it listens for gRPC and for HTTP.
    pub fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let grpc = self.grpc.as_ref().map(|(listener, _)| listener.local_addr());
        (grpc, self.http.as_ref().map(Listener::local_addr))
    }

    /// Serves until told to stop; then requests under way are answered.
    pub async fn run(self, stop: Notify) {
        let (stop_grpc, stop_http) = (Notify::default(), Notify::default());
        let grpc = self.grpc.map(|(listener, server)| {
            let shared = Rc::clone(&self.shared);
            let handler = async move |head, call| grpc::answer(&shared, head, call).await;
            spawn(http2::serve_until(listener, server, stop_grpc.clone(), handler))
        });
        let http = self.http.map(|listener| {
            let shared = self.shared;
            let handler = async move |incoming: &mut http1::Incoming<'_>| {
                http::answer(&shared, incoming).await
            };
            let waits = http1::Waits { idle_ms_max: http::IDLE_MS_MAX, ..Default::default() };
            spawn(http1::serve_until(listener, waits, stop_http.clone(), handler))
        });
        stop.notified().await;
        stop_grpc.notify();
        stop_http.notify();
        for server in [grpc, http].into_iter().flatten() {
            server.await;
        }
    }
}

#[cfg(test)]
mod tests;
