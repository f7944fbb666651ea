//! The admin port: health at `/`, own metrics at `/metrics`; and the client that asks for health.
//!
//! `/` answers as the health_check extension of the OpenTelemetry collector does: 200 and a small
//! JSON object when ready, 503 while starting or stopping.

mod config;
mod healthcheck;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::net::clock;
use crate::net::event_loop::stall_max;
use crate::net::http1::{Answer, RequestHead};
use crate::observe::log::{lines_dropped, Utc};
use crate::observe::{process, Budget, Registry};

pub use config::Config;
pub use healthcheck::is_healthy;

/// Media type of the metrics page (Prometheus text format).
const TEXT_PAGE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the program is doing, for those who ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Starting,
    Ready,
    Stopping,
}

/// What the admin pages show.
pub struct Admin {
    registry: Rc<Registry>,
    budget: Rc<Budget>,
    state: Cell<State>,
    started_ms: i64,
}

impl Admin {
    pub fn new(registry: Rc<Registry>, budget: Rc<Budget>) -> Rc<Admin> {
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", env!("OTLET_COMMIT")),
            ("target", env!("OTLET_TARGET")),
        ];
        registry.gauge("otlet_build_info", &build).set(1.0);
        let (state, started_ms) = (Cell::default(), clock::unix_ms());
        Rc::new(Admin { registry, budget, state, started_ms })
    }

    pub fn set_state(&self, state: State) {
        self.state.set(state);
    }

    /// Answers one request.
    pub fn answer(&self, head: &RequestHead) -> Answer {
        match head.path() {
            "/" | "/metrics" if !["GET", "HEAD"].contains(&head.method.as_str()) => {
                Answer::method_not_allowed("GET, HEAD")
            }
            "/" => self.health(),
            "/metrics" => answer(200, TEXT_PAGE, self.metrics().into_bytes()),
            _ => answer(404, "text/plain", b"try / or /metrics\n".to_vec()),
        }
    }

    fn health(&self) -> Answer {
        let (status, text) = match self.state.get() {
            State::Ready => (200, "Server available"),
            State::Starting | State::Stopping => (503, "Server not available"),
        };
        let uptime = Duration::from_millis((clock::unix_ms() - self.started_ms).max(0) as u64);
        let since = Utc(self.started_ms);
        let body =
            format!("{{\"status\":\"{text}\",\"upSince\":\"{since}\",\"uptime\":\"{uptime:?}\"}}");
        answer(status, "application/json", body.into_bytes())
    }

    /// The page of own metrics; gauges are read at this moment.
    fn metrics(&self) -> String {
        let gauge = |name, value| self.registry.gauge(name, &[]).set(value);
        gauge("otlet_memory_budget_bytes", self.budget.bytes_max() as f64);
        gauge("otlet_memory_used_bytes", self.budget.bytes_used() as f64);
        gauge("otlet_loop_stall_seconds_max", stall_max().as_secs_f64());
        let log_dropped = self.registry.counter("otlet_log_dropped_lines_total", &[]);
        log_dropped.set(lines_dropped() as f64);
        if let Some(process) = process::read() {
            gauge("process_resident_memory_bytes", process.resident_bytes as f64);
            gauge("process_start_time_seconds", process.start_s);
            gauge("process_open_fds", process.open_fds as f64);
            gauge("process_threads", process.threads as f64);
            self.registry.counter("process_cpu_seconds_total", &[]).set(process.cpu_s);
        }
        let mut page = String::new();
        self.registry.render(&mut page);
        page
    }
}

fn answer(status: u16, content_type: &'static str, body: Vec<u8>) -> Answer {
    Answer { status, content_type, body, ..Answer::default() }
}
