//! What goes out as OTLP: real SDKs in front, a destination behind that decodes with
//! opentelemetry-proto; item by item what arrives is what was sent.

mod support;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use support::http;
use support::metadata::{Documents, Metadata};
use support::otlet::Otlet;
use support::otlp::{post, span};
use support::peers::python_page;
use support::{program, python, repository, wait_for, Process};

/// tests/support/otlp_destination.py.
struct Destination {
    http: SocketAddr,
    grpc: SocketAddr,
    _process: Process,
}

impl Destination {
    fn start() -> Destination {
        let mut command = python();
        command.arg(repository("tests/support/otlp_destination.py"));
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(process.0.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let mut ports = line.split_whitespace().map(|port| port.parse().expect("a port"));
        let mut address = || SocketAddr::from(([127, 0, 0, 1], ports.next().expect("two ports")));
        Destination { http: address(), grpc: address(), _process: process }
    }

    fn set(&self, settings: &str) {
        http::get(self.http, &format!("/set?{settings}")).expect("settings");
    }

    fn page(&self, path: &str) -> Vec<String> {
        let page = http::get(self.http, path).expect("the destination");
        let mut lines: Vec<String> = page.text().lines().map(str::to_owned).collect();
        if path == "/lines" {
            lines.sort();
        }
        lines
    }

    /// The value of `--to-otlp`.
    fn to(&self, protocol: &str, settings: &str) -> String {
        let address = if protocol == "grpc" { self.grpc } else { self.http };
        format!("--to-otlp=http://{address} protocol={protocol} batch=100ms {settings}")
    }

    /// Waits for so many items.
    #[track_caller]
    fn wait_lines(&self, count: usize) -> Vec<String> {
        wait_for("all items", || Some(self.page("/lines")).filter(|lines| lines.len() >= count))
    }
}

/// otlet with both OTLP ports open; their addresses, gRPC first.
fn start(flags: &[&str]) -> (Otlet, [SocketAddr; 2]) {
    let common = ["--from-otlp=grpc=127.0.0.1:0 http=127.0.0.1:0", "--linger=0s"];
    let otlet = Otlet::start(&[&common, flags].concat());
    let address = |name: &str| {
        let line = otlet.wait_log(&format!("otlp: listening for {name} on "));
        line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    let addresses = [address("grpc"), address("http")];
    (otlet, addresses)
}

/// Runs the SDK's program to its end; what it sent.
fn send(protocol: &str, address: SocketAddr, compression: &str) -> Vec<String> {
    let mut command = python();
    command.arg(repository("tests/support/otlp_parity.py"));
    command.args([protocol, &format!("http://{address}"), compression]);
    let output = command.output().expect("python");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{protocol}: {words}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Sends a span of each name, as requests of their own.
fn post_spans(address: SocketAddr, names: &[&str]) {
    names.iter().for_each(|name| assert_eq!(post(address, "traces", &span(name)), 200));
}

fn sum(otlet: &Otlet, metric: &str, labels: &[(&str, &str)]) -> f64 {
    otlet.metrics().sum(metric, labels)
}

/// Waits until everything is settled; nothing may have been dropped but what the reason says.
#[track_caller]
fn settled(otlet: &Otlet, sent: f64, dropped: &[(&str, f64)]) {
    let metrics = otlet.wait_metrics("everything settled", |metrics| {
        metrics.sum("otlet_exporter_queued_items", &[]) == 0.0
            && metrics.sum("otlet_exporter_items_total", &[])
                >= sent + dropped.iter().map(|(_, count)| count).sum::<f64>()
    });
    assert_eq!(metrics.sum("otlet_exporter_sent_items_total", &[]), sent);
    for (reason, count) in dropped {
        let reason = [("reason", *reason)];
        assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &reason), *count);
    }
    let all: f64 = dropped.iter().map(|(_, count)| count).sum();
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), all);
    assert_eq!(metrics.sum("otlet_exporter_queue_bytes", &[]), 0.0);
}

