//! What a process under measurement costs, by procfs (proc(5)).

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// The binary that is measured.
pub fn binary() -> String {
    std::env::var("OTLET_BIN").unwrap_or_else(|_| "dist/otlet".to_owned())
}

/// The same; the caller adds flags.
pub fn otlet() -> Command {
    Command::new(binary())
}

/// A program on all cores but the first, to which this process keeps from now on: otherwise the
/// longest pause of an event loop is what the scheduler gives its peers. Peers that wake each other
/// for every request pay for it, since to wake another core costs more than the request.
pub fn apart(program: &str) -> Command {
    static OTHERS: OnceLock<Option<String>> = OnceLock::new();
    match OTHERS.get_or_init(leave_other_cores) {
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", cores, program]);
            command
        }
        None => Command::new(program),
    }
}

/// Moves this process to the first core; the others, if there are any.
fn leave_other_cores() -> Option<String> {
    let last = thread::available_parallelism().map_or(0, |cores| cores.get() - 1);
    let own = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid", "0", &own]).stdout(Stdio::null());
    let moved = last > 0 && command.status().is_ok_and(|status| status.success());
    moved.then(|| format!("1-{last}"))
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
