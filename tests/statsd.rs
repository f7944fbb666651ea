//! StatsD to remote write, from outside: what clients send is what Prometheus answers.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use support::otlet::Otlet;
use support::prometheus::Prometheus;
use support::remote_write::RemoteWrite;
use support::scripted::HttpServer;
use support::{http, labels, program, python, repository, wait_for, Labels, TempDir};

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// An otlet with these listeners and settings, which sends to `url` at once.
fn start(url: &str, statsd: &str) -> Otlet {
    let to = format!("--to-remote-write={url} batch=50ms");
    Otlet::start(&[&format!("--from-statsd={statsd}"), &to, "--linger=0s"])
}

/// Where it listens: the first log line with that beginning.
fn address(otlet: &Otlet, scheme: &str) -> SocketAddr {
    let before = format!("statsd: listening on {scheme}");
    let line = otlet.wait_log(&before);
    line.split(&before).nth(1).unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
}

fn sender() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn refused(otlet: &Otlet, reason: &str) -> f64 {
    let labels = [("receiver", "statsd"), ("signal", "lines"), ("reason", reason)];
    otlet.metrics().sum("otlet_receiver_refused_items_total", &labels)
}

fn accepted(otlet: &Otlet) -> f64 {
    let labels = [("receiver", "statsd"), ("signal", "lines")];
    otlet.metrics().sum("otlet_receiver_accepted_items_total", &labels)
}

