//! OTLP metrics from the real SDK through otlet into a real Prometheus: the values that PromQL
//! returns are what the application recorded.

mod support;

use std::net::SocketAddr;
use std::process::Command;

use support::otlet::Otlet;
use support::prometheus::Prometheus;
use support::{python, repository, wait_for};

/// otlet between an SDK and that Prometheus; the addresses of gRPC and HTTP.
fn start(prometheus: &Prometheus, settings: &str) -> (Otlet, [SocketAddr; 2]) {
    let otlet = Otlet::start(&[
        "--from-otlp=grpc=127.0.0.1:0 http=127.0.0.1:0",
        &format!("--to-remote-write={} batch=100ms {settings}", prometheus.write_url()),
        "--label=region=eu",
        "--linger=0s",
    ]);
    let address = |name: &str| {
        let line = otlet.wait_log(&format!("otlp: listening for {name} on "));
        line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    let addresses = [address("grpc"), address("http")];
    (otlet, addresses)
}

/// Runs the SDK's program to its end.
fn send(protocol: &str, address: SocketAddr, temporality: &str, service: &str) {
    let mut command: Command = python();
    command.arg(repository("tests/support/otlp_metrics.py"));
    command.args([protocol, &format!("http://{address}"), temporality, service]);
    let output = command.output().expect("python");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{protocol} {temporality}: {words}");
}

/// Waits for each query to return that one value.
#[track_caller]
fn expect(prometheus: &Prometheus, queries: &[(&str, f64)]) {
    for (query, expected) in queries {
        let mut last = Default::default();
        let mut found = || {
            last = prometheus.query(query);
            (last.len() == 1 && last.values().all(|value| value == expected)).then_some(())
        };
        let deadline = std::time::Instant::now() + support::SOON;
        while found().is_none() {
            assert!(std::time::Instant::now() < deadline, "{query}: {expected} is not {last:?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn what_an_application_records_is_what_promql_returns() {
    let prometheus = Prometheus::start("");
    let (otlet, [grpc, http]) = start(&prometheus, "");
    for (protocol, address) in [("grpc", grpc), ("http", http)] {
        for temporality in ["cumulative", "delta"] {
            let service = format!("{protocol}-{temporality}");
            send(protocol, address, temporality, &service);
            let query = |metric: &str| metric.replace("JOB", &format!("job=\"{service}\""));
            let queries = [
                ("shop_orders_total{JOB}", 6.0),
                ("shop_orders_total{JOB,kind=\"gift\",instance=\"i-1\",region=\"eu\"}", 6.0),
                ("basket_items{JOB}", 6.0),
                ("latency_milliseconds_count{JOB}", 9.0),
                ("latency_milliseconds_sum{JOB}", 15_165.0),
                ("latency_milliseconds_bucket{JOB,le=\"100\"}", 6.0),
                ("latency_milliseconds_bucket{JOB,le=\"+Inf\"}", 9.0),
                ("wait_seconds_count{JOB}", 9.0),
                ("wait_seconds_sum{JOB}", 13.5),
                ("room_temperature_celsius{JOB}", 21.5),
                ("bytes_read_total{JOB}", 4096.0),
                ("target_info{JOB,deployment_environment=\"test\",instance=\"i-1\"}", 1.0),
            ];
            let queries: Vec<(String, f64)> =
                queries.iter().skip(1).map(|(metric, value)| (query(metric), *value)).collect();
            let queries: Vec<(&str, f64)> =
                queries.iter().map(|(query, value)| (query.as_str(), *value)).collect();
            expect(&prometheus, &queries);
        }
    }
    let metrics = otlet.metrics();
    let points = [("receiver", "otlp"), ("signal", "metrics")];
    // Four programs, three exports and one at the end, six metrics of one point each; at the end
    // of a program of deltas those have nothing to say.
    let accepted = metrics.sum("otlet_receiver_accepted_items_total", &points);
    assert!((72.0..=96.0).contains(&accepted), "{accepted}");
    assert_eq!(metrics.sum("otlet_receiver_refused_items_total", &[]), 0.0);
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), 0.0);
    assert_eq!(otlet.stop().status.code(), Some(0));
}

#[test]
fn the_settings_choose_the_dialect() {
    let prometheus = Prometheus::start("");
    let settings = "resource_labels=deployment.environment scope_labels";
    let (_otlet, [grpc, _]) = start(&prometheus, settings);
    send("grpc", grpc, "cumulative", "dialect");
    let query = "shop_orders_total{deployment_environment=\"test\",otel_scope_name=\"shop\",\
                 otel_scope_version=\"1.2\"}";
    expect(&prometheus, &[(query, 6.0)]);
}

#[test]
fn native_histograms_arrive_whole() {
    let prometheus = Prometheus::start_with("", &["--enable-feature=native-histograms"]);
    let (_otlet, [grpc, _]) = start(&prometheus, "native_histograms");
    send("grpc", grpc, "cumulative", "native");
    expect(
        &prometheus,
        &[
            ("histogram_count(wait_seconds{job=\"native\"})", 9.0),
            ("histogram_sum(wait_seconds{job=\"native\"})", 13.5),
            ("round(histogram_quantile(0.99, wait_seconds{job=\"native\"}))", 3.0),
        ],
    );
}

#[test]
fn a_signal_that_nobody_takes_is_refused_in_the_protocols_terms() {
    let prometheus = Prometheus::start("");
    let (otlet, [_, http]) = start(&prometheus, "");
    otlet.wait_log("no exporter takes traces, logs");
    for (path, status) in [("traces", 404), ("logs", 404), ("metrics", 200)] {
        let answer = wait_for("an answer", || {
            let request = format!(
                "POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            );
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(http).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}
