//! The document `/task/stats`: Docker's `ContainerStats` of each container, by `DockerId`.
//!
//! Left out: what nothing here needs, such as queue times of block devices and process counts.
//! Invariant: CPU time is in nanoseconds; Windows, which counts in 100 ns, is converted here.

use std::borrow::Cow;

use super::value::{count, float, text, time_ns};
use super::{Error, CONTAINERS_MAX, DEVICES_MAX, INTERFACES_MAX};
use crate::codec::json::{self, Reader};

type Count = Option<u64>;
type Read<T> = Result<T, json::Error>;

/// Windows counts CPU time in steps of this many nanoseconds.
const WINDOWS_CPU_STEP_NS: u64 = 100;
/// Major numbers of device-mapper, whose devices stand on others that are listed too.
const DEVICE_MAPPER_MAJORS: [u64; 2] = [252, 253];

#[derive(Clone, Debug, PartialEq)]
pub struct StatsEntry<'a> {
    pub docker_id: Cow<'a, str>,
    pub stats: Stats<'a>,
}

/// One sample of one container, as the agent last took it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats<'a> {
    pub read_ns: Option<i64>,
    /// The sample before; absent in the first.
    pub preread_ns: Option<i64>,
    pub cpu: Cpu,
    /// The CPU at `preread_ns`.
    pub precpu: Cpu,
    pub memory: Memory,
    pub interfaces: Vec<Interface<'a>>,
    pub rx_bytes_per_s: Option<f64>,
    pub tx_bytes_per_s: Option<f64>,
    pub devices: Vec<Device>,
    /// Windows only, where no devices are listed.
    pub windows_read_bytes: Count,
    pub windows_write_bytes: Count,
    is_windows: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub total_ns: Count,
    pub kernel_ns: Count,
    pub user_ns: Count,
    /// The host's, of all its CPUs.
    pub system_ns: Count,
    pub online_cpus: Count,
    /// Length of the list of CPUs; cgroup v1 only.
    pub listed_cpus: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub usage: Count,
    pub max_usage: Count,
    pub limit: Count,
    pub failcnt: Count,
    /// The kernel's own numbers are there at all.
    pub has_details: bool,
    pub anon: Count,
    pub file: Count,
    pub anon_thp: Count,
    pub file_mapped: Count,
    pub file_dirty: Count,
    pub file_writeback: Count,
    pub shmem: Count,
    pub kernel_stack: Count,
    pub sock: Count,
    pub slab_reclaimable: Count,
    pub slab_unreclaimable: Count,
    pub pgscan: Count,
    pub pgsteal: Count,
    pub cache: Count,
    pub rss: Count,
    pub rss_huge: Count,
    pub mapped_file: Count,
    pub dirty: Count,
    pub writeback: Count,
    pub active_file: Count,
    pub inactive_file: Count,
    pub total_inactive_file: Count,
    pub unevictable: Count,
    pub pgfault: Count,
    pub pgmajfault: Count,
}

impl Memory {
    /// cgroup v2 says `anon`; decided by the payload, as every launch type has met both.
    pub fn is_cgroup_v2(&self) -> bool {
        self.anon.is_some()
    }

    pub fn is_cgroup_v1(&self) -> bool {
        self.has_details && !self.is_cgroup_v2()
    }

    /// Usage without the page cache that can go at once, as the Docker CLI reckons it.
    pub fn working_set(&self) -> Count {
        let inactive = self.total_inactive_file.or(self.inactive_file).unwrap_or(0);
        self.usage.map(|usage| usage.saturating_sub(inactive))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface<'a> {
    pub name: Cow<'a, str>,
    pub rx_bytes: Count,
    pub rx_packets: Count,
    pub rx_errors: Count,
    pub rx_dropped: Count,
    pub tx_bytes: Count,
    pub tx_packets: Count,
    pub tx_errors: Count,
    pub tx_dropped: Count,
}

/// Bytes moved by one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub major: u64,
    pub minor: u64,
    pub read_bytes: Count,
    pub write_bytes: Count,
}

impl Stats<'_> {
    /// False for the shapes that mean "none": `{}`, and rates alone.
    pub fn is_sample(&self) -> bool {
        self.read_ns.is_some() || self.cpu.total_ns.is_some() || self.memory.usage.is_some()
    }

    /// The devices that count in a total: those of device-mapper only where there are no others.
    pub fn base_devices(&self) -> impl Iterator<Item = &Device> {
        let is_mapped = |device: &&Device| DEVICE_MAPPER_MAJORS.contains(&device.major);
        let all_mapped = self.devices.iter().all(|device| is_mapped(&device));
        self.devices.iter().filter(move |device| all_mapped || !is_mapped(device))
    }

    pub fn read_bytes(&self) -> Count {
        sum(self.base_devices().map(|device| device.read_bytes)).or(self.windows_read_bytes)
    }

    pub fn write_bytes(&self) -> Count {
        sum(self.base_devices().map(|device| device.write_bytes)).or(self.windows_write_bytes)
    }
}

