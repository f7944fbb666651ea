//! The resolver against a real name server: dnsmasq on a free loopback port.
//!
//! Skipped, with a line that says so, where dnsmasq is not installed.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use otlet::net::{run, Resolver};

/// A dnsmasq, a folder with a resolv.conf that names it, and a resolver on both.
struct Setting {
    server: Child,
    folder: PathBuf,
    port: u16,
    resolver: Resolver,
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A dnsmasq on a loopback port; None where it is not installed. The port was free a moment ago: if
/// somebody was faster, it ends, and another port is tried.
fn start(records: &[String]) -> Option<(Child, u16)> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--pid-file=", "--user=root", "--bind-interfaces"])
            .args(["--listen-address=127.0.0.1", "--local=/test/", "--local-ttl=60"])
            .arg(format!("--port={port}"))
            .args(records)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = started else {
            println!("skipped: dnsmasq is not installed");
            return None;
        };
        while server.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some((server, port));
            }
            assert!(Instant::now() < deadline, "dnsmasq did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(Instant::now() < deadline, "dnsmasq ends at once");
    }
}

fn setting(name: &str, records: &[String], before: &str) -> Option<Setting> {
    let (server, port) = start(records)?;
    let folder = std::env::temp_dir().join(format!("otlet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let conf = format!("{before}nameserver 127.0.0.1 {port}\noptions timeout:1 attempts:2\n");
    std::fs::write(folder.join("resolv.conf"), conf).unwrap();
    let resolver = Resolver::with_files(folder.join("hosts"), folder.join("resolv.conf"));
    Some(Setting { server, folder, port, resolver })
}

fn resolve(setting: &Setting, host: &str) -> String {
    match run(setting.resolver.resolve(host)) {
        Ok(addresses) => addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

fn records(list: &[&str]) -> Vec<String> {
    list.iter().map(|record| format!("--{record}")).collect()
}

#[test]
fn addresses_aliases_and_absence() {
    let records = records(&[
        "host-record=both.test,10.1.0.1,fd00::1",
        "host-record=four.test,10.1.0.2",
        "host-record=six.test,fd00::3",
        "cname=alias.test,both.test",
        "txt-record=text.test,words",
    ]);
    let Some(setting) = setting("records", &records, "search test\n") else { return };
    let server = format!("127.0.0.1:{}", setting.port);
    for (host, expected) in [
        ("both.test", "10.1.0.1 fd00::1"),
        ("four.test.", "10.1.0.2"),
        ("six.test", "fd00::3"),
        ("alias.test", "10.1.0.1 fd00::1"),
        ("alias", "10.1.0.1 fd00::1"),
        ("none.test", &format!("no such name (NXDOMAIN from {server})")),
        ("text.test.", &format!("the name has no addresses (NODATA from {server})")),
        // Not below the server's own domain: it has nobody to ask.
        ("other.example.", &format!("REFUSED from {server}")),
    ] {
        assert_eq!(resolve(&setting, host), expected, "{host}");
    }
}

#[test]
fn a_long_answer_comes_over_tcp() {
    let all = (0..120).map(|n| format!("--host-record=many.test,10.2.0.{n}")).collect::<Vec<_>>();
    let Some(setting) = setting("tcp", &all, "") else { return };
    let addresses = run(setting.resolver.resolve("many.test")).unwrap();
    assert_eq!(addresses.len(), 16);
    assert!(addresses.iter().all(|address| address.to_string().starts_with("10.2.0.")));
}

#[test]
fn a_dead_first_server_and_a_filter_do_not_matter() {
    let records = records(&["filter-AAAA", "host-record=both.test,10.1.0.1,fd00::1"]);
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = format!("nameserver 127.0.0.1 {}\n", dead.local_addr().unwrap().port());
    let Some(setting) = setting("dead", &records, &before) else { return };
    assert!(resolve(&setting, "both.test").starts_with("10.1.0.1"));
}
