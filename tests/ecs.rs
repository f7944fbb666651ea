//! A task on Fargate as otlet sees it: its own metrics, whose samples are whose, and containers
//! that ask to be scraped.

mod support;

use std::net::TcpListener;

use support::http::Message;
use support::metadata::{Documents, Metadata};
use support::otlet::Otlet;
use support::prometheus::Prometheus;
use support::remote_write::{RemoteWrite, Samples};
use support::scripted::HttpServer;
use support::{labels, wait_for, Labels};

/// The task of tests/ecs/fargate.task.json.
const TASK_ID: &str = "5f3c9e0b7a1d4c2e8f6a0b9c8d7e6f5a";
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The documents; the application is to be scraped at that port.
fn fargate(port: u16) -> Documents {
    Documents::of("fargate", &[("PORT", &port.to_string())])
}

fn start(uri: &str, to: &str, flags: &[&str]) -> Otlet {
    let mut command = Otlet::command();
    command.env("ECS_CONTAINER_METADATA_URI_V4", uri);
    command.args(["--admin=127.0.0.1:0", "--linger=0s"]).args(flags);
    Otlet::spawn(command.arg(format!("--to-remote-write={to} batch=50ms")))
}

/// The labels that every sample of the task has, and others.
fn series(name: &str, others: &[(&str, &str)]) -> Labels {
    let mut all = vec![
        ("__name__", name),
        ("ecs_cluster", "prod"),
        ("ecs_service", "orders-web"),
        ("ecs_task_family", "orders"),
        ("ecs_task_id", TASK_ID),
    ];
    all.extend(others);
    labels(&all)
}

/// The newest value of the one series that has this name and, among others, these labels.
#[track_caller]
fn newest(samples: &Samples, name: &str, some: &[(&str, &str)]) -> f64 {
    let has = |labels: &&Labels| {
        labels["__name__"] == name
            && some.iter().all(|(label, value)| labels.get(*label).is_some_and(|v| v == value))
    };
    let found: Vec<_> = samples.keys().filter(has).collect();
    assert_eq!(found.len(), 1, "{name} {some:?}: {found:?}");
    samples[found[0]].last().unwrap().1
}

#[test]
fn the_tasks_own_metrics_in_three_vocabularies() {
    let metadata = Metadata::start(TASK_ID, fargate(1));
    let receiver = RemoteWrite::start();
    let flag = "--from-ecs=interval=1s discover=false metrics=adot,exporter,semconv";
    let otlet = start(&metadata.uri(), &receiver.url(), &[flag]);
    let samples = receiver.wait_samples("the last vocabulary", |samples| {
        samples.keys().any(|labels| labels["__name__"] == "ecs_container_exit_code")
    });
    let app = [("container_name", "app"), ("ecs_task_id", TASK_ID), ("instance", TASK_ID)];
    for (name, value) in [
        ("container_cpu_usage_vcpu_vCPU", 0.1),
        ("container_cpu_utilized_None", 40.0),
        ("container_memory_utilized_MiB", 80.0),
        ("container_storage_read_bytes_Bytes", 4096.0),
        ("ecs_container_cpu_usage_seconds_total", 5.0),
        ("container_memory_working_set_bytes", 83_886_080.0),
    ] {
        let found = newest(&samples, name, &app);
        assert!((found - value).abs() < 1e-9, "{name} is {found}");
    }
    for (name, value) in [
        ("ecs_task_cpu_reserved_None", 512.0),
        ("ecs_task_network_io_usage_rx_bytes_Bytes", 1000.0),
        ("ecs_network_transmit_bytes_total", 2000.0),
        ("ecs_task_clock_synchronized", 1.0),
    ] {
        assert_eq!(newest(&samples, name, &[("ecs_cluster", "prod")]), value, "{name}");
    }
    assert_eq!(newest(&samples, "container_duration_Seconds", &[("container_name", "init")]), 2.25);
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_receiver_refused_items_total", &[]), 0.0, "{metrics:?}");
    assert_eq!(metrics.sum("otlet_receiver_errors_total", &[]), 0.0);
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    for (series, values) in receiver.samples() {
        assert_eq!(values.last().unwrap().1.to_bits(), STALE, "{series:?}");
    }
}

