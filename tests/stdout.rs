//! The stdout exporter and its reader: one who reads, one who is slow, and one who is gone.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;

use support::json::Json;
use support::otlet::Otlet;
use support::otlp::field;
use support::scripted::HttpServer;
use support::{http, wait_for, Process};

fn from(target: &HttpServer) -> String {
    format!("--from-scrape={} interval=100ms timeout=100ms", target.url("/metrics"))
}

#[test]
fn a_person_can_read_it() {
    let target = HttpServer::page("a{b=\"c\"} 1.5\n");
    let otlet = Otlet::start(&[&from(&target)]);
    let line = otlet.wait_stdout(" a{");
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(time.len(), "12:34:56.789".len());
    let instance = target.server.address;
    assert_eq!(rest, format!("a{{b=\"c\",instance=\"{instance}\",job=\"otlet\"}} 1.5"));
    let exit = otlet.stop();
    assert!(exit.stdout.iter().any(|line| line.contains(" a{") && line.ends_with(" stale")));
}

#[test]
fn a_machine_can_read_it() {
    let target = HttpServer::page("a{b=\"x \\\"y\\\" \\\\\"} 1.5\nn NaN\n");
    let otlet = Otlet::start(&[&from(&target), "--to-stdout=format=json"]);
    otlet.wait_stdout("\"n\"");
    let exit = otlet.stop();
    assert!(exit.stdout.len() > 10);
    for line in &exit.stdout {
        let json = Json::parse(line);
        assert!(json.get("time").text().ends_with('Z'));
        let name = json.get("name").text();
        if name == "a" {
            assert_eq!(json.get("labels").labels()["b"], "x \"y\" \\");
        }
        let is_text = matches!(json.get("value"), Json::Text(_));
        assert!(!is_text || ["NaN", "stale"].contains(&json.get("value").text()), "{line}");
    }
}

/// Starts otlet with little memory and its stdout in our hands; the addresses that it logs, in
/// order.
fn start_unread<const N: usize>(flags: &[&str]) -> (Process, [SocketAddr; N]) {
    let mut command = Otlet::command();
    command.args(["--admin=127.0.0.1:0", "--memory-limit=1MiB"]).args(flags);
    let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
    let addresses = std::array::from_fn(|_| {
        wait_for("an address", || {
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            line.contains(": listening ")
                .then(|| line.trim_end().rsplit(' ').next()?.parse().ok())?
        })
    });
    // Whoever logs afterwards must not meet a closed pipe here.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (process, addresses)
}

fn metrics(admin: SocketAddr) -> support::otlet::Metrics {
    let page = support::http::get(admin, "/metrics").unwrap();
    support::otlet::Metrics::parse(&page.text())
}

fn large_page() -> HttpServer {
    let lines: String = (0..2000).map(|at| format!("a{{id=\"{at}\"}} {at}\n")).collect();
    HttpServer::page(&lines)
}