/// The sum of what is there; absent where nothing is. It stops at the largest count.
pub fn sum(counts: impl Iterator<Item = Count>) -> Count {
    counts.flatten().reduce(u64::saturating_add)
}

/// Reads `/task/stats`; `null` and `{}` are no statistics, and so is any entry like them.
pub fn parse_stats(body: &[u8]) -> Result<Vec<StatsEntry<'_>>, Error> {
    let mut json = Reader::from_bytes(body)?;
    let kind = json.kind()?;
    let mut entries = Vec::new();
    if json.object()? {
        while let Some(key) = json.key()? {
            if entries.len() < CONTAINERS_MAX && json.object()? {
                let stats = stats(&mut json)?;
                if stats.is_sample() {
                    entries.push(StatsEntry { docker_id: key.decode(), stats });
                }
            }
        }
    }
    json.end()?;
    match kind {
        json::Kind::Object | json::Kind::Null => Ok(entries),
        _ => Err(Error::Other("not task statistics: neither an object nor null")),
    }
}

fn stats<'a>(json: &mut Reader<'a>) -> Read<Stats<'a>> {
    let mut stats = Stats::default();
    while let Some(key) = json.key()? {
        match key.as_written() {
            "read" => stats.read_ns = time_ns(json)?,
            "preread" => stats.preread_ns = time_ns(json)?,
            // Zero except on Windows.
            "num_procs" => stats.is_windows |= count(json)?.is_some_and(|cpus| cpus > 0),
            "cpu_stats" => stats.cpu = cpu(json)?,
            "precpu_stats" => stats.precpu = cpu(json)?,
            "memory_stats" => memory(&mut stats, json)?,
            "blkio_stats" => stats.devices = blkio(json)?,
            "storage_stats" => storage(&mut stats, json)?,
            "networks" => stats.interfaces = interfaces(json)?,
            "network_rate_stats" => rates(&mut stats, json)?,
            _ => {}
        }
    }
    if stats.is_windows {
        stats.cpu.scale(WINDOWS_CPU_STEP_NS);
        stats.precpu.scale(WINDOWS_CPU_STEP_NS);
    }
    Ok(stats)
}

impl Cpu {
    fn scale(&mut self, factor: u64) {
        for counter in [&mut self.total_ns, &mut self.kernel_ns, &mut self.user_ns] {
            *counter = counter.map(|steps| steps.saturating_mul(factor));
        }
    }
}

fn cpu(json: &mut Reader<'_>) -> Read<Cpu> {
    let mut cpu = Cpu::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "cpu_usage" => cpu_usage(&mut cpu, json)?,
                "system_cpu_usage" => cpu.system_ns = count(json)?,
                "online_cpus" => cpu.online_cpus = count(json)?,
                _ => {}
            }
        }
    }
    Ok(cpu)
}

fn cpu_usage(cpu: &mut Cpu, json: &mut Reader<'_>) -> Read<()> {
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "total_usage" => cpu.total_ns = count(json)?,
                "usage_in_kernelmode" => cpu.kernel_ns = count(json)?,
                "usage_in_usermode" => cpu.user_ns = count(json)?,
                "percpu_usage" if json.array()? => {
                    let mut length = 0;
                    while json.element()? {
                        length += 1;
                    }
                    cpu.listed_cpus = Some(length).filter(|&length| length > 0);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn memory(stats: &mut Stats<'_>, json: &mut Reader<'_>) -> Read<()> {
    let memory = &mut stats.memory;
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "usage" => memory.usage = count(json)?,
                "max_usage" => memory.max_usage = count(json)?,
                "limit" => memory.limit = count(json)?,
                "failcnt" => memory.failcnt = count(json)?,
                "stats" => memory_details(memory, json)?,
                "commitbytes" | "privateworkingset" => stats.is_windows = true,
                _ => {}
            }
        }
    }
    Ok(())
}