fn series(name: &str, others: &[(&str, &str)]) -> Labels {
    labels(&[&[("__name__", name)], others].concat())
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Waits until each query has one answer with that value.
#[track_caller]
fn expect(prometheus: &Prometheus, queries: &[(&str, f64)]) {
    for (query, expected) in queries {
        let mut last = Vec::new();
        let deadline = Instant::now() + support::SOON;
        while last != [*expected] {
            assert!(Instant::now() < deadline, "{query} is {last:?}, not {expected}");
            thread::sleep(Duration::from_millis(50));
            last = prometheus.query(query).into_values().collect();
        }
    }
}

#[test]
fn pythons_statsd_client() {
    let prometheus = Prometheus::start("");
    let otlet = start(&prometheus.write_url(), "127.0.0.1:0 tcp://127.0.0.1:0 interval=500ms");
    let ports = [address(&otlet, ""), address(&otlet, "tcp://")];
    let ports = ports.map(|address| address.port().to_string());
    run(python().arg(repository("tests/support/statsd_clients.py")).arg("statsd").args(ports));
    expect(
        &prometheus,
        &[
            ("py_hits_total", 15.0),
            ("py_load_seconds_count", 3.0),
            ("py_load_seconds_sum", 1.77),
            ("py_load_seconds_bucket{le=\"0.025\"}", 1.0),
            ("py_load_seconds_bucket{le=\"0.25\"}", 2.0),
            ("py_load_seconds_bucket{le=\"+Inf\"}", 3.0),
            ("py_depth", 10.5),
            ("py_cold", -7.0),
            ("max_over_time(py_users[5m])", 2.0),
            ("py_packed_total", 3.0),
            ("py_over_tcp_total", 3.0),
            // It began with a zero, so that all of it is seen to happen.
            ("max_over_time(py_hits_total[5m]) - min_over_time(py_hits_total[5m])", 15.0),
        ],
    );
    assert_eq!(refused(&otlet, "bad_value"), 0.0);
}

#[test]
fn pythons_datadog_client() {
    let prometheus = Prometheus::start("");
    let otlet = start(&prometheus.write_url(), "127.0.0.1:0 interval=500ms");
    let port = address(&otlet, "").port().to_string();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    run(python().arg(repository("tests/support/statsd_clients.py")).args([
        "datadog",
        &port,
        &now.to_string(),
    ]));
    expect(
        &prometheus,
        &[
            // The client itself replaces the blank.
            ("dd_hits_total{env=\"test\",route=\"/a_b\",beta=\"true\"}", 7.0),
            ("dd_depth{env=\"test\",x=\"y:z\"}", 3.25),
            ("dd_size_count{env=\"test\"}", 3.0),
            ("dd_size_sum", 3.6),
            ("dd_size_bucket{le=\"0.25\"}", 1.0),
            ("dd_dist_bucket{le=\"0.5\"}", 2.0),
            ("dd_load_seconds_sum", 0.3),
            ("max_over_time(dd_users[5m])", 50.0),
            ("statsd_service_check{check=\"dd.alive\",zone=\"b\",env=\"test\"}", 1.0),
            ("dd_timed_total", 4.0),
        ],
    );
    assert_eq!(refused(&otlet, "event"), 1.0);
    for reason in ["bad_value", "no_type", "bad_event", "bad_check", "unknown_type"] {
        assert_eq!(refused(&otlet, reason), 0.0, "{reason}");
    }
}

#[test]
fn nodes_hot_shots_client() {
    let prometheus = Prometheus::start("");
    let otlet = start(&prometheus.write_url(), "127.0.0.1:0 interval=500ms");
    let mut node = Command::new(program("node"));
    node.env("NODE_PATH", repository("tests/.peers/node_modules"));
    node.arg(repository("tests/support/hot_shots.js"));
    run(node.arg(address(&otlet, "").port().to_string()));
    expect(
        &prometheus,
        &[
            ("js_hits_total{env=\"test\",route=\"home\"}", 20.0),
            ("js_load_seconds_sum{env=\"test\"}", 0.12),
            ("js_size_bucket{le=\"10.0\"}", 1.0),
            ("js_dist_sum", 8.0),
            ("js_depth", 40.5),
            ("max_over_time(js_users[5m])", 3.0),
            ("statsd_service_check{check=\"js.alive\"}", 2.0),
        ],
    );
}

#[test]
fn all_listeners_share_their_series_and_the_end_loses_nothing() {
    let receiver = RemoteWrite::start();
    let folder = TempDir::new();
    let path = folder.path().join("statsd.sock");
    // Nothing is flushed before the end.
    let listeners = format!("127.0.0.1:0 tcp://127.0.0.1:0 unix:{}", path.display());
    let otlet = start(&receiver.url(), &format!("{listeners} interval=1h prefix=app_"));
    let (udp, tcp) = (address(&otlet, ""), address(&otlet, "tcp://"));
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.write_all(b"hits:1|c\nhits:2|c\r\nhi").unwrap();
    stream.write_all(b"ts:4|c\nhits:8|c").unwrap();
    let mut sixth = TcpStream::connect(("::1", tcp.port())).unwrap();
    sixth.write_all(b"hits:16|c").unwrap();
    drop(sixth);
    sender().send_to(b"hits:32|c\nhits:64|c\n", udp).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"hits:128|c", &path).unwrap();
    if let Ok(sixth) = UdpSocket::bind("[::1]:0") {
        sixth.send_to(b"hits:256|c", ("::1", udp.port())).unwrap();
    }
    // The one without line feed is still open: only the end completes it.
    otlet.wait_metrics("eight lines", |metrics| {
        metrics.sum("otlet_receiver_accepted_items_total", &[("signal", "lines")]) == 8.0
    });
    let last = sender();
    for _ in 0..100 {
        last.send_to(b"hits:0.5|c|@0.5", udp).unwrap();
    }
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    let samples = receiver.samples();
    let hits = &samples[&series("app_hits_total", &[])];
    let [zero, value, end] = hits[..] else { panic!("{hits:?}") };
    assert_eq!((zero.1, value.1, end.1.to_bits()), (0.0, 511.0 + 100.0, STALE));
    assert_eq!((samples.len(), end.0), (1, value.0 + 1));
    assert!(zero.0 < value.0);
    assert!(!path.exists(), "the socket is removed");
}

