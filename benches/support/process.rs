//! What a process under measurement costs, by procfs (proc(5)).

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};

/// The binary that is measured.
pub fn binary() -> String {
    std::env::var("OTLET_BIN").unwrap_or_else(|_| "dist/otlet".to_owned())
}

/// The same; the caller adds flags.
pub fn otlet() -> Command {
    Command::new(binary())
}

/// Time on a processor so far of all its threads, in seconds, to a nanosecond. `stat` would give it
/// in hundredths, which is a tenth of what some measurements come to.
pub fn cpu_s(child: &Child) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id()));
    let threads = tasks.into_iter().flatten().flatten();
    let nanoseconds = |thread: fs::DirEntry| -> Option<f64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    threads.filter_map(nanoseconds).sum::<f64>() / 1e9
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
