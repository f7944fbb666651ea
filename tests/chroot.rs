//! The static binary alone in a root of its own, as in the image: names come from dnsmasq on port
//! 53, by /etc/hosts and /etc/resolv.conf and nothing else.

mod support;

use std::net::{Ipv4Addr, TcpListener};

use support::otlet::Otlet;
use support::peers::{dnsmasq, jail, jailed};
use support::remote_write::RemoteWrite;
use support::scripted::{page, HttpServer};
use support::{is_root, TempDir};

/// True, and a line that says so, where this cannot run.
fn is_skipped() -> bool {
    if !is_root() {
        eprintln!("skipped: chroot and port 53 need root");
    }
    !is_root()
}

/// otlet in a jail; `target` and `destination` are host names.
fn start(jail: &TempDir, target: &str, destination: &str) -> Otlet {
    let mut command = jailed(jail);
    command.args(["--admin=127.0.0.1:0", "--linger=0s"]).args([
        format!("--from-scrape=http://{target}/metrics job=t interval=200ms timeout=200ms"),
        format!("--to-remote-write=http://{destination}/w batch=50ms"),
    ]);
    Otlet::spawn(&mut command)
}

/// The last value of `up`, once there is one.
fn up(receiver: &RemoteWrite) -> Option<f64> {
    let samples = receiver.samples();
    let (_, values) = samples.iter().find(|(labels, _)| labels["__name__"] == "up")?;
    values.last().map(|(_, value)| *value)
}

#[test]
fn names_are_resolved_by_the_two_files() {
    if is_skipped() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 0, 78);
    let _dns =
        dnsmasq(server, &["--address=/web.test/127.0.0.1", "--address=/write.test/127.0.0.1"]);
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let jail = jail();
    jail.write("etc/resolv.conf", format!("search test\nnameserver {server}\n"));
    jail.write("etc/hosts", "127.0.0.1 by-hosts\n");
    let ports = [target.server.address.port(), receiver.http.server.address.port()];
    for (web, write) in
        [("web.test", "write"), ("by-hosts", "write.test."), ("localhost", "127.0.0.1")]
    {
        let before = receiver.requests().len();
        let otlet = start(&jail, &format!("{web}:{}", ports[0]), &format!("{write}:{}", ports[1]));
        receiver.http.wait_requests(before + 2);
        let exit = otlet.stop();
        assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    }
    let instances = receiver.wait_samples("all three", |samples| {
        let is_a = |labels: &&support::Labels| labels["__name__"] == "a";
        samples.keys().filter(is_a).count() == 3
    });
    assert!(instances.keys().any(|labels| labels["instance"] == format!("web.test:{}", ports[0])));
}

#[test]
fn a_name_server_that_comes_late_and_changes_its_mind_is_followed() {
    if is_skipped() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 0, 79);
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let port = target.server.address.port();
    // The same port of another address, where the name will move to.
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 80), port)).unwrap();
    let jail = jail();
    jail.write("etc/resolv.conf", format!("nameserver {server}\noptions timeout:1 attempts:1\n"));
    let destination = receiver.http.server.address.to_string();
    let otlet = start(&jail, &format!("web.test:{port}"), &destination);
    receiver.wait_samples("a failed scrape", |_| up(&receiver) == Some(0.0));
    otlet.wait_log(": resolve: ");
    let dns = dnsmasq(server, &["--address=/web.test/127.0.0.1"]);
    receiver.wait_samples("a scrape", |_| up(&receiver) == Some(1.0));
    drop((dns, target));
    let _dns = dnsmasq(server, &["--address=/web.test/127.0.0.80"]);
    let moved = HttpServer::start_on(elsewhere, page("a 2\n"));
    moved.wait_requests(2);
    assert_eq!(otlet.stop().status.code(), Some(0));
}

#[test]
fn without_the_two_files_addresses_still_work() {
    if is_skipped() {
        return;
    }
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    let jail = jail();
    let destination = receiver.http.server.address.to_string();
    let port = target.server.address.port();
    let otlet = start(&jail, &format!("localhost:{port}"), &destination);
    receiver.wait_samples("a scrape", |_| up(&receiver) == Some(1.0));
    assert_eq!(otlet.stop().status.code(), Some(0));
}