#[test]
fn a_container_that_is_gone_ends_its_series() {
    let metadata = Metadata::start(TASK_ID, fargate(1));
    let receiver = RemoteWrite::start();
    let flag = "--from-ecs=interval=200ms discover=false";
    let _otlet = start(&metadata.uri(), &receiver.url(), &[flag]);
    let is_app = |labels: &&Labels| labels.get("container_name").is_some_and(|name| name == "app");
    receiver.wait_samples("the container", |samples| samples.keys().any(|labels| is_app(&labels)));
    let empty = || Message::response(200, "{}");
    let task = format!("{{\"TaskARN\":\"arn:aws:ecs:eu-west-1:1:task/prod/{TASK_ID}\"}}");
    metadata.serve(Documents { task: Message::response(200, task), stats: empty() });
    receiver.wait_samples("markers", |samples| {
        let mut of_app = samples.iter().filter(|(labels, _)| is_app(labels));
        of_app.all(|(_, values)| values.last().unwrap().1.to_bits() == STALE)
    });
}

#[test]
fn scraped_samples_say_which_task_they_are_of() {
    let metadata = Metadata::start(TASK_ID, fargate(1));
    let target = HttpServer::page("a 1\n");
    let url = target.url("/metrics");
    let port = target.server.address.port();
    let own = format!("{TASK_ID}:{port}");
    for (settings, flags, expected) in [
        ("", vec![], series("a", &[("instance", &own), ("job", "otlet")])),
        ("label.instance=x", vec![], series("a", &[("instance", "x"), ("job", "otlet")])),
        (
            "job=web",
            vec!["--identity=ecs_task_id", "--label=ecs_cluster=mine"],
            labels(&[
                ("__name__", "a"),
                ("ecs_cluster", "mine"),
                ("ecs_task_id", TASK_ID),
                ("instance", &own),
                ("job", "web"),
            ]),
        ),
        (
            "",
            vec!["--identity=off"],
            labels(&[
                ("__name__", "a"),
                ("instance", &target.server.address.to_string()),
                ("job", "otlet"),
            ]),
        ),
    ] {
        let receiver = RemoteWrite::start();
        let from = format!("--from-scrape={url} interval=200ms timeout=200ms {settings}");
        let flags: Vec<&str> = flags.into_iter().chain([from.as_str()]).collect();
        let _otlet = start(&metadata.uri(), &receiver.url(), &flags);
        let samples = receiver
            .wait_samples("a", |samples| samples.keys().any(|labels| labels["__name__"] == "a"));
        assert!(samples.contains_key(&expected), "{expected:?} is not in {:?}", samples.keys());
    }
}

#[test]
fn an_endpoint_that_is_late_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener); // nobody listens
    let uri = format!("http://{address}/v4/{TASK_ID}-1000000009");
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let from = format!("--from-scrape={} interval=200ms timeout=200ms", target.url("/metrics"));
    let otlet = start(&uri, &receiver.url(), &[&from]);
    otlet.wait_log("task metadata");
    let _metadata = Metadata::start_on(TcpListener::bind(address).unwrap(), TASK_ID, fargate(1));
    let samples = receiver.wait_samples("a", |samples| !samples.is_empty());
    assert!(samples.keys().all(|labels| labels["ecs_task_id"] == TASK_ID), "{samples:?}");
}

#[test]
fn an_endpoint_that_fails_costs_its_own_metrics_alone() {
    let good = fargate(1);
    let huge = "x".repeat(100 << 20);
    for (task, stats, reason, log) in [
        (Message::response(500, "oops"), None, "status", "/task: 500: oops"),
        (Message::response(404, ""), None, "status", "404"),
        (Message::response(429, "slow down"), None, "throttled", "/task: 429: slow down"),
        // It promises more than it sends, and waits.
        (Message::response(200, "{").with("content-length", "9999"), None, "timeout", "no answer"),
        (Message::response(200, "<html>"), None, "parse", "/task: "),
        (Message::response(200, huge.clone()), None, "too_large", "longer than"),
        (good.task.clone(), Some(Message::response(200, "[1]]")), "parse", "/task/stats: "),
        (good.task.clone(), Some(Message::response(403, "no")), "status", "/task/stats: 403: no"),
        (Message::response(302, "").with("location", "/"), None, "status", "302"),
    ] {
        let has_task = stats.is_some();
        let metadata = Metadata::start(TASK_ID, fargate(1));
        let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
        let from = format!("--from-scrape={} interval=200ms timeout=200ms", target.url("/metrics"));
        let ecs = "--from-ecs=interval=200ms discover=false";
        let otlet = start(&metadata.uri(), &receiver.url(), &[&from, ecs]);
        receiver.wait_samples("a", |samples| {
            samples.contains_key(&series("ecs_task_cpu_reserved_None", &[]))
                || samples.keys().any(|labels| labels["__name__"] == "a")
        });
        let stats = stats.unwrap_or_else(|| good.stats.clone());
        metadata.serve(Documents { task, stats });
        otlet.wait_metrics(reason, |metrics| {
            let labels = [("receiver", "ecs"), ("reason", reason)];
            metrics.sum("otlet_receiver_errors_total", &labels) > 0.0
        });
        otlet.wait_log(log);
        let scraped = target.requests().len();
        target.wait_requests(scraped + 3);
        if has_task {
            let limits = receiver.wait_samples("limits", |samples| !samples.is_empty());
            newest(&limits, "ecs_task_cpu_reserved_None", &[]);
        }
    }
}

