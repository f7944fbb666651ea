//! The page that every figure is measured on.
//!
//! It has the shape of an HTTP service's page: of a thousand series, 704 are buckets, sums and
//! counts of request-duration histograms (method, path, status and le; 20 buckets each), 200 are
//! request counters with five labels, 96 are gauges of a runtime with none or one label. Help and
//! type lines are there for every family. A line is about 100 bytes long. Counters grow with
//! `tick`, and about half of the values differ from one tick to the next, as they do in a service
//! with some traffic.

use std::fmt::Write;

const BOUNDS: [&str; 20] = [
    "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "1.5", "2.0",
    "2.5", "5.0", "7.5", "10.0", "20.0", "30.0", "60.0", "+Inf",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const STATUSES: [&str; 5] = ["200", "204", "400", "404", "503"];
const PATHS: [&str; 8] = [
    "/api/v1/orders",
    "/api/v1/orders/{id}",
    "/api/v1/customers",
    "/api/v1/customers/{id}",
    "/api/v1/inventory/items",
    "/healthz",
    "/api/v2/checkout",
    "/static/app.js",
];

/// Series of one thousand-series group.
const GROUP: usize = 1000;
const HISTOGRAMS: usize = 32;
const COUNTERS: usize = 200;
const GAUGES: usize = GROUP - HISTOGRAMS * (BOUNDS.len() + 2) - COUNTERS;

/// The page of `series` series (a multiple of 1000) at `tick`.
pub fn page(series: usize, tick: u64) -> String {
    let groups = series / GROUP;
    let mut out = String::with_capacity(series * 110);
    family(
        &mut out,
        "http_request_duration_seconds",
        "histogram",
        "Time until the answer is sent.",
    );
    (0..groups).for_each(|group| histograms(&mut out, group, tick));
    family(&mut out, "http_requests_total", "counter", "Requests answered, by route and status.");
    (0..groups).for_each(|group| counters(&mut out, group, tick));
    for gauge in 0..GAUGES {
        let name = format!("runtime_pool_{gauge}_bytes");
        family(&mut out, &name, "gauge", "Bytes held by this pool of the runtime.");
        for group in 0..groups {
            let value = (gauge * 4096 + group) as u64 + tick % 2 * (gauge as u64 % 3);
            let _ = writeln!(out, "{name}{{arena=\"{group}\"}} {value}");
        }
    }
    out
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Grows by a step of its own, or not at all for every other series.
fn grown(seed: usize, tick: u64) -> u64 {
    seed as u64 * 37 % 5000 + tick * (seed as u64 % 2) * (seed as u64 % 13 + 1)
}

fn histograms(out: &mut String, group: usize, tick: u64) {
    for at in 0..HISTOGRAMS {
        let seed = group * HISTOGRAMS + at;
        let labels = format!(
            "method=\"{}\",path=\"{}\",shard=\"{group}\",status=\"{}\"",
            METHODS[at % 4],
            PATHS[at / 4 % 8],
            STATUSES[seed % 5]
        );
        let name = "http_request_duration_seconds";
        let total = grown(seed, tick);
        for (rank, bound) in BOUNDS.iter().enumerate() {
            let count = total * (rank as u64 + 1) / BOUNDS.len() as u64;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", total as f64 * 0.137);
        let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
    }
}

fn counters(out: &mut String, group: usize, tick: u64) {
    for at in 0..COUNTERS {
        let seed = group * COUNTERS + at;
        let _ = writeln!(
            out,
            "http_requests_total{{client=\"tenant-{at}\",code=\"{}\",handler=\"{}\",method=\"{}\",\
             shard=\"{group}\"}} {}",
            STATUSES[at % 5],
            PATHS[at % 8],
            METHODS[at % 4],
            grown(seed, tick)
        );
    }
}
