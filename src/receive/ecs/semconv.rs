//! The vocabulary of the OpenTelemetry semantic conventions for containers ("Semantic conventions
//! for container metrics"), with the names that Prometheus gives it (OpenTelemetry specification,
//! "Prometheus and OpenMetrics Compatibility"). The container is the label `container_name`; a
//! network that the whole task shares has no container.

use super::emit::{Emitter, Labels};
use super::view::{Member, View};
use crate::aws::task_metadata::{Interface, Stats};
use crate::model::{Family, MetricType};

const NS_PER_S: f64 = 1e9;
const MS_PER_S: f64 = 1e3;
const NS_PER_MS: i64 = 1_000_000;

const fn family(
    name: &'static str,
    metric_type: MetricType,
    unit: &'static str,
    help: &'static str,
) -> Family<'static> {
    Family { name, metric_type, unit, help }
}

use MetricType::{Counter, Gauge};

/// One series per container: an attribute that tells it from others of its family, and its value.
type Point = (&'static [(&'static str, &'static str)], fn(&View<'_>, &Member<'_>) -> Option<f64>);

#[rustfmt::skip]
pub(super) const CONTAINER: [(Family<'static>, &[Point]); 7] = [
    (family("container_cpu_time_seconds_total", Counter, "s", "CPU time used."), &[
        (&[("cpu_mode", "system")], |_, m| Some(m.stats?.cpu.kernel_ns? as f64 / NS_PER_S)),
        (&[("cpu_mode", "user")], |_, m| Some(m.stats?.cpu.user_ns? as f64 / NS_PER_S)),
    ]),
    (family("container_cpu_usage", Gauge, "{cpu}", "CPUs in use."), &[(&[], |_, m| m.vcpu)]),
    (family("container_memory_usage_bytes", Gauge, "By", "Memory charged, page cache included."), &[
        (&[], |_, m| float(m.stats?.memory.usage)),
    ]),
    (family("container_memory_working_set_bytes", Gauge, "By", "Memory in use that cannot go."), &[
        (&[], |_, m| float(m.stats?.memory.working_set())),
    ]),
    (family("container_memory_rss_bytes", Gauge, "By", "Anonymous memory."), &[
        (&[], |_, m| float(m.stats.and_then(|s| s.memory.anon.or(s.memory.rss)))),
    ]),
    (family("container_memory_available_bytes", Gauge, "By", "Memory left below the limit."), &[
        (&[], |v, m| {
            let working_set = m.stats?.memory.working_set()?;
            float(v.memory_limit(m).map(|limit| limit.saturating_sub(working_set)))
        }),
    ]),
    (family("container_paging_faults_total", Counter, "{fault}", "Page faults."), &[
        (&[("system_paging_fault_type", "major")], |_, m| float(m.stats?.memory.pgmajfault)),
        (&[("system_paging_fault_type", "minor")], |_, m| {
            let memory = &m.stats?.memory;
            float(memory.pgfault.map(|all| all.saturating_sub(memory.pgmajfault.unwrap_or(0))))
        }),
    ]),
];

pub(super) const DISK: Family<'static> =
    family("container_disk_io_bytes_total", Counter, "By", "Bytes moved by block devices.");
pub(super) const NETWORK: Family<'static> =
    family("container_network_io_bytes_total", Counter, "By", "Bytes moved by network interfaces.");
pub(super) const UPTIME: Family<'static> =
    family("container_uptime_seconds", Gauge, "s", "Time since the container started.");

fn float(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

pub(super) fn write(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    let mut members: Vec<_> = view
        .members
        .iter()
        .map(|member| (member, emitter.labels(&[("container_name", Some(member.name))])))
        .collect();
    for (family, points) in &CONTAINER {
        for (member, labels) in &members {
            for (attributes, value) in *points {
                emitter.sample(family, &mut labels.with(attributes), value(view, member));
            }
        }
        emitter.end(family);
    }
    for (member, labels) in &members {
        member.stats.into_iter().for_each(|stats| write_disk(stats, labels, emitter));
    }
    emitter.end(&DISK);
    write_network(view, emitter);
    for (member, labels) in &mut members {
        emitter.sample(&UPTIME, labels, uptime_s(member, emitter.now_ms()));
    }
    emitter.end(&UPTIME);
}

fn write_disk(stats: &Stats<'_>, labels: &Labels<'_>, emitter: &mut Emitter<'_, '_>) {
    for device in &stats.devices {
        let name = format!("{}:{}", device.major, device.minor);
        for (direction, bytes) in [("read", device.read_bytes), ("write", device.write_bytes)] {
            let own = [("disk_io_direction", direction), ("system_device", &name)];
            emitter.sample(&DISK, &mut labels.with(&own), float(bytes));
        }
    }
}

fn write_network(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    if view.is_network_shared {
        let labels = emitter.labels(&[]);
        for interface in view.network.iter().flat_map(|stats| stats.interfaces.iter()) {
            write_interface(interface, &labels, emitter);
        }
    }
    for (member, stats) in view.members.iter().filter_map(|m| Some((m, m.network?))) {
        let labels = emitter.labels(&[("container_name", Some(member.name))]);
        for interface in &stats.interfaces {
            write_interface(interface, &labels, emitter);
        }
    }
    emitter.end(&NETWORK);
}

fn write_interface(interface: &Interface<'_>, labels: &Labels<'_>, emitter: &mut Emitter<'_, '_>) {
    let directions = [("receive", interface.rx_bytes), ("transmit", interface.tx_bytes)];
    for (direction, bytes) in directions {
        let own =
            [("network_interface_name", &*interface.name), ("network_io_direction", direction)];
        emitter.sample(&NETWORK, &mut labels.with(&own), float(bytes));
    }
}

/// Of a running container; clocks that disagree make it zero, not negative.
fn uptime_s(member: &Member<'_>, now_ms: i64) -> Option<f64> {
    let started_ms = member.container.started_ns? / NS_PER_MS;
    let uptime_ms = now_ms.saturating_sub(started_ms).max(0);
    member.container.is_running().then_some(uptime_ms as f64 / MS_PER_S)
}
