//! X-Ray: microseconds and allocations per segment document, each walk alone; and back from spans.
//! Then the whole program on loopback, on one core: datagrams in; PutTraceSegments out, or OTLP.
//!
//! The goals are 10 µs per KiB for both walks together, and 20,000 segments a second without loss.
//! Arguments: `seconds=10 rate=20000`. The second part needs dist/otlet (or OTLET_BIN).

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

#[path = "support/mod.rs"]
mod support;

use support::process::{self, cpu_s, memory_kib};
use support::{allocations, servers};

use otlet::translate::segment::{documents, Segments};

/// A web request with a call to DynamoDB, one to a database, annotations and metadata.
const WEB: &str = r#"{"name":"checkout","id":"1111111111111111",
"trace_id":"1-67000000-abcdefabcdefabcdefabcdef","start_time":1728053248.251234,
"end_time":1728053249.5,"origin":"AWS::ECS::Fargate","service":{"version":"1.2.3",
"runtime":"CPython"},"aws":{"xray":{"sdk":"X-Ray for Python","sdk_version":"2.15.0"},
"ecs":{"container":"ip-10-0-0-1.eu-west-1.compute.internal"}},
"http":{"request":{"method":"POST","url":"https://shop.example/cart",
"client_ip":"10.0.0.9","user_agent":"Mozilla/5.0 (X11; Linux)"},"response":{"status":200,
"content_length":1234}},"annotations":{"tier":3,"plan":"gold","paid":true},
"metadata":{"default":{"cart":[1,2,3],"note":"hello"}},"subsegments":[{"name":"DynamoDB",
"id":"2222222222222222","start_time":1728053248.5,"end_time":1728053249.0,
"namespace":"aws","aws":{"operation":"GetItem","region":"eu-west-1","table_name":"carts",
"retries":1}},{"name":"orders@db","id":"3333333333333333","start_time":1728053248.6,
"end_time":1728053249.1,"namespace":"remote","sql":{"url":"postgresql://db:5432/orders",
"sanitized_query":"SELECT * FROM t WHERE id = ?","database_type":"PostgreSQL",
"user":"app"}}]}"#;

/// The same with everything under a chain of `levels` subsegments, without annotations.
fn nested(levels: usize) -> String {
    let mut text = r#"{"name":"n","id":"00000000000000aa","start_time":1,"end_time":2,
        "trace_id":"1-67000000-abcdefabcdefabcdefabcdef""#
        .to_owned();
    for level in 1..=levels {
        text += &format!(
            r#","subsegments":[{{"name":"s","id":"{level:016}","start_time":1,"end_time":2"#
        );
    }
    text + &"}]".repeat(levels) + "}"
}

fn main() {
    measure("web request", WEB);
    measure("20 levels", &nested(20));
    let sub = r#"{"name":"step","id":"0000000000000001","start_time":1.5,"end_time":2.5},"#;
    let wide = format!(
        "{},\"subsegments\":[{}{{}}]}}",
        &nested(0)[..nested(0).len() - 1],
        sub.repeat(800)
    );
    measure("800 subsegments", &wide);
    // What takes longest: each key is looked for among as many as a span may have.
    let keys: Vec<String> = (1000..6000).map(|at| format!("\"k{at}\":1")).collect();
    let annotated =
        format!("{},\"annotations\":{{{}}}}}", &nested(0)[..nested(0).len() - 1], keys.join(","));
    measure("5000 annotations", &annotated);
    let argument = |name: &str, default: u64| {
        let value = env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
        value.unwrap_or(default)
    };
    let (seconds, rate) = (argument("seconds=", 10), argument("rate=", 20_000));
    let document = WEB.replace('\n', "");
    flood(&document, "xray", rate, seconds);
    flood(&document, "xray", 2 * rate, seconds);
    flood(&document, "otlp", rate, seconds);
}

fn measure(name: &str, document: &str) {
    let (mut segments, mut body) = (Segments::default(), Vec::new());
    let read = per_call(|| {
        black_box(segments.read(black_box(document.as_bytes())).expect("a good document"));
    });
    let both = per_call(|| {
        segments.read(black_box(document.as_bytes())).expect("a good document");
        body.clear();
        segments.write_spans(document.as_bytes(), &mut body);
        black_box(&body);
    });
    let mut random = || 1;
    let back = per_call(|| {
        documents(black_box(&body), &mut random, &mut |text| {
            black_box(text);
        })
    });
    let kib = document.len() as f64 / 1024.0;
    let line = |what: &str, (us, allocations): (f64, f64)| {
        println!(
            "xray {name}, {} bytes, {what}: {us:.2} us, {:.2} us/KiB, {allocations:.1} allocations",
            document.len(),
            us / kib
        );
    };
    line("checked", read);
    line("checked and translated", both);
    line("spans back to documents", back);
}