#[test]
fn a_container_that_asks_for_it_is_scraped_until_it_is_gone() {
    let target = HttpServer::page("found 1\n");
    let port = target.server.address.port();
    let metadata = Metadata::start(TASK_ID, fargate(port));
    let receiver = RemoteWrite::start();
    let replace = [
        ("\"PORT\"", format!("\"{port}\", \"otlet.scrape.interval\": \"1s\"")),
        ("registry.example", "registry.example".to_owned()),
    ];
    let replace: Vec<(&str, &str)> =
        replace.iter().map(|(from, to)| (*from, to.as_str())).collect();
    metadata.serve(Documents::of("fargate", &replace));
    let otlet = start(&metadata.uri(), &receiver.url(), &["--from-ecs=interval=200ms"]);
    let instance = format!("{TASK_ID}:{port}");
    let wanted =
        series("found", &[("container_name", "app"), ("instance", &instance), ("job", "app")]);
    receiver.wait_samples("the container's page", |samples| samples.contains_key(&wanted));
    otlet.wait_log("container app is scraped at http://127.0.0.1:");
    let task = format!("{{\"TaskARN\":\"arn:aws:ecs:eu-west-1:1:task/prod/{TASK_ID}\"}}");
    let stats = Message::response(200, "{}");
    metadata.serve(Documents { task: Message::response(200, task), stats });
    receiver.wait_samples("its marker", |samples| {
        samples[&wanted].last().unwrap().1.to_bits() == STALE
    });
    otlet.wait_log("container app is no longer scraped");
}

#[test]
fn two_tasks_share_no_series() {
    const OTHER_ID: &str = "00000000000000000000000000000abc";
    let prometheus = Prometheus::start("");
    let target = HttpServer::page("requests_total 1\n");
    let scrape = format!("--from-scrape={} interval=1s timeout=1s", target.url("/metrics"));
    let tasks = [TASK_ID, OTHER_ID].map(|id| {
        let documents = Documents::of("fargate", &[("PORT", "1"), (TASK_ID, id)]);
        let metadata = Metadata::start(id, documents);
        let flags = ["--from-ecs=interval=1s discover=false metrics=adot,exporter", &scrape];
        let otlet = start(&metadata.uri(), &prometheus.write_url(), &flags);
        (metadata, otlet)
    });
    let count = |query: &str| prometheus.query(query).values().sum::<f64>();
    for id in [TASK_ID, OTHER_ID] {
        let query = format!("count({{ecs_task_id=\"{id}\",__name__!~\"scrape_.*|up\"}})");
        wait_for("both tasks", || (count(&query) > 60.0).then_some(()));
    }
    // Every series is of one task, and apart from that both have the same.
    assert!(prometheus.query("{ecs_task_id=\"\",__name__=~\".+\"}").is_empty());
    let differ = "count by (ecs_task_id) ({__name__=~\".+\"})";
    wait_for("the same number of series", || {
        let counts = prometheus.query(differ);
        let values: Vec<f64> = counts.values().copied().collect();
        (values.len() == 2 && values[0] == values[1]).then_some(())
    });
    for (_metadata, otlet) in tasks {
        let metrics = otlet.metrics();
        assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), 0.0);
        assert_eq!(otlet.stop().status.code(), Some(0));
    }
}

#[test]
fn series_that_could_not_wait_end_when_the_identity_is_known() {
    // Fargate's address tells the task's id, that of EC2 nothing.
    let fargate = std::thread::spawn(|| late_identity(&format!("{TASK_ID}-1000000009"), true));
    late_identity("0a1b2c3d-4e5f-6071-8293-1000000009", false);
    fargate.join().unwrap();
}

