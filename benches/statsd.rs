//! StatsD: lines per second through parser and table, allocations, memory per series; then the
//! whole program on loopback, one line and twenty lines a datagram, and statsd_exporter beside it.
//!
//! Arguments: `seconds=5 rate=100000`. The second part needs dist/otlet (or OTLET_BIN);
//! statsd_exporter is left out where no `statsd_exporter` or `prometheus-statsd-exporter` is
//! installed.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io::BufRead, io::BufReader, thread};

use otlet::codec::statsd;
use otlet::receive::statsd::{Config, Table, Timers};

#[path = "support/mod.rs"]
mod support;

use support::allocations;
use support::process::{self, cpu_s};

fn main() {
    let argument = |name: &str, default: u64| {
        let value = env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
        value.unwrap_or(default)
    };
    lines("plain", |at| format!("checkout.requests.{at}:1|c\n"));
    lines("three tags", |at| {
        format!("checkout.requests:{at}|ms|#env:production,route:/api/v1/{at},status:200\n")
    });
    memory("counter, two tags", "c");
    memory("histogram, two tags", "ms");
    let (seconds, rate) = (argument("seconds=", 5), argument("rate=", 100_000));
    for (lines, rate) in [(1, rate), (1, 0), (20, rate / 2), (20, 0)] {
        let load = Load { lines, rate, seconds };
        whole_process(&load, "otlet", otlet);
        whole_process(&load, "statsd_exporter", statsd_exporter);
    }
}

fn table(series_max: usize) -> Table {
    let config = Config {
        listeners: Vec::new(),
        interval: Duration::from_secs(10),
        timers: Timers::Histogram,
        buckets: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        idle: Duration::ZERO,
        series_max,
        prefix: String::new(),
        rcvbuf_bytes: 0,
    };
    Table::new(&config, 1)
}

/// Lines of 1000 series, in datagrams of 1432 bytes at most.
fn lines(name: &str, line: impl Fn(usize) -> String) {
    const SERIES: usize = 1000;
    let mut datagrams = vec![String::new()];
    for at in 0..SERIES {
        let line = line(at);
        if datagrams.last().is_some_and(|last| last.len() + line.len() > 1432) {
            datagrams.push(String::new());
        }
        datagrams.last_mut().expect("never empty").push_str(&line);
    }
    let parse = best(SERIES, || {
        let lines = datagrams.iter().flat_map(|datagram| statsd::lines(datagram.as_bytes()));
        lines.filter(|line| matches!(statsd::parse(line), Ok(statsd::Line::Metric(_)))).count()
    });
    let mut table = table(SERIES);
    let take = best(SERIES, || {
        let take = |datagram: &String| table.take(datagram.as_bytes(), |_, _| {}) as usize;
        datagrams.iter().map(take).sum()
    });
    println!(
        "{name}: parser {:.1} million lines/s; with the table {:.1} million lines/s; \
         {} allocations",
        parse.0,
        take.0,
        parse.1 + take.1
    );
}

/// Million lines a second, and allocations of all rounds but the first.
fn best(lines: usize, mut round: impl FnMut() -> usize) -> (f64, u64) {
    assert_eq!(round(), lines);
    let allocations = allocations::count();
    let mut best_s = f64::INFINITY;
    for _ in 0..500 {
        let start = Instant::now();
        std::hint::black_box(round());
        best_s = best_s.min(start.elapsed().as_secs_f64());
    }
    (lines as f64 / best_s / 1e6, allocations::count() - allocations)
}

fn memory(name: &str, kind: &str) {
    for count in [1000, 7200, 10_000] {
        let before = allocations::bytes();
        let mut table = table(count);
        for at in 0..count {
            let group = at % 50;
            let line =
                format!("checkout.requests.{group}:1|{kind}|#env:production,route:/api/v1/{at:04}");
            assert_eq!(table.take(line.as_bytes(), |_, _| {}), 1);
        }
        let bytes = allocations::bytes() - before;
        println!("{name}: {} bytes/series of {count}", bytes as usize / count);
    }
}

/// What is sent.
struct Load {
    lines: usize,
    /// Datagrams per second; 0 is as many as the sender can.
    rate: u64,
    seconds: u64,
}

fn otlet() -> Option<(Child, SocketAddr)> {
    let mut command = process::otlet();
    command.args(["--from-statsd=127.0.0.1:0", "--to-stdout", "--admin=off"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
    let mut lines = BufReader::new(child.stderr.take()?).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| line.split("statsd: listening on ").nth(1)?.parse().ok())?;
    thread::spawn(move || lines.for_each(drop));
    Some((child, address))
}

fn statsd_exporter() -> Option<(Child, SocketAddr)> {
    let address: SocketAddr = UdpSocket::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
    let start = |name: &str| {
        let mut command = Command::new(name);
        command.args(["--web.listen-address=127.0.0.1:0", "--statsd.listen-tcp="]);
        command.arg(format!("--statsd.listen-udp={address}"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    };
    let child = start("statsd_exporter").or_else(|| start("prometheus-statsd-exporter"))?;
    thread::sleep(Duration::from_secs(1));
    Some((child, address))
}

fn whole_process(load: &Load, name: &str, start: fn() -> Option<(Child, SocketAddr)>) {
    let Some((mut child, address)) = start() else { return };
    let datagram = (0..load.lines).map(|at| format!("checkout.requests.{at}:1|c"));
    let datagram = datagram.collect::<Vec<_>>().join("\n");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(address).expect("an address of loopback");
    let (before_s, start) = (cpu_s(&child), Instant::now());
    let mut sent = 0_u64;
    while start.elapsed() < Duration::from_secs(load.seconds) {
        let due = match load.rate {
            0 => sent + 1000,
            rate => (start.elapsed().as_secs_f64() * rate as f64) as u64,
        };
        while sent < due {
            // A receiver that is gone shows in the figures.
            let _ = socket.send(datagram.as_bytes());
            sent += 1;
        }
        if load.rate > 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    let took_s = start.elapsed().as_secs_f64();
    thread::sleep(Duration::from_millis(200));
    let lost = drops(address.port());
    let cpu = cpu_s(&child) - before_s;
    let _ = child.kill();
    let _ = child.wait();
    let received = (sent - lost.min(sent)) * load.lines as u64;
    println!(
        "{name}: {} lines a datagram, {:.0} datagrams/s: {:.2} µs CPU/line, {:.2} million lines/s \
         received, {:.2} % lost",
        load.lines,
        sent as f64 / took_s,
        cpu / received.max(1) as f64 * 1e6,
        received as f64 / took_s / 1e6,
        lost as f64 / sent as f64 * 100.0
    );
}

/// What the kernel dropped on the socket of that port (proc(5), /proc/net/udp, last column).
fn drops(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let line = table.lines().find(|line| {
        line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local))
    });
    line.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(0)
}