#[test]
fn bad_lines_are_counted_shown_and_cost_no_other() {
    let receiver = RemoteWrite::start();
    let folder = TempDir::new();
    let path = folder.path().join("statsd.sock");
    let otlet =
        start(&receiver.url(), &format!("127.0.0.1:0 unix:{} interval=200ms", path.display()));
    let udp = address(&otlet, "");
    let bad: [(&[u8], &str); 9] = [
        (b"nothing", "no_name"),
        (b":1|c", "no_name"),
        (b"a:1", "no_type"),
        (b"a:1|q", "unknown_type"),
        (b"a:one|c", "bad_value"),
        (b"a:-1|c", "negative_counter"),
        (b"a,b=c:1|c|#d:e", "mixed_tags"),
        (b"_e{5,5}:a|b", "bad_event"),
        (b"_sc|a|7", "bad_check"),
    ];
    for (line, reason) in bad {
        let before = (refused(&otlet, reason), accepted(&otlet));
        let datagram = [b"good:1|c\n", line, b"\ngood:1|c\n"].concat();
        sender().send_to(&datagram, udp).unwrap();
        wait_for(reason, || (refused(&otlet, reason) == before.0 + 1.0).then_some(()));
        assert_eq!(accepted(&otlet), before.1 + 2.0, "{reason}");
    }
    // The largest datagrams, binary ones, and one that is longer than the buffer.
    let lines = b"good:1|c\n".repeat(65_507 / 9);
    sender().send_to(&lines, udp).unwrap();
    let mut random = fastrand::Rng::with_seed(13);
    let noise: Vec<u8> = (0..60_000).map(|_| random.u8(..)).collect();
    sender().send_to(&noise, udp).unwrap();
    sender().send_to(b"", udp).unwrap();
    let long = b"good:1|c\n".repeat(10_000);
    UnixDatagram::unbound().unwrap().send_to(&long, &path).unwrap();
    wait_for("the cut line", || (refused(&otlet, "truncated") == 1.0).then_some(()));
    let good = 2 * bad.len() + 65_507 / 9 + 65_535 / 9;
    let wanted = series("good_total", &[]);
    receiver.wait_samples("all good lines", |samples| {
        samples.get(&wanted).is_some_and(|all| all.last().unwrap().1 == good as f64)
    });
    otlet.wait_log("refused \"nothing\": no_name");
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_statsd_truncated_datagrams_total", &[]), 1.0);
    let lines = |name: &str| metrics.sum(name, &[("receiver", "statsd"), ("signal", "lines")]);
    assert_eq!(
        lines("otlet_receiver_items_total"),
        lines("otlet_receiver_accepted_items_total") + lines("otlet_receiver_refused_items_total")
    );
    let log = otlet.log().len();
    assert!(log < 60, "{log} lines");
}

#[test]
fn a_tcp_client_that_never_ends_its_line_is_closed() {
    let receiver = RemoteWrite::start();
    let otlet = start(&receiver.url(), "tcp://127.0.0.1:0");
    let mut stream = TcpStream::connect(address(&otlet, "tcp://")).unwrap();
    stream.set_read_timeout(Some(support::SOON)).unwrap();
    // It may close while this is still being written.
    let _ = stream.write_all(&[b'x'; 100_000]);
    let ended = stream.read(&mut [0; 1]);
    assert!(matches!(ended, Ok(0)) || ended.is_err_and(|error| error.raw_os_error().is_some()));
    assert_eq!(refused(&otlet, "line_too_long"), 1.0);
    otlet.wait_log("longer than 8192 bytes");
    let many: Vec<_> =
        (0..300).map(|_| TcpStream::connect(address(&otlet, "tcp://")).unwrap()).collect();
    let metrics = otlet.wait_metrics("the limit of connections", |metrics| {
        metrics.sum("otlet_statsd_refused_connections_total", &[]) == 300.0 - 256.0
    });
    assert_eq!(metrics.sum("otlet_statsd_connections", &[]), 256.0);
    drop(many);
    otlet.wait_metrics("them to be gone", |metrics| {
        metrics.sum("otlet_statsd_connections", &[]) == 0.0
    });
}