/// Microseconds of CPU and allocations of a call, the best of five runs.
fn per_call(mut call: impl FnMut()) -> (f64, f64) {
    call();
    let mut best = (f64::MAX, 0.0);
    for _ in 0..5 {
        let (start, before) = (Instant::now(), allocations::count());
        let (mut calls, cpu_ns) = (0_u32, own_cpu_ns());
        while start.elapsed() < Duration::from_millis(200) {
            (0..16).for_each(|_| call());
            calls += 16;
        }
        let us = (own_cpu_ns() - cpu_ns) as f64 / 1e3 / f64::from(calls);
        let made = allocations::count() - before;
        if us < best.0 {
            best = (us, made as f64 / f64::from(calls));
        }
    }
    best
}

/// CPU time of this thread so far (proc(5), schedstat): others on the same core do not count.
fn own_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("procfs");
    let first = text.split(' ').next().and_then(|text| text.parse().ok());
    first.expect("a number of nanoseconds")
}

/// A collector on one core, and where it takes segments and shows its metrics.
struct Running {
    child: Child,
    segments: SocketAddr,
    admin: SocketAddr,
}

fn start(exporter: &str, destination: SocketAddr) -> Running {
    let binary = process::binary();
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0", &binary, "--from-xray=127.0.0.1:0 region=eu-west-1"]);
    let settings = if exporter == "xray" { "region=eu-west-1" } else { "compression=none" };
    command.arg(format!("--to-{exporter}=http://{destination} {settings}"));
    command.args(["--admin=127.0.0.1:0", "--linger=0s"]);
    command.envs([("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s3c")]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("taskset and dist/otlet");
    let pipe = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
    let mut address = |before: &str| {
        let line = lines.find(|line| line.contains(before)).expect("a line of the start");
        let address = line.split(before).nth(1).and_then(|rest| rest.split(' ').next());
        address.and_then(|address| address.parse().ok()).expect("an address")
    };
    let (admin, segments) = (address("admin: listening on "), address("xray: listening on "));
    thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
    Running { child, segments, admin }
}

/// Sends the document `rate` times a second.
fn flood(document: &str, exporter: &str, rate: u64, seconds: u64) {
    let (destination, _received) = servers::receiver();
    let mut running = start(exporter, destination);
    let datagram = format!("{{\"format\":\"json\",\"version\":1}}\n{document}");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(running.segments).expect("an address of loopback");
    let (before_s, start) = (cpu_s(&running.child), Instant::now());
    let (mut sent, mut resident) = (0_u64, Vec::new());
    while start.elapsed() < Duration::from_secs(seconds) {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            // A receiver that is gone shows in the figures.
            let _ = socket.send(datagram.as_bytes());
            sent += 1;
        }
        if start.elapsed().as_secs() as usize >= resident.len() {
            resident.push(memory_kib(&running.child, "VmRSS:"));
        }
        thread::sleep(Duration::from_micros(200));
    }
    let took_s = start.elapsed().as_secs_f64();
    thread::sleep(Duration::from_secs(2));
    let cpu = cpu_s(&running.child) - before_s;
    let page = metrics(running.admin);
    let value = |name: &str| {
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    println!(
        "xray whole process to {exporter}, {} bytes, {:.0} segments/s: {:.1} us CPU/segment \
         ({:.0} % of a core), \
         of {sent} received {}, lost in the kernel {}, spans sent {} of {}, stall {:.1} ms",
        document.len(),
        sent as f64 / took_s,
        cpu / sent as f64 * 1e6,
        cpu / took_s * 100.0,
        value("otlet_xray_datagrams_total"),
        value("otlet_xray_kernel_drops_total"),
        value("otlet_exporter_sent_items_total"),
        3 * sent,
        value("otlet_loop_stall_seconds_max") * 1e3,
    );
    println!("xray whole process, resident KiB each second: {resident:?}");
    let _ = running.child.kill();
    let _ = running.child.wait();
}

fn metrics(admin: SocketAddr) -> String {
    let mut page = String::new();
    let mut stream = TcpStream::connect(admin).expect("the admin port");
    let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("a request");
    stream.read_to_string(&mut page).expect("the page");
    page
}
