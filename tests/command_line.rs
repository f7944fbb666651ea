//! What a person who types meets: answers, complaints on one line, and exit statuses.

mod support;

use std::fs;
use std::os::unix::process::CommandExt;

use support::http::Message;
use support::otlet::{Exit, Otlet};
use support::remote_write::RemoteWrite;
use support::scripted::{Answer, HttpServer};

fn run(flags: &[&str]) -> Exit {
    Otlet::run(Otlet::command().args(flags))
}

#[track_caller]
fn is_refused(flags: &[&str], complaint: &str) {
    let exit = run(flags);
    assert_eq!(exit.status.code(), Some(2), "{flags:?}: {:?}", exit.stderr);
    assert!(exit.stdout.is_empty(), "{flags:?}: {:?}", exit.stdout);
    let [line] = &exit.stderr[..] else { panic!("{flags:?}: not one line: {:?}", exit.stderr) };
    assert!(line.starts_with("otlet: ") && line.contains(complaint), "{flags:?}: {line}");
}

#[test]
fn wrong_flags_are_one_line_and_status_2() {
    is_refused(&["--from-scrap=http://h"], "nearest is --from-scrape");
    is_refused(&["--from-scrape=http://h intervall=5s"], "nearest is interval");
    is_refused(&["--from-scrape=http://h interval=5"], "interval=\"5\"");
    is_refused(&["--from-scrape"], "--from-scrape");
    is_refused(&["--from-scrape=ftp://h"], "--from-scrape");
    is_refused(&["--memory-limit=1"], "--memory-limit");
    is_refused(&["--to-remote-write=http://h password=x"], "username");
    is_refused(&["--to-remote-write=http://h bearer=${NOT_SET}"], "NOT_SET");
    is_refused(&["--relabel=action=hashmod"], "hashmod");
    is_refused(&["--relabel=regex=("], "regex");
    is_refused(&["-h"], "two dashes");
    is_refused(&["positional"], "positional");
}

#[test]
fn answers_go_to_stdout_with_status_0() {
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout[0].starts_with(concat!("otlet ", env!("CARGO_PKG_VERSION"), " (")));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.iter().any(|line| line.contains("--from-scrape")));
    assert!(help.stdout.iter().all(|line| line.chars().count() <= 100), "fits a terminal");
    let topic = run(&["--help=to-remote-write"]);
    assert!(topic.stdout.iter().any(|line| line.contains("retry_for")));
    for exit in [version, help, topic] {
        assert!(exit.stderr.is_empty(), "{:?}", exit.stderr);
    }
}

#[test]
fn a_check_says_how_each_destination_answers() {
    let (good, bad) = (RemoteWrite::start(), HttpServer::start(Answer::NoContent));
    bad.otherwise(Answer::Response(Message::response(403, "not you")));
    let to = |url: String| format!("--to-remote-write={url}");
    let exit = run(&["--check", "--from-scrape=http://127.0.0.1:9", &to(good.url())]);
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    assert!(exit.stdout[0].contains("ok"), "{:?}", exit.stdout);
    assert_eq!(good.requests(), [Default::default()], "one empty request");
    let exit =
        run(&["--check", &to(good.url()), &to(bad.url("/w")), &to("http://127.0.0.1:9".into())]);
    assert_eq!(exit.status.code(), Some(1));
    let [first, second, third] = &exit.stdout[..] else { panic!("{:?}", exit.stdout) };
    assert!(first.contains("ok") && second.contains("403: not you"), "{first} {second}");
    assert!(third.contains("refused"), "{third}");
    assert!(exit.stderr[0].contains("2 of the checks failed"), "{:?}", exit.stderr);
    assert_eq!(bad.requests().len(), 1, "a check does not retry");
}

#[test]
fn a_check_tells_of_targets_and_ports_and_does_not_count_them() {
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let page = target.url("/m");
    let exit = run(&[
        "--check",
        "--from-scrape",
        &page,
        "--from-scrape=http://127.0.0.1:9/m",
        &format!("--from-otlp=grpc=127.0.0.1:0 http={taken}"),
        &format!("--from-statsd=127.0.0.1:0 tcp://{taken}"),
        &format!("--from-xray={taken}"),
        &format!("--to-remote-write={}", receiver.url()),
    ]);
    assert_eq!(exit.status.code(), Some(0), "{:?} {:?}", exit.stdout, exit.stderr);
    let [destination, answers, refuses, otlp, statsd, xray, flags] = &exit.stdout[..] else {
        panic!("{:?}", exit.stdout)
    };
    assert!(destination.starts_with("remote write to ") && flags == "flags: ok");
    assert_eq!(answers, &format!("scrape of {page}: ok (200, 4 bytes of text)"));
    assert!(refuses.starts_with("scrape of http://127.0.0.1:9/m: connect: Connection refused"));
    for (line, what) in [(otlp, "otlp over HTTP"), (statsd, "statsd"), (xray, "xray")] {
        assert!(line.starts_with(&format!("{what}: cannot listen on {taken} (")), "{line}");
    }
    assert_eq!(target.requests().len(), 1, "{:?}", target.requests().len());
}

#[test]
fn the_health_check_asks_a_running_collector() {
    let otlet = Otlet::start(&["--from-scrape=http://127.0.0.1:9", "--linger=20s"]);
    let admin = otlet.admin();
    assert_eq!(run(&[&format!("--healthcheck={admin}")]).status.code(), Some(0));
    let by_name =
        |port: &str| Otlet::run(Otlet::command().arg0("/healthcheck").args(["-port", port]));
    let port = admin.port().to_string();
    assert_eq!(by_name(&port).status.code(), Some(0));
    otlet.signal(rustix::process::Signal::TERM);
    otlet.wait_log("stopping");
    let exit = by_name(&port);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr[0].contains("503"), "{:?}", exit.stderr);
    assert_eq!(by_name("1").status.code(), Some(1), "nobody listens there");
}

#[test]
fn the_admin_port_can_be_off() {
    let mut command = Otlet::command();
    command.args(["--admin=off", "--from-scrape=http://127.0.0.1:9", "--linger=0s"]);
    let otlet = Otlet::spawn(&mut command);
    otlet.wait_log("ready");
    let tcp = fs::read_to_string(format!("/proc/{}/net/tcp", otlet.pid())).unwrap();
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{}/fd", otlet.pid()))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok()?.to_str().map(String::from))
        .collect();
    // Column 4 is the state, 0A is listening; column 10 the inode (proc(5)).
    let listens = tcp.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[3] == "0A" && sockets.contains(&format!("socket:[{}]", fields[9]))
    });
    assert!(!listens, "{tcp}");
    assert_eq!(otlet.stop().status.code(), Some(0));
}

#[test]
fn no_core_is_ever_dumped() {
    let otlet = Otlet::start(&["--from-scrape=http://127.0.0.1:9"]);
    otlet.wait_log("ready");
    let limits = fs::read_to_string(format!("/proc/{}/limits", otlet.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
}
