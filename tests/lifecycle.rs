//! The program's life as a process: it is ready at once, sleeps when idle, and stops in order and
//! in time.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use support::otlet::{Exit, Otlet};
use support::remote_write::RemoteWrite;
use support::scripted::{Answer, HttpServer};
use support::tls::{tls_in_front_of, Authority};
use support::{http, static_binary, wait_for};

const STALE: u64 = 0x7ff0_0000_0000_0002;

fn from(target: &HttpServer, interval: &str) -> String {
    format!("--from-scrape={} interval={interval} timeout=100ms", target.url("/metrics"))
}

fn to(receiver: &RemoteWrite) -> String {
    format!("--to-remote-write={} batch=1h", receiver.url())
}

#[track_caller]
fn assert_orderly(exit: &Exit, last_words: &str) {
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    assert!(exit.stderr.last().unwrap().contains(last_words), "{:?}", exit.stderr);
}

#[test]
fn it_stops_in_order() {
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    // Nothing but the stop makes the scrape happen or the batch close.
    let otlet = Otlet::start(&[&from(&target, "1h"), &to(&receiver), "--linger=1s"]);
    let admin = otlet.admin();
    otlet.signal(Signal::TERM);
    otlet.wait_log("SIGTERM: stopping");
    // It lingers: still there, but no longer healthy.
    assert_eq!(http::get(admin, "/").unwrap().status(), 503);
    assert_eq!(http::get(admin, "/metrics").unwrap().status(), 200);
    let exit = otlet.wait();
    assert_orderly(&exit, "stopped: everything was sent");
    assert!(exit.took >= Duration::from_millis(900), "it lingers: {:?}", exit.took);
    assert_eq!(target.requests().len(), 1, "one last scrape");
    for (series, samples) in receiver.samples() {
        let [.., before, (marker_ms, marker)] = &samples[..] else { panic!("{series:?}") };
        assert_eq!(marker.to_bits(), STALE, "{series:?} {samples:?}");
        assert!(*marker_ms > before.0, "{series:?} {samples:?}");
        if series["__name__"] == "a" {
            assert_eq!((samples.len(), before.1), (2, 1.0));
        }
    }
}

#[test]
fn an_interrupt_is_a_stop_too() {
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let otlet = Otlet::start(&[&from(&target, "100ms"), &to(&receiver), "--linger=0s"]);
    target.wait_requests(2);
    otlet.signal(Signal::INT);
    assert_orderly(&otlet.wait(), "everything was sent");
}

#[test]
fn a_destination_that_never_answers_does_not_hold_it_up() {
    let (target, receiver) = (HttpServer::page("a 1\n"), HttpServer::start(Answer::Hang));
    let to = format!("--to-remote-write={} batch=50ms", receiver.url("/"));
    let flags = [&from(&target, "100ms"), to.as_str(), "--linger=0s", "--stop-timeout=2s"];
    let otlet = Otlet::start(&flags);
    receiver.wait_requests(1);
    let exit = otlet.stop();
    assert_orderly(&exit, "items were not sent");
    assert!(exit.took < Duration::from_secs(4), "{:?}", exit.took);
}

#[test]
fn a_target_that_never_answers_does_not_hold_it_up() {
    let (target, receiver) = (HttpServer::start(Answer::Hang), RemoteWrite::start());
    let from = format!("--from-scrape={} interval=1h timeout=1h", target.url("/"));
    let otlet = Otlet::start(&[&from, &to(&receiver), "--linger=0s"]);
    let exit = otlet.stop();
    assert_orderly(&exit, "everything was sent");
    assert!(exit.took < Duration::from_secs(6), "two seconds for the last scrape: {:?}", exit.took);
}

#[test]
fn a_second_signal_ends_at_once() {
    let receiver = HttpServer::start(Answer::Hang);
    let target = HttpServer::page("a 1\n");
    let to = format!("--to-remote-write={} batch=50ms", receiver.url("/"));
    let otlet = Otlet::start(&[&from(&target, "100ms"), &to]);
    receiver.wait_requests(1);
    otlet.signal(Signal::TERM);
    otlet.wait_log("stopping");
    otlet.signal(Signal::TERM);
    let exit = otlet.wait();
    assert_eq!(exit.status.code(), Some(1), "{:?}", exit.stderr);
    let last = exit.stderr.last().unwrap();
    assert!(last.contains("second signal") && last.contains("items were not sent"), "{last}");
    assert!(exit.took < Duration::from_secs(2), "{:?}", exit.took);
    // With nothing left to send it is as orderly a stop as any.
    let otlet = Otlet::start(&["--from-statsd=127.0.0.1:0", &to, "--linger=1h"]);
    otlet.signal(Signal::TERM);
    otlet.wait_log("stopping");
    otlet.signal(Signal::INT);
    let exit = otlet.wait();
    assert_orderly(&exit, "second signal: stopped at once; nothing was left");
    assert!(exit.took < Duration::from_secs(2), "{:?}", exit.took);
}

