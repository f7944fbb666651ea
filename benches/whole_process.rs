//! The whole program, scraping one target every second and remote-writing over loopback: CPU per
//! sample and peak memory; and Debian's Prometheus agent doing the same in the same run.
//!
//! Arguments: `series=10000 seconds=20`. Needs dist/otlet (or OTLET_BIN); the agent is left out
//! where no `prometheus` is installed.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{env, fs, thread};

#[path = "support/mod.rs"]
mod support;

use support::servers;

/// CPU seconds and memory of one collector, and what arrived from it.
struct Figures {
    cpu_s: f64,
    peak_kib: u64,
    samples: u64,
    body_bytes: u64,
    requests: u64,
}

fn main() {
    let argument = |name: &str, default: usize| {
        let value = env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
        value.unwrap_or(default)
    };
    let series = argument("series=", 10_000);
    let seconds = argument("seconds=", 20) as u64;
    let target = servers::target(series);
    let otlet = measure(seconds, |receiver| {
        let binary = env::var("OTLET_BIN").unwrap_or_else(|_| "dist/otlet".to_owned());
        let mut command = Command::new(binary);
        command.arg(format!("--from-scrape=http://{target}/metrics interval=1s timeout=1s"));
        command.arg(format!("--to-remote-write=http://{receiver}/api/v1/write"));
        command.arg("--admin=off");
        command
    });
    print("otlet", series, &otlet);
    let scratch = env::temp_dir().join(format!("otlet-bench-{}", std::process::id()));
    if let Some(agent) = agent(&scratch, target, seconds) {
        print("prometheus agent", series, &agent);
        let ratio = per_million(&agent) / per_million(&otlet);
        println!("ratio: the agent takes {ratio:.1} times the CPU per sample");
    }
    // The folder is gone already if the agent never ran.
    let _ = fs::remove_dir_all(scratch);
}

fn agent(scratch: &std::path::Path, target: SocketAddr, seconds: u64) -> Option<Figures> {
    Command::new("prometheus").arg("--version").output().ok()?;
    fs::create_dir_all(scratch).ok()?;
    let config = scratch.join("agent.yml");
    Some(measure(seconds, |receiver| {
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['{target}']}}]}}]\n\
             remote_write: [{{url: 'http://{receiver}/api/v1/write'}}]\n"
        );
        fs::write(&config, text).expect("the temporary folder takes a file");
        let mut command = Command::new("prometheus");
        command.arg("--enable-feature=agent").arg("--web.listen-address=127.0.0.1:0");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.agent.path={}", scratch.join("data").display()));
        command
    }))
}

/// Runs a collector; figures are taken after it has warmed up.
fn measure(seconds: u64, command: impl FnOnce(SocketAddr) -> Command) -> Figures {
    let (receiver, received) = servers::receiver();
    let mut command = command(receiver);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the collector starts");
    thread::sleep(Duration::from_secs(5));
    let cpu_before = cpu_s(&child);
    let before = [&received.samples, &received.body_bytes, &received.requests]
        .map(|count| count.load(Ordering::Relaxed));
    thread::sleep(Duration::from_secs(seconds));
    let after = [&received.samples, &received.body_bytes, &received.requests]
        .map(|count| count.load(Ordering::Relaxed));
    let figures = Figures {
        cpu_s: cpu_s(&child) - cpu_before,
        peak_kib: peak_kib(&child),
        samples: after[0] - before[0],
        body_bytes: after[1] - before[1],
        requests: after[2] - before[2],
    };
    // It may have ended by itself, which the figures show.
    let _ = child.kill();
    let _ = child.wait();
    figures
}

/// User and system time so far, in seconds, to a hundredth (proc(5)).
fn cpu_s(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_kib(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn per_million(figures: &Figures) -> f64 {
    figures.cpu_s / (figures.samples.max(1) as f64 / 1e6)
}

fn print(name: &str, series: usize, figures: &Figures) {
    println!(
        "{name}: {series} series every second: {:.3} CPU s per million samples, peak {:.1} MiB, \
         {:.1} wire bytes/sample, {:.0} samples/request ({} samples)",
        per_million(figures),
        figures.peak_kib as f64 / 1024.0,
        figures.body_bytes as f64 / figures.samples.max(1) as f64,
        figures.samples as f64 / figures.requests.max(1) as f64,
        figures.samples
    );
}