#[test]
fn a_reader_who_does_not_read_holds_nothing_up() {
    let target = large_page();
    let (mut process, [admin]) = start_unread(&[&from(&target)]);
    let dropped = |reason| {
        move || {
            let labels = [("exporter", "stdout"), ("reason", reason)];
            let metrics = metrics(admin);
            (metrics.sum("otlet_exporter_dropped_items_total", &labels) > 0.0).then_some(metrics)
        }
    };
    let metrics = wait_for("drops", dropped("queue_full"));
    let scraped = target.requests().len();
    target.wait_requests(scraped + 3);
    assert!(metrics.sum("otlet_memory_used_bytes", &[]) <= (1 << 20) as f64);
    // Once somebody reads again, whole lines come.
    let mut stdout = process.0.stdout.take().unwrap();
    let mut text = vec![0; 200_000];
    stdout.read_exact(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[..lines.len() - 1] {
        assert!(line.as_bytes()[2] == b':' && line.split(' ').count() == 3, "{line}");
    }
    // And when the reader is gone, the program is not.
    drop(stdout);
    wait_for("drops for want of a reader", dropped("closed"));
    let scraped = target.requests().len();
    target.wait_requests(scraped + 2);
    assert_eq!(process.0.try_wait().unwrap(), None);
}

#[test]
fn two_writers_take_turns() {
    let target = large_page();
    let both = [&from(&target), "--to-stdout", "--to-stdout=format=json"];
    let (mut process, [admin]) = start_unread(&both);
    // The pipe is full before anybody reads.
    wait_for("drops of both", || {
        let dropped = |destination| {
            let labels = [("destination", destination), ("reason", "queue_full")];
            metrics(admin).sum("otlet_exporter_dropped_items_total", &labels)
        };
        (dropped("stdout") > 0.0 && dropped("stdout#2") > 0.0).then_some(())
    });
    let stdout = BufReader::new(process.0.stdout.take().unwrap());
    let (mut texts, mut jsons) = (0, 0);
    for line in stdout.lines().take(20_000) {
        let line = line.unwrap();
        if line.starts_with('{') {
            Json::parse(&line).get("name").text();
            jsons += 1;
        } else {
            assert!(line.as_bytes()[2] == b':' && line.split(' ').count() == 3, "{line}");
            texts += 1;
        }
    }
    assert!(texts > 1000 && jsons > 1000, "{texts} {jsons}");
    let last = metrics(admin).sum("otlet_exporter_last_success_timestamp_seconds", &[]);
    assert!(last > 2.0 * 1.6e9, "when each last wrote: {last}");
}

#[test]
fn log_records_that_nobody_reads_hold_nothing_up() {
    let (mut process, [admin, otlp]) = start_unread(&["--from-otlp=grpc=off http=127.0.0.1:0"]);
    let record = field(2, &field(5, &field(1, "x".repeat(1000).as_bytes())));
    let body = field(1, &field(2, &record.repeat(100)));
    let post = || {
        let answer = http::post(otlp, "/v1/logs", "application/x-protobuf", &body).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    };
    // In flight, in the pipe and in the queue are a few bodies; the oldest go, by their signal.
    let dropped = || {
        post();
        let metrics = metrics(admin);
        let labels = [("signal", "logs"), ("reason", "queue_full")];
        (metrics.sum("otlet_exporter_dropped_items_total", &labels) >= 300.0).then_some(metrics)
    };
    let metrics = wait_for("drops", dropped);
    let sum = |name: &str| metrics.sum(name, &[("signal", "logs")]);
    assert!(metrics.sum("otlet_memory_used_bytes", &[]) <= (1 << 20) as f64);
    assert_eq!(sum("otlet_receiver_accepted_items_total"), sum("otlet_exporter_items_total"));
    let known = ["dropped_items_total", "sent_items_total", "queued_items"];
    let known: f64 = known.iter().map(|name| sum(&format!("otlet_exporter_{name}"))).sum();
    assert_eq!(known, sum("otlet_exporter_items_total"));
    // Once somebody reads, whole lines come.
    let stdout = BufReader::new(process.0.stdout.take().unwrap());
    for line in stdout.lines().take(150) {
        assert_eq!(line.unwrap(), format!("- LOG   - {}", "x".repeat(1000)));
    }
    // And with the reader gone the rest is counted, and the program is not gone.
    wait_for("drops for want of a reader", || {
        post();
        let labels = [("signal", "logs"), ("reason", "closed")];
        let metrics = self::metrics(admin);
        (metrics.sum("otlet_exporter_dropped_items_total", &labels) > 0.0).then_some(())
    });
    assert_eq!(process.0.try_wait().unwrap(), None);
}

#[test]
fn output_that_nobody_takes_kills_no_command() {
    for flags in [&["--help"][..], &["--version"], &["--check", "--from-scrape=http://127.0.0.1:9"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Otlet::command();
        let status = command.args(flags).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{flags:?}");
    }
}