#[test]
fn a_signal_at_any_moment_of_the_start_is_a_stop() {
    for delay_ms in 0..12 {
        let mut command = Otlet::command();
        let flags = ["--admin=127.0.0.1:0", "--from-scrape=http://127.0.0.1:9", "--linger=0s"];
        let otlet = Otlet::spawn(command.args(flags));
        std::thread::sleep(Duration::from_millis(delay_ms));
        otlet.signal(Signal::TERM);
        let exit = otlet.wait();
        // Before the handlers are there, the default action is as good.
        let by_default = std::os::unix::process::ExitStatusExt::signal(&exit.status) == Some(15);
        assert!(by_default || exit.status.code() == Some(0), "{:?} {:?}", exit.status, exit.stderr);
    }
}

#[test]
fn nothing_is_waited_for_at_the_start() {
    let target = "--from-scrape=http://no-such-host.invalid/metrics";
    let otlet = Otlet::start(&[
        target,
        // Nobody answers in TEST-NET-1 (RFC 5737), and nobody refuses.
        "--to-remote-write=http://192.0.2.1/write timeout=1h",
        "--to-remote-write=http://also-not.invalid/write name=b",
        "--linger=0s",
        "--stop-timeout=1s",
    ]);
    let answer = http::get(otlet.admin(), "/").unwrap();
    assert_eq!(answer.status(), 200);
    let health = support::json::Json::parse(&answer.text());
    assert_eq!(health.get("status").text(), "Server available");
    assert_eq!(otlet.stop().status.code(), Some(0));
}

/// The program as it is shipped.
fn shipped(flags: &[&str]) -> Otlet {
    let mut command = Command::new(static_binary());
    Otlet::spawn(command.env_clear().arg("--admin=127.0.0.1:0").args(flags))
}

#[test]
fn at_rest_it_is_two_threads_that_sleep_and_three_mebibytes() {
    const IDLE: Duration = Duration::from_secs(3);
    let otlet =
        shipped(&["--from-scrape=http://127.0.0.1:9 interval=1h", "--from-statsd=127.0.0.1:0"]);
    otlet.wait_log("ready");
    assert_eq!(otlet.status("Threads"), 2, "the loop and async-io's helper");
    // async-io's helper sleeps in ever longer steps, a dozen, until it is at rest.
    std::thread::sleep(IDLE / 3);
    let before = wakeups(&otlet);
    std::thread::sleep(IDLE);
    let woken = wakeups(&otlet) - before;
    assert!(woken <= 5 * IDLE.as_secs(), "{woken} wake-ups in {IDLE:?}");
    let resident = otlet.status("VmRSS");
    assert!(resident <= 3 << 10, "{resident} KiB");
}

/// Voluntary context switches of all threads since their start.
fn wakeups(otlet: &Otlet) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", otlet.pid())).unwrap();
    let of_task = |status: String| {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.unwrap().split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    let read = |path: std::path::PathBuf| fs::read_to_string(path.join("status")).unwrap();
    tasks.map(|task| of_task(read(task.unwrap().path()))).sum()
}

#[test]
fn work_brings_no_third_thread() {
    let authority = Authority::new();
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let tls = tls_in_front_of(receiver.http.server.address, &authority.localhost(), &[]);
    let (port, ca) = (tls.address.port(), authority.certificate());
    // Names that are looked up, TLS, sockets of every kind.
    let otlet = shipped(&[
        &from(&target, "100ms"),
        "--from-scrape=http://no-such-host.invalid/ interval=100ms timeout=100ms job=none",
        "--from-statsd=127.0.0.1:0 tcp://127.0.0.1:0",
        &format!("--to-remote-write=https://localhost:{port}/w batch=50ms tls.ca={}", ca.display()),
        "--to-stdout",
    ]);
    for count in 1..10 {
        receiver.http.wait_requests(count);
        assert_eq!(otlet.status("Threads"), 2);
    }
}

#[test]
fn a_port_that_is_taken_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for flag in [format!("--admin={address}"), format!("--from-statsd=tcp://{address}")] {
        let mut command = Otlet::command();
        command.args(["--from-scrape=http://127.0.0.1:9", &flag]);
        if flag.contains("statsd") {
            command.arg("--admin=off");
        }
        let exit = Otlet::run(&mut command);
        assert_eq!(exit.status.code(), Some(1), "{flag}");
        let last = exit.stderr.last().unwrap();
        let name = flag.split('=').next().unwrap();
        assert!(last.contains(name) && last.contains(&address.to_string()), "{last}");
        assert!(last.contains("in use"), "{last}");
    }
}

