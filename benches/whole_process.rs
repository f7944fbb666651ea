//! The whole program, scraping one target every second and remote-writing over loopback: CPU per
//! sample and peak memory; and Debian's Prometheus agent doing the same in the same run. Then the
//! same with a destination that is down, and how long after exec it listens.
//!
//! Arguments: `series=10000 seconds=20`; without `series=` 10,000 and 100,000 are measured. Needs
//! dist/otlet (or OTLET_BIN); the agent is left out where no `prometheus` is in PATH.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

#[path = "support/mod.rs"]
mod support;

use support::process::{self, cpu_s, free_address, memory_kib};
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
    let argument = |name: &str| env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
    let seconds = argument("seconds=").unwrap_or(20) as u64;
    match argument("series=") {
        Some(series) => compare(series, seconds),
        None => [10_000, 100_000].map(|series| compare(series, seconds)).into_iter().collect(),
    }
    destination_down(10_000, argument("down=").unwrap_or(60) as u64);
    println!("exec to listening: {:.1} ms (best of 20)", listening_ms());
}

/// otlet and the agent on the same target.
fn compare(series: usize, seconds: u64) {
    let target = servers::target(series);
    let admin = free_address();
    let mut stall = String::new();
    let otlet = measure(
        seconds,
        |receiver| {
            let mut command = otlet(target, if series > 10_000 { 32 } else { 16 });
            command.arg(format!("--to-remote-write=http://{receiver}/api/v1/write"));
            command.arg(format!("--admin={admin}"));
            command
        },
        |_| stall = metric(admin, "otlet_loop_stall_seconds_max"),
    );
    print("otlet", series, &otlet);
    println!("otlet: longest stall of the loop {stall} s");
    let scratch = env::temp_dir().join(format!("otlet-bench-{}", std::process::id()));
    if let Some(agent) = agent(&scratch, target, seconds) {
        print("prometheus agent", series, &agent);
        let ratio = per_million(&agent) / per_million(&otlet);
        println!("ratio: the agent takes {ratio:.1} times the CPU per sample");
    }
    // The folder is gone already if the agent never ran.
    let _ = fs::remove_dir_all(scratch);
}

fn otlet(target: SocketAddr, limit_mib: u64) -> Command {
    let mut command = process::otlet();
    command.arg(format!("--from-scrape=http://{target}/metrics interval=1s timeout=1s"));
    command.arg(format!("--memory-limit={limit_mib}MiB"));
    command
}

/// Resident memory while nobody takes the samples: after a third of the time, and at the end.
fn destination_down(series: usize, seconds: u64) {
    const LIMIT_MIB: u64 = 4;
    let target = servers::target(series);
    let mut command = otlet(target, LIMIT_MIB);
    command.arg(format!("--to-remote-write=http://{}/", free_address())).arg("--admin=off");
    let mut child = command.stderr(Stdio::null()).spawn().expect("otlet starts");
    thread::sleep(Duration::from_secs(seconds / 3));
    let third = memory_kib(&child, "VmRSS:");
    thread::sleep(Duration::from_secs(seconds - seconds / 3));
    let (end, peak) = (memory_kib(&child, "VmRSS:"), memory_kib(&child, "VmHWM:"));
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "destination down for {seconds} s, {series} series, --memory-limit={LIMIT_MIB}MiB: RSS \
         {:.1} MiB after a third, {:.1} at the end, peak {:.1}",
        mib(third),
        mib(end),
        mib(peak)
    );
    let _ = child.kill();
    let _ = child.wait();
}

/// From exec to an accepted connection on the admin port; the best of many, to leave out the noise.
fn listening_ms() -> f64 {
    let once = || {
        let admin = free_address();
        let mut command = process::otlet();
        command.arg(format!("--admin={admin}")).arg("--from-scrape=http://127.0.0.1:9");
        let start = Instant::now();
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("otlet");
        while TcpStream::connect(admin).is_err() {
            thread::sleep(Duration::from_micros(100));
        }
        let took = start.elapsed();
        let _ = child.kill();
        let _ = child.wait();
        took.as_secs_f64() * 1000.0
    };
    (0..20).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// One value of the own metrics, as text.
fn metric(admin: SocketAddr, name: &str) -> String {
    let mut page = String::new();
    let asked = TcpStream::connect(admin).and_then(|mut stream| {
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        stream.read_to_string(&mut page)
    });
    let value = page.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    asked.ok().and(value).unwrap_or("unknown").to_owned()
}

fn agent(scratch: &std::path::Path, target: SocketAddr, seconds: u64) -> Option<Figures> {
    Command::new("prometheus").arg("--version").output().ok()?;
    fs::create_dir_all(scratch).ok()?;
    let config = scratch.join("agent.yml");
    let command = |receiver: SocketAddr| {
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
    };
    Some(measure(seconds, command, |_| {}))
}

/// Runs a collector; figures are taken after it has warmed up.
fn measure(
    seconds: u64,
    command: impl FnOnce(SocketAddr) -> Command,
    at_the_end: impl FnOnce(&Child),
) -> Figures {
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
        peak_kib: memory_kib(&child, "VmHWM:"),
        samples: after[0] - before[0],
        body_bytes: after[1] - before[1],
        requests: after[2] - before[2],
    };
    at_the_end(&child);
    // It may have ended by itself, which the figures show.
    let _ = child.kill();
    let _ = child.wait();
    figures
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
