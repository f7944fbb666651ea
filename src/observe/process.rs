//! Facts about this process from procfs: memory, CPU, descriptors, threads (proc(5)).
//!
//! A file that cannot be read yields `None`: in a container without /proc the page is shorter.

use std::fs;

/// What `/metrics` says of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    pub resident_bytes: u64,
    pub cpu_s: f64,
    /// Unix time.
    pub start_s: f64,
    pub threads: u64,
    pub open_fds: u64,
}

/// Reads the facts at this moment.
pub fn read() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot_s = boot_time_s(&fs::read_to_string("/proc/stat").ok()?)?;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page_bytes = rustix::param::page_size() as u64;
    let mut process = parse_stat(&stat, boot_s, ticks, page_bytes)?;
    process.open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(process)
}

/// The container's memory limit in bytes: cgroup v2, else v1; None where there is none.
pub fn cgroup_limit_bytes() -> Option<u64> {
    const FILES: [&str; 2] =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    // v1 says "no limit" by a number near 2^63.
    const UNLIMITED_BYTES: u64 = 1 << 60;
    FILES
        .iter()
        .find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .filter(|bytes| *bytes < UNLIMITED_BYTES)
}

/// Picks fields 14, 15 (utime, stime), 20 (threads), 22 (start) and 24 (rss) of proc/self/stat.
fn parse_stat(stat: &str, boot_s: f64, ticks: f64, page_bytes: u64) -> Option<Process> {
    // The second field is the program's name in parentheses and may hold blanks.
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Process {
        resident_bytes: field(24)? * page_bytes,
        cpu_s: (field(14)? + field(15)?) as f64 / ticks,
        start_s: boot_s + field(22)? as f64 / ticks,
        threads: field(20)?,
        open_fds: 0,
    })
}

fn boot_time_s(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_blanks_in_the_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 2 0 1000 9999 512 0";
        let process = parse_stat(stat, 5000.0, 100.0, 4096).unwrap();
        assert_eq!(process.resident_bytes, 512 * 4096);
        assert_eq!((process.cpu_s, process.start_s, process.threads), (2.0, 5010.0, 2));
        assert_eq!(parse_stat("7 (a) S 1", 0.0, 100.0, 4096), None);
    }

    #[test]
    fn this_process_has_facts() {
        let process = read().unwrap();
        assert!(process.threads >= 1 && process.resident_bytes > 0 && process.open_fds > 2);
    }
}