/// Sends `request` as it is and returns all that comes back.
fn talk(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(support::SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_admin_port_answers_in_http_whatever_it_is_asked() {
    let otlet = Otlet::start(&["--from-scrape=http://127.0.0.1:9"]);
    let admin = otlet.admin();
    let close = "Host: x\r\nConnection: close\r\n\r\n";
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{close}"), "200"),
        (format!("GET /metrics?x=y HTTP/1.1\r\n{close}"), "200"),
        (format!("HEAD / HTTP/1.1\r\n{close}"), "200"),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (format!("GET /nothing HTTP/1.1\r\n{close}"), "404"),
        (format!("POST / HTTP/1.1\r\nContent-Length: 0\r\n{close}"), "405"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("\x16\x03\x01\x02\r\n\r\n".to_owned(), "400"),
        (format!("GET /{} HTTP/1.1\r\n{close}", "x".repeat(100_000)), "431"),
    ] {
        let answer = talk(admin, &request);
        let shown: String = request.chars().take(40).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    }
    let head = talk(admin, &format!("HEAD / HTTP/1.1\r\n{close}"));
    assert!(head.ends_with("\r\n\r\n"), "a body where none belongs: {head}");
}

#[test]
fn idle_admin_connections_keep_nobody_out() {
    let otlet = Otlet::start(&["--from-scrape=http://127.0.0.1:9"]);
    let admin = otlet.admin();
    let open: Vec<_> = (0..200).map(|_| TcpStream::connect(admin)).collect();
    for stream in open.iter().flatten().take(100) {
        let mut stream: &TcpStream = stream;
        let _ = stream.write_all(b"GET / HT");
    }
    assert_eq!(http::get(admin, "/").unwrap().status(), 200);
    assert!(otlet.status("VmRSS") < 24 << 10);
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let mut command = Command::new("prlimit");
    command.env_clear().arg("--nofile=20:20").arg(env!("CARGO_BIN_EXE_otlet")).args([
        "--admin=127.0.0.1:0",
        &from(&target, "100ms"),
        &format!("--to-remote-write={} batch=50ms", receiver.url()),
    ]);
    let otlet = Otlet::spawn(&mut command);
    let admin = otlet.admin();
    receiver.http.wait_requests(2);
    let open: Vec<_> = (0..40).map(|_| TcpStream::connect(admin).unwrap()).collect();
    // What it has it keeps using, and it does not spin on what it cannot accept.
    let scraped = target.requests().len();
    let before = cpu_ticks(&otlet);
    target.wait_requests(scraped + 10);
    let spent = cpu_ticks(&otlet) - before;
    assert!(spent < 50, "{spent} hundredths of a second for ten scrapes");
    drop(open);
    wait_for("the admin port", || http::get(admin, "/").ok());
}

/// User and system time, in hundredths of a second (proc(5), `stat`).
fn cpu_ticks(otlet: &Otlet) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", otlet.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn rare_events_are_told_where_that_is_asked_for() {
    let told = |level: &str| {
        let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
        let settings = "batch=50ms username=u password=s3cr3t";
        let to = format!("--to-remote-write={} {settings}", receiver.url());
        let otlet = Otlet::start(&[&from(&target, "100ms"), &to, level, "--linger=0s"]);
        receiver.http.wait_requests(2);
        let page = http::get(otlet.admin(), "/metrics").unwrap();
        assert!(page.text().contains("otlet_build_info"));
        let exit = otlet.stop();
        assert_orderly(&exit, "everything was sent");
        (target.server.address, receiver.http.server.address, exit.stderr.join("\n"))
    };
    let (target, receiver, log) = told("--log-level=debug");
    for line in [
        format!("connected to {target} at 127.0.0.1 in "),
        format!("scrape of http://{target}/metrics: 1 samples, 1 of them kept, 1 new series, "),
        format!("remote-write: 204 from {receiver} to "),
        "connection from 127.0.0.1:".to_owned(),
    ] {
        assert!(log.contains(&format!(" debug {line}")), "{line} in:\n{log}");
    }
    assert!(log.contains(" closed") && !log.contains("s3cr3t"), "{log}");
    let (_, _, log) = told("--log-level=info");
    assert!(!log.contains("connected to") && !log.contains("new series"), "{log}");
}

#[test]
fn a_failing_target_is_said_once_and_then_summed_up() {
    let target = HttpServer::start(Answer::Close);
    let otlet = Otlet::start(&[&from(&target, "100ms"), "--log-format=json", "--linger=0s"]);
    target.wait_requests(20);
    let exit = otlet.stop();
    let warnings: Vec<&String> =
        exit.stderr.iter().filter(|line| line.contains("\"level\":\"warn\"")).collect();
    assert!((1..=4).contains(&warnings.len()), "{warnings:?}");
    for line in &exit.stderr {
        let json = support::json::Json::parse(line);
        assert!(!json.get("message").text().is_empty() && json.get("time").text().ends_with('Z'));
    }
}
