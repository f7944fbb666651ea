//! The program's own metrics: counters and gauges, and their page in Prometheus text.
//!
//! Each series is a shared cell; whoever counts holds the cell, the registry only renders it. The
//! number of series is bounded by the flags given and the fixed sets of reasons and codes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

/// A number that is shown on `/metrics`. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Counter(Rc<Cell<f64>>);

impl Counter {
    /// Adds `count`; exact up to 2^53.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get() + count as f64);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Raises a gauge that holds a maximum.
    pub fn raise(&self, value: f64) {
        self.0.set(self.0.get().max(value));
    }

    pub fn get(&self) -> u64 {
        self.0.get() as u64
    }

    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

/// What a metric family is, for its `# TYPE` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

struct Entry {
    kind: Kind,
    help: &'static str,
    /// Rendered label sets (`{a="b"}` or empty) and their numbers.
    series: BTreeMap<String, Counter>,
}

/// All metrics of the process, by name.
#[derive(Default)]
pub struct Registry {
    families: RefCell<BTreeMap<&'static str, Entry>>,
}

impl Registry {
    pub fn new() -> Rc<Registry> {
        Rc::default()
    }

    /// The counter `name` with these labels; the same cell for the same name and labels.
    pub fn counter(&self, name: &'static str, labels: &[(&str, &str)]) -> Counter {
        self.series(Kind::Counter, name, labels)
    }

    /// The gauge `name` with these labels.
    pub fn gauge(&self, name: &'static str, labels: &[(&str, &str)]) -> Counter {
        self.series(Kind::Gauge, name, labels)
    }

    /// The sum of a metric over all its labels.
    pub fn total(&self, name: &str) -> u64 {
        let families = self.families.borrow();
        let series = families.get(name).into_iter().flat_map(|entry| entry.series.values());
        series.map(Counter::get).sum()
    }

    fn series(&self, kind: Kind, name: &'static str, labels: &[(&str, &str)]) -> Counter {
        let mut families = self.families.borrow_mut();
        let help = help(name);
        let entry =
            families.entry(name).or_insert_with(|| Entry { kind, help, series: BTreeMap::new() });
        entry.series.entry(render_labels(labels)).or_default().clone()
    }

