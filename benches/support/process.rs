//! What a process under measurement costs, by procfs (proc(5)).

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};

/// The binary that is measured; the caller adds flags.
pub fn otlet() -> Command {
    Command::new(std::env::var("OTLET_BIN").unwrap_or_else(|_| "dist/otlet".to_owned()))
}

/// User and system time so far, in seconds, to a hundredth.
pub fn cpu_s(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of its status, such as `VmHWM:`.
pub fn memory_kib(child: &Child, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address")
}