#[test]
fn an_address_that_cannot_be_had_is_explained() {
    let folder = TempDir::new();
    let file = folder.write("precious", "data");
    let socket = folder.path().join("live.sock");
    let _alive = UnixDatagram::bind(&socket).unwrap();
    let taken = sender();
    let taken = taken.local_addr().unwrap();
    for (address, words) in [
        (format!("unix:{}", file.display()), "no socket; remove it"),
        (format!("unix:{}", socket.display()), "another program uses this socket"),
        (format!("unix:{}/no/where", folder.path().display()), "No such file or directory"),
        (taken.to_string(), "in use"),
        ("192.0.2.1:0".to_owned(), "Cannot assign requested address"),
    ] {
        let mut command = Otlet::command();
        command.args(["--admin=off", &format!("--from-statsd={address}")]);
        let exit = Otlet::run(&mut command);
        assert_eq!(exit.status.code(), Some(1), "{address}");
        let said = exit.stderr.last().cloned().unwrap_or_default();
        assert!(said.contains("--from-statsd: cannot receive on"), "{said}");
        assert!(said.contains(address.trim_end_matches(":0")) && said.contains(words), "{said}");
    }
    assert_eq!(std::fs::read(file).unwrap(), b"data");
}

#[test]
fn what_is_lost_is_what_the_kernel_says() {
    let receiver = RemoteWrite::start();
    let otlet = start(&receiver.url(), "127.0.0.1:0 rcvbuf=8KiB");
    let (to, sender) = (address(&otlet, ""), sender());
    let sent = 200_000;
    for _ in 0..sent {
        sender.send_to(b"hits:1|c", to).unwrap();
    }
    let metrics = otlet.wait_metrics("every datagram accounted for", |metrics| {
        let sum = |name: &str| metrics.sum(name, &[]);
        sum("otlet_statsd_datagrams_total") + sum("otlet_statsd_kernel_drops_total")
            == f64::from(sent)
    });
    assert!(metrics.sum("otlet_statsd_kernel_drops_total", &[]) > 0.0);
    let lines = metrics.sum("otlet_receiver_accepted_items_total", &[("signal", "lines")]);
    assert_eq!(lines, metrics.sum("otlet_statsd_datagrams_total", &[]));
}

#[test]
fn a_flood_starves_no_one() {
    let receiver = RemoteWrite::start();
    let target = HttpServer::page("a 1\n");
    let to = format!("--to-remote-write={} batch=100ms", receiver.url());
    let scrape = format!("--from-scrape={} interval=100ms", target.url("/metrics"));
    let statsd = "--from-statsd=127.0.0.1:0 interval=200ms";
    let otlet = Otlet::start(&[statsd, &scrape, &to, "--linger=0s"]);
    let (to, stop) = (address(&otlet, ""), Arc::new(AtomicBool::new(false)));
    let flood = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let sender = sender();
            while !stop.load(Ordering::Relaxed) {
                // A full queue is what is wanted.
                (0..1000).for_each(|_| drop(sender.send_to(b"hits:1|c|#a:b,c:d", to)));
            }
        })
    };
    // While the flood lasts, scrapes and health checks go on; starved they would never come.
    let scraped = target.requests().len();
    support::wait_for("twenty scrapes and health checks", || {
        assert_eq!(http::get(otlet.admin(), "/").unwrap().status(), 200);
        (target.requests().len() >= scraped + 20).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert!(accepted(&otlet) > 10_000.0);
    assert!(!receiver.samples().is_empty());
}

#[test]
fn a_full_table_refuses_counts_and_names_the_worst() {
    let receiver = RemoteWrite::start();
    let otlet = start(&receiver.url(), "127.0.0.1:0 interval=200ms series_max=10 idle=1s");
    let (to, sender) = (address(&otlet, ""), sender());
    for user in 0..50 {
        sender.send_to(format!("visits:1|c|#user:{user}").as_bytes(), to).unwrap();
    }
    wait_for("the overflow", || (refused(&otlet, "series_max") == 40.0).then_some(()));
    let line = otlet.wait_log("series_max=10 is reached");
    assert!(line.contains("40 lines were refused, most often: visits_total 40"), "{line}");
    let live = |count: f64| {
        otlet.wait_metrics("live series", |metrics| {
            metrics.sum("otlet_statsd_series", &[]) == count
        });
    };
    live(10.0);
    // Silence ends them, and there is room again.
    live(0.0);
    sender.send_to(b"visits:1|c|#user:99", to).unwrap();
    live(1.0);
    let ended = receiver.samples().into_values();
    let stale = |samples: &Vec<(i64, f64)>| samples.last().unwrap().1.to_bits() == STALE;
    assert!(ended.filter(stale).count() >= 10);
}