#[test]
fn what_the_sdk_sends_is_what_arrives() {
    for (protocol, settings) in
        [("http", ""), ("grpc", ""), ("http", "compression=none"), ("grpc", "compression=none")]
    {
        let destination = Destination::start();
        let (otlet, [grpc, http]) = start(&[&destination.to(protocol, settings)]);
        let mut sent = send("grpc", grpc, "gzip");
        sent.extend(send("http", http, "none"));
        sent.extend(send("json", http, "gzip"));
        sent.sort();
        let arrived = destination.wait_lines(sent.len());
        assert!(sent.len() > 4000);
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!(sent, arrived, "{protocol} {settings}");
        }
        assert_eq!(sent.len(), arrived.len());
        let accepted = sum(&otlet, "otlet_receiver_accepted_items_total", &[]);
        settled(&otlet, accepted, &[]);
        assert_eq!(otlet.stop().status.code(), Some(0));
    }
}

#[test]
fn what_a_resource_lacks_is_added() {
    let (task_id, documents) = ("5f3c9e0b7a1d4c2e8f6a0b9c8d7e6f5a", Documents::of("fargate", &[]));
    let metadata = Metadata::start(task_id, documents);
    let destination = Destination::start();
    let mut command = Otlet::command();
    command.env("ECS_CONTAINER_METADATA_URI_V4", metadata.uri());
    command.args(["--admin=127.0.0.1:0", "--from-otlp=grpc=off http=127.0.0.1:0"]);
    command.args([&destination.to("http", ""), "--label=region=eu", "--label=n=8"]);
    let otlet = Otlet::spawn(&mut command);
    let line = otlet.wait_log("otlp: listening for http on ");
    send("http", line.rsplit(' ').next().unwrap().parse().expect("an address"), "gzip");
    for line in destination.wait_lines(1400) {
        let has = |key: &str, kind: &str, value: &str| {
            let pair = format!("{{\"key\": \"{key}\", \"value\": {{\"{kind}\": \"{value}\"}}}}");
            assert_eq!(line.matches(&pair).count(), 1, "{key}: {line}");
        };
        has("region", "stringValue", "eu");
        has("n", "intValue", "7");
        has("cloud.platform", "stringValue", "aws_ecs");
        has("aws.ecs.task.id", "stringValue", task_id);
        has("service.name", "stringValue", "parity");
    }
}

#[test]
fn what_fails_for_now_is_sent_again_in_order() {
    for (protocol, failure) in [
        ("http", "status=503&times=2&wait_s=1"),
        ("http", "status=429&times=1"),
        ("grpc", "code=14&times=2&wait_s=1"),
        ("grpc", "code=8&times=1&wait_s=1"),
    ] {
        let destination = Destination::start();
        let (otlet, [_, http]) = start(&[&destination.to(protocol, "")]);
        destination.set(failure);
        post_spans(http, &["first"]);
        wait_for("a failure", || destination.page("/calls").first().cloned());
        post_spans(http, &["second", "third"]);
        let lines = destination.wait_lines(3);
        assert_eq!(lines.len(), 3, "{protocol} {failure}");
        let calls = destination.page("/calls");
        let failures = calls.iter().take_while(|call| !call.ends_with(" 200")).count();
        assert!(calls[..failures].iter().all(|call| call.starts_with("traces 1 ")), "{calls:?}");
        assert_eq!(calls[failures..], ["traces 1 200", "traces 2 200"], "{protocol} {failure}");
        settled(&otlet, 3.0, &[]);
        let retries = sum(&otlet, "otlet_exporter_retries_total", &[]);
        assert_eq!(retries, failures as f64);
    }
}

#[test]
fn one_senders_bad_data_costs_only_itself() {
    for protocol in ["http", "grpc"] {
        let destination = Destination::start();
        let (otlet, [_, http]) = start(&[&destination.to(protocol, "")]);
        destination.set("poison=bad-span");
        post_spans(http, &["good-1", "bad-span", "good-2"]);
        let lines = destination.wait_lines(2);
        assert_eq!(lines.len(), 2);
        assert_eq!(destination.page("/calls")[0], "traces 3 400");
        settled(&otlet, 2.0, &[("refused", 1.0)]);
        // What is too large together goes alone; what is too large alone goes in parts.
        destination.set("bytes_max=100");
        post_spans(http, &["small-1", "small-2"]);
        let both = [span("half-1"), span("half-2"), span("half-3")].concat();
        assert_eq!(post(http, "traces", &both), 200);
        let lines = destination.wait_lines(7);
        assert_eq!(lines.iter().filter(|line| line.contains("half-")).count(), 3);
        let long = "x".repeat(90);
        post_spans(http, &[&long]);
        settled(&otlet, 7.0, &[("refused", 1.0), ("too_large", 1.0)]);
        otlet.wait_log("dropped 1 spans");
    }
}

