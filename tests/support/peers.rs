//! Other real programs: node exporter, a page by Prometheus' Python client, dnsmasq, and a folder
//! that a static binary finds itself alone in.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use super::{
    free_port, http, program, python, repository, static_binary, wait_for, Process, TempDir,
};

/// A process that serves on `address`.
pub struct Peer {
    pub address: SocketAddr,
    _process: Process,
}

impl Peer {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Starts a program that says its port on the first line of its output.
    pub fn start_announced(command: &mut Command) -> Peer {
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{command:?} said {line:?}"));
        Peer { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process }
    }
}

/// Debian's node exporter: about a thousand series of this machine, at `/metrics`.
pub fn node_exporter() -> Peer {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(program("prometheus-node-exporter"));
    command.arg(format!("--web.listen-address={address}")).stderr(Stdio::null());
    let process = Process::start(&mut command);
    wait_for("node exporter", || http::get(address, "/").ok());
    Peer { address, _process: process }
}

/// A page by prometheus_client, text or OpenMetrics by the Accept header; see page.py for what is
/// on it.
pub fn python_page() -> Peer {
    Peer::start_announced(python().arg(repository("tests/support/page.py")))
}

/// A name server on port 53 of a loopback address; the test must be root. The flags are dnsmasq's,
/// such as `--address=/web.test/127.0.0.9`.
pub fn dnsmasq(address: Ipv4Addr, flags: &[&str]) -> Peer {
    let mut command = Command::new(program("dnsmasq"));
    command
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root"])
        .args(["--bind-interfaces", "--no-dhcpv4-interface=lo", "--pid-file="])
        .arg(format!("--listen-address={address}"))
        .args(flags)
        .stderr(Stdio::null());
    let process = Process::start(&mut command);
    let address = SocketAddr::from((address, 53));
    wait_for("dnsmasq", || TcpStream::connect(address).ok());
    Peer { address, _process: process }
}

/// A folder that holds the static binary as `/otlet`, and nothing else but what the test writes.
pub fn jail() -> TempDir {
    let folder = TempDir::new();
    std::fs::copy(static_binary(), folder.path().join("otlet")).expect("a copy of the binary");
    folder
}

/// `/otlet` in a jail; the test must be root.
pub fn jailed(jail: &TempDir) -> Command {
    let mut command = Command::new(program("chroot"));
    command.env_clear().arg(jail.path()).arg("/otlet");
    command
}