fn late_identity(container: &str, has_task_id: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener); // nobody listens
    let uri = format!("http://{address}/v4/{container}");
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let from = format!("--from-scrape={} interval=200ms timeout=200ms", target.url("/metrics"));
    let flags = [from.as_str(), "--from-statsd=127.0.0.1:0 interval=500ms"];
    let otlet = start(&uri, &receiver.url(), &flags);
    let statsd = otlet.wait_log("statsd: listening on ");
    let statsd: std::net::SocketAddr = statsd.rsplit(' ').next().unwrap().parse().unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"hits:1|c", statsd).unwrap();
    // After ten seconds they go without, and that is said.
    let without = |name: &str| {
        let is_it =
            |labels: &&Labels| labels["__name__"] == name && !labels.contains_key("ecs_cluster");
        let samples = receiver.samples();
        let (labels, values) = samples.iter().find(|(labels, _)| is_it(labels))?;
        assert_eq!(labels.contains_key("ecs_task_id"), has_task_id, "{labels:?}");
        Some(values.clone())
    };
    wait_for("samples without it", || without("a").and(without("hits_total")));
    otlet.wait_log(if has_task_id {
        "samples go with its id alone"
    } else {
        "samples go without it"
    });
    let _metadata = Metadata::start_on(TcpListener::bind(address).unwrap(), TASK_ID, fargate(1));
    let instance = format!("{TASK_ID}:{}", target.server.address.port());
    let with = series("a", &[("instance", &instance), ("job", "otlet")]);
    receiver.wait_samples("samples with it", |samples| samples.contains_key(&with));
    receiver.wait_samples("StatsD's too", |samples| {
        samples.contains_key(&series("hits_total", &[("instance", TASK_ID)]))
    });
    for name in ["a", "hits_total"] {
        let last = without(name).unwrap().last().unwrap().1;
        assert_eq!(last.to_bits(), STALE, "{name}");
    }
}

const UPTIME: &str = "container_uptime_seconds";

/// The series of one collection as tests/ecs/*.expected has them, sorted.
fn lines(samples: &Samples) -> Vec<String> {
    let line = |labels: &Labels, value: f64| {
        // The one value that the time of the collection is part of.
        let value = if labels["__name__"] == UPTIME { 0.0 } else { value };
        let pairs = labels.iter().filter(|(name, _)| *name != "__name__");
        let pairs: Vec<String> = pairs.map(|(name, text)| format!("{name}={text:?}")).collect();
        format!("{}{{{}}} {value:?}", labels["__name__"], pairs.join(","))
    };
    let mut all: Vec<String> =
        samples.iter().map(|(labels, values)| line(labels, values[0].1)).collect();
    all.sort();
    all
}

/// The same of one vocabulary's part of the file; numbers are written alike.
fn expected(platform: &str, vocabulary: &str) -> Vec<String> {
    let path = support::repository(&format!("tests/ecs/{platform}.expected"));
    let text = std::fs::read_to_string(path).unwrap();
    let part = text.split("# metrics=").find(|part| part.starts_with(vocabulary)).unwrap();
    let normal = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = if series.starts_with(UPTIME) { "0" } else { value };
        format!("{series} {:?}", value.parse::<f64>().unwrap())
    };
    let mut all: Vec<String> = part.lines().skip(1).map(normal).collect();
    all.sort();
    all
}

#[test]
fn every_platform_arrives_as_expected() {
    let platforms = [
        "fargate",
        "fargate-arm",
        "ec2-awsvpc",
        "ec2-bridge",
        "ec2-host",
        "managed-instances",
        "windows",
    ];
    for platform in platforms {
        let metadata = Metadata::start(TASK_ID, Documents::of(platform, &[]));
        for vocabulary in ["adot", "exporter", "semconv"] {
            let receiver = RemoteWrite::start();
            let ecs = format!("--from-ecs=interval=1h discover=false metrics={vocabulary}");
            let otlet = start(&metadata.uri(), &receiver.url(), &[&ecs, "--identity=off"]);
            receiver.http.wait_requests(1);
            let (got, expected) = (lines(&receiver.samples()), expected(platform, vocabulary));
            assert_eq!(got, expected, "{platform} {vocabulary}");
            drop(otlet);
        }
    }
}