#[test]
fn a_secret_that_is_sent_back_is_not_shown() {
    for protocol in ["http", "grpc"] {
        let destination = Destination::start();
        // What this destination says of all that it refuses.
        let (otlet, [_, http]) = start(&[&destination.to(protocol, "header.X-Key=\"told to\"")]);
        destination.set("poison=bad-span");
        post_spans(http, &["bad-span"]);
        otlet.wait_log("*******; dropped 1 spans");
        assert!(!otlet.log().iter().any(|line| line.contains("told to")), "{:?}", otlet.log());
    }
}

#[test]
fn what_is_refused_in_part_is_counted_and_not_sent_again() {
    for protocol in ["http", "grpc"] {
        let destination = Destination::start();
        let (otlet, [_, http]) = start(&[&destination.to(protocol, "")]);
        destination.set("rejected=1");
        post_spans(http, &["a", "b"]);
        settled(&otlet, 1.0, &[("rejected", 1.0)]);
        otlet.wait_log("no such span; dropped 1 spans");
        assert_eq!(destination.page("/calls"), ["traces 2 200"]);
    }
}

#[test]
fn a_warning_with_full_acceptance_is_shown() {
    for protocol in ["http", "grpc"] {
        let destination = Destination::start();
        let (otlet, [_, http]) = start(&[&destination.to(protocol, "")]);
        destination.set("rejected=0");
        post_spans(http, &["a"]);
        otlet.wait_log("no such span; took all spans");
        settled(&otlet, 1.0, &[]);
    }
}

#[test]
fn a_status_counts_though_its_body_never_comes() {
    let destination = Destination::start();
    let (otlet, [_, http]) = start(&[&destination.to("http", "timeout=1s")]);
    destination.set("slow_body=1&rejected=1");
    post_spans(http, &["a"]);
    settled(&otlet, 1.0, &[]);
    assert_eq!(destination.page("/calls").len(), 1);
}

#[test]
fn one_signals_trouble_is_not_the_others() {
    let (down, up) = (Destination::start(), Destination::start());
    let traces = format!("traces_url=http://{}/v1/traces", down.http);
    let (otlet, [_, http]) = start(&[&up.to("http", &traces)]);
    down.set("status=503&times=100000");
    post_spans(http, &["waits"]);
    let mut sent = send("http", http, "none");
    sent.retain(|line| !line.starts_with("traces"));
    sent.sort();
    assert_eq!(up.wait_lines(sent.len()), sent);
    down.set("");
    down.wait_lines(1402);
    settled(&otlet, sum(&otlet, "otlet_receiver_accepted_items_total", &[]), &[]);
}