    /// Appends the whole page in Prometheus text format 0.0.4, sorted by name and labels.
    pub fn render(&self, out: &mut String) {
        for (name, entry) in self.families.borrow().iter() {
            let kind = if entry.kind == Kind::Counter { "counter" } else { "gauge" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", entry.help);
            for (labels, counter) in &entry.series {
                let _ = writeln!(out, "{name}{labels} {}", counter.value());
            }
        }
    }
}

/// `{a="b",c="d"}` with values escaped; empty for no labels.
fn render_labels(labels: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        out.push(if out.is_empty() { '{' } else { ',' });
        let _ = write!(out, "{name}=\"");
        push_escaped(&mut out, value);
        out.push('"');
    }
    if !out.is_empty() {
        out.push('}');
    }
    out
}

/// Escapes a label value for the text format.
fn push_escaped(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// The help text of each metric; the list is what `/metrics` can show.
const HELP: &[(&str, &str)] = &[
    ("otlet_build_info", "Version, commit and target of this binary; always 1."),
    ("otlet_exporter_dropped_items_total", "Items given up, by reason."),
    ("otlet_exporter_items_total", "Items handed to the exporter: sent, dropped or queued."),
    ("otlet_exporter_last_success_timestamp_seconds", "Unix time of the last accepted request."),
    ("otlet_exporter_queue_bytes", "Bytes of encoded data held for the destination."),
    ("otlet_exporter_queued_items", "Items staged, in the open batch, waiting or in flight."),
    ("otlet_exporter_requests_total", "Answers by status code, or error for none."),
    ("otlet_exporter_retries_total", "Requests sent again."),
    ("otlet_exporter_sent_items_total", "Items the destination accepted."),
    ("otlet_log_dropped_lines_total", "Log lines given up because stderr did not take them."),
    ("otlet_loop_stall_seconds_max", "Longest run of one task between two yields."),
    ("otlet_memory_budget_bytes", "What --memory-limit allows for buffered data."),
    ("otlet_memory_used_bytes", "What is buffered under --memory-limit."),
    ("otlet_otlp_connections", "HTTP/2 connections that are open."),
    ("otlet_otlp_faulty_connections_total", "HTTP/2 connections ended for a fault of the peer."),
    ("otlet_otlp_refused_connections_total", "HTTP/2 connections closed for want of room."),
    ("otlet_pipeline_dropped_items_total", "Items lost between receiver and exporters, by reason."),
    ("otlet_receiver_accepted_items_total", "Items the pipeline took."),
    ("otlet_receiver_errors_total", "Failed collections, by reason."),
    ("otlet_receiver_items_total", "Items received: accepted or refused."),
    ("otlet_receiver_refused_items_total", "Items not taken, by reason."),
    ("otlet_receiver_repaired_strings_total", "Strings that were no UTF-8 and were mended."),
    ("otlet_statsd_connections", "TCP connections that are open."),
    ("otlet_statsd_datagrams_total", "Datagrams received, UDP and unix."),
    ("otlet_statsd_faults_total", "Faults in lines that were taken all the same, by kind."),
    ("otlet_statsd_kernel_drops_total", "Datagrams the kernel dropped for want of room."),
    ("otlet_statsd_receive_buffer_bytes", "Receive buffer the kernel granted, of all sockets."),
    ("otlet_statsd_refused_connections_total", "TCP connections closed at the limit."),
    ("otlet_statsd_series", "Live series."),
    ("otlet_statsd_truncated_datagrams_total", "Datagrams longer than the buffer; they were cut."),
    ("otlet_xray_datagrams_total", "Datagrams received."),
    ("otlet_xray_held_segments", "Segments in progress that wait for their end."),
    ("otlet_xray_kernel_drops_total", "Datagrams the kernel dropped for want of room."),
    ("otlet_xray_proxy_failures_total", "Sampling requests that could not be passed on."),
    ("otlet_xray_proxy_requests_total", "Sampling requests received."),
    ("otlet_xray_released_segments_total", "Segments given without their end, by reason."),
    ("process_cpu_seconds_total", "User and system CPU time."),
    ("process_open_fds", "Open file descriptors."),
    ("process_resident_memory_bytes", "Resident memory."),
    ("process_start_time_seconds", "Unix time at which the process started."),
    ("process_threads", "Threads of the process."),
];

fn help(name: &str) -> &'static str {
    let found = HELP.iter().find(|(known, _)| *known == name);
    debug_assert!(found.is_some(), "metric without a help text: {name}");
    found.map_or("", |(_, help)| help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sorted_escaped_and_shared() {
        let registry = Registry::new();
        let labels = [("exporter", "stdout"), ("destination", "a\"b\\c\nd")];
        registry.counter("otlet_exporter_sent_items_total", &labels).add(2);
        registry.counter("otlet_exporter_sent_items_total", &labels).increment();
        registry.gauge("otlet_memory_used_bytes", &[]).set(1.5);
        let mut page = String::new();
        registry.render(&mut page);
        assert_eq!(
            page,
            "# HELP otlet_exporter_sent_items_total Items the destination accepted.\n\
             # TYPE otlet_exporter_sent_items_total counter\n\
             otlet_exporter_sent_items_total{exporter=\"stdout\",\
             destination=\"a\\\"b\\\\c\\nd\"} 3\n\
             # HELP otlet_memory_used_bytes What is buffered under --memory-limit.\n\
             # TYPE otlet_memory_used_bytes gauge\n\
             otlet_memory_used_bytes 1.5\n"
        );
    }
}