fn memory_details(memory: &mut Memory, json: &mut Reader<'_>) -> Read<()> {
    if !json.object()? {
        return Ok(());
    }
    while let Some(key) = json.key()? {
        memory.has_details = true;
        let slot = match key.as_written() {
            "anon" => &mut memory.anon,
            "file" => &mut memory.file,
            "anon_thp" => &mut memory.anon_thp,
            "file_mapped" => &mut memory.file_mapped,
            "file_dirty" => &mut memory.file_dirty,
            "file_writeback" => &mut memory.file_writeback,
            "shmem" => &mut memory.shmem,
            "kernel_stack" => &mut memory.kernel_stack,
            "sock" => &mut memory.sock,
            "slab_reclaimable" => &mut memory.slab_reclaimable,
            "slab_unreclaimable" => &mut memory.slab_unreclaimable,
            "pgscan" => &mut memory.pgscan,
            "pgsteal" => &mut memory.pgsteal,
            "cache" => &mut memory.cache,
            "rss" => &mut memory.rss,
            "rss_huge" => &mut memory.rss_huge,
            "mapped_file" => &mut memory.mapped_file,
            "dirty" => &mut memory.dirty,
            "writeback" => &mut memory.writeback,
            "active_file" => &mut memory.active_file,
            "inactive_file" => &mut memory.inactive_file,
            "total_inactive_file" => &mut memory.total_inactive_file,
            "unevictable" => &mut memory.unevictable,
            "pgfault" => &mut memory.pgfault,
            "pgmajfault" => &mut memory.pgmajfault,
            _ => continue,
        };
        *slot = count(json)?;
    }
    Ok(())
}

fn blkio(json: &mut Reader<'_>) -> Read<Vec<Device>> {
    let mut devices = Vec::new();
    if json.object()? {
        while let Some(key) = json.key()? {
            if key.as_written() == "io_service_bytes_recursive" && json.array()? {
                while json.element()? {
                    blkio_entry(&mut devices, json)?;
                }
            }
        }
    }
    Ok(devices)
}

/// One operation's bytes on one device. cgroup v1 writes `Read`, v2 `read`; both also know
/// operations that are sums or parts of these.
fn blkio_entry(devices: &mut Vec<Device>, json: &mut Reader<'_>) -> Read<()> {
    if !json.object()? {
        return Ok(());
    }
    let (mut device, mut op, mut value) = (Device::default(), None, None);
    while let Some(key) = json.key()? {
        match key.as_written() {
            "major" => device.major = count(json)?.unwrap_or(0),
            "minor" => device.minor = count(json)?.unwrap_or(0),
            "op" => op = text(json)?,
            "value" => value = count(json)?,
            _ => {}
        }
    }
    let (Some(op), Some(value)) = (op, value) else { return Ok(()) };
    let known = devices.iter().position(|d| (d.major, d.minor) == (device.major, device.minor));
    let at = match known {
        Some(at) => at,
        None if devices.len() == DEVICES_MAX => return Ok(()),
        None => {
            devices.push(device);
            devices.len() - 1
        }
    };
    if op.eq_ignore_ascii_case("read") {
        devices[at].read_bytes = sum([devices[at].read_bytes, Some(value)].into_iter());
    } else if op.eq_ignore_ascii_case("write") {
        devices[at].write_bytes = sum([devices[at].write_bytes, Some(value)].into_iter());
    }
    Ok(())
}

fn storage(stats: &mut Stats<'_>, json: &mut Reader<'_>) -> Read<()> {
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "read_size_bytes" => stats.windows_read_bytes = count(json)?,
                "write_size_bytes" => stats.windows_write_bytes = count(json)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn rates(stats: &mut Stats<'_>, json: &mut Reader<'_>) -> Read<()> {
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "rx_bytes_per_sec" => stats.rx_bytes_per_s = rate(json)?,
                "tx_bytes_per_sec" => stats.tx_bytes_per_s = rate(json)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The agent's subtraction goes below zero when a counter begins anew; that is no rate.
fn rate(json: &mut Reader<'_>) -> Read<Option<f64>> {
    Ok(float(json)?.filter(|&rate| rate >= 0.0))
}

fn interfaces<'a>(json: &mut Reader<'a>) -> Read<Vec<Interface<'a>>> {
    let mut interfaces = Vec::new();
    if json.object()? {
        while let Some(name) = json.key()? {
            if interfaces.len() < INTERFACES_MAX && json.object()? {
                interfaces.push(interface(name.decode(), json)?);
            }
        }
    }
    Ok(interfaces)
}

fn interface<'a>(name: Cow<'a, str>, json: &mut Reader<'a>) -> Read<Interface<'a>> {
    let mut interface = Interface { name, ..Interface::default() };
    while let Some(key) = json.key()? {
        let slot = match key.as_written() {
            "rx_bytes" => &mut interface.rx_bytes,
            "rx_packets" => &mut interface.rx_packets,
            "rx_errors" => &mut interface.rx_errors,
            "rx_dropped" => &mut interface.rx_dropped,
            "tx_bytes" => &mut interface.tx_bytes,
            "tx_packets" => &mut interface.tx_packets,
            "tx_errors" => &mut interface.tx_errors,
            "tx_dropped" => &mut interface.tx_dropped,
            _ => continue,
        };
        *slot = count(json)?;
    }
    Ok(interface)
}