#[test]
fn scraped_samples_are_points_of_their_target() {
    let (destination, page) = (Destination::start(), python_page());
    let otlet = Otlet::start(&[
        &destination.to("grpc", "signals=metrics"),
        &format!("--from-scrape={} job=shop interval=1s", page.url("/metrics")),
        "--linger=0s",
        "--label=region=eu",
    ]);
    let lines = destination.wait_lines(30);
    let find = |name: &str| {
        let name = format!("\"name\": \"{name}\"");
        lines.iter().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    let up = find("up");
    assert!(up.contains("\"gauge\"") && up.contains(r#""value": {"stringValue": "shop"}"#), "{up}");
    assert!(up.contains(r#"{"key": "region", "value": {"stringValue": "eu"}}"#), "{up}");
    assert!(up.contains("\"service.instance.id\"") && !up.contains("\"job\""), "{up}");
    let counter = find("process_cpu_seconds_total");
    for part in ["\"isMonotonic\": true", "CUMULATIVE", "\"startTimeUnixNano\"", "Total user and"] {
        assert!(counter.contains(part), "{part}: {counter}");
    }
    let histogram = find("latency_seconds");
    for part in ["\"explicitBounds\": [0.1, 1.0, 2.5, 10.0]", "\"count\": \"4\"", "\"exemplars\""] {
        assert!(histogram.contains(part), "{part}: {histogram}");
    }
    otlet.stop();
    // At the end every series is ended.
    let lines = destination.page("/lines");
    let ends = lines.iter().filter(|line| line.contains("\"flags\": 1")).count();
    assert!(ends > 20, "{ends} of {}", lines.len());
}

#[test]
fn check_asks_for_each_signal() {
    let destination = Destination::start();
    for protocol in ["http", "grpc"] {
        let to = destination.to(protocol, "signals=traces,logs");
        let exit = Otlet::run(Otlet::command().args(["--check", &to]));
        assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stdout);
        let about = |signal: &str| {
            exit.stdout.iter().any(|line| line.contains(signal) && line.contains("ok"))
        };
        assert!(about("traces") && about("logs") && !about("metrics"), "{:?}", exit.stdout);
    }
    let exit = Otlet::run(Otlet::command().args(["--check", "--to-otlp=http://127.0.0.1:9"]));
    assert_eq!(exit.status.code(), Some(1));
}

/// The real JavaScript exporters; what arrives has the same content in every protocol.
#[test]
fn javascript_sends_the_same_in_every_protocol() {
    let destination = Destination::start();
    let (otlet, [grpc, http]) = start(&[&destination.to("http", "")]);
    let mut seen = Vec::new();
    for (protocol, address) in [("http", http), ("proto", http), ("grpc", grpc)] {
        let before = destination.page("/lines").len();
        let mut node = Command::new(program("node"));
        node.env("NODE_PATH", repository("tests/.peers/node_modules"));
        node.arg(repository("tests/support/otlp_clients.js"));
        node.args([protocol, &format!("http://{address}"), "gzip"]);
        let output = node.output().expect("node");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {words}");
        let arrived = destination.wait_lines(before + 4);
        seen.push(arrived);
    }
    // A span, a counter twice, a log record; ids and times differ.
    let lines: Vec<String> = seen[2].iter().map(|line| without_ids(line)).collect();
    let mut kinds = lines.clone();
    kinds.dedup();
    assert_eq!((lines.len(), kinds.len()), (12, 3), "{kinds:#?}");
    let whole = kinds.concat();
    for part in
        ["js-span", "\"links\"", "js.orders", "js-line", "-5", "0.5", "arrayValue", "went wrong"]
    {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    settled(&otlet, 12.0, &[]);
}

/// A line without what is another each time.
fn without_ids(line: &str) -> String {
    let own = ["UnixNano\": ", "Id\": "];
    let mut out = String::new();
    for part in line.split(", ") {
        let end = own.iter().find_map(|key| Some(part.find(key)? + key.len()));
        out.push_str(&part[..end.unwrap_or(part.len())]);
        out.push_str(", ");
    }
    out
}

/// Pages that the system gave a process so far, proc(5).
fn page_faults(otlet: &Otlet) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", otlet.pid())).unwrap();
    let fields = stat.rsplit(") ").next().unwrap().split(' ');
    fields.skip(7).map(|field| field.parse().unwrap()).next().unwrap()
}

#[test]
fn a_batch_takes_the_memory_of_the_one_before() {
    const BATCHES: usize = 24;
    let destination = Destination::start();
    let (otlet, [_, http]) = start(&[&destination.to("http", "compression=none")]);
    // A MiB at a time; the first ones make the heap grow.
    let body = span(&"name".repeat(20)).repeat(2000);
    let mut items = 0.0;
    let mut batches = |count: usize| {
        for _ in 0..count {
            for _ in 0..4 {
                assert_eq!(post(http, "traces", &body), 200);
                items += 2000.0;
            }
            otlet.wait_metrics("a batch to be sent", |metrics| {
                metrics.sum("otlet_exporter_sent_items_total", &[]) >= items
            });
        }
        page_faults(&otlet)
    };
    let before = batches(6);
    let taken = batches(BATCHES) - before;
    // Memory is given back now and then, and comes again once: 4 MiB at most.
    assert!(taken < BATCHES as u64 * 256 / 4, "{taken} pages for {BATCHES} batches of 256");
}
