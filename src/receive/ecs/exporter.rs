//! The vocabulary of the Prometheus community's `ecs_exporter`, release 0.4.0 and what came after
//! it.
//!
//! Left out are its process metrics. It differs where the exporter is wrong: under cgroup v2 the
//! page cache is `file`; a container without a limit has the task's; in bridge mode network
//! counters carry the container's name, since each has its own interface of the same name.

use super::emit::{Emitter, Labels};
use super::view::{unix_s, Member, View};
use crate::aws::task_metadata::{Interface, Memory, Task, BYTES_PER_MIB};
use crate::model::{Family, MetricType};

const NS_PER_S: f64 = 1e9;

const fn gauge(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, metric_type: MetricType::Gauge, unit: "", help }
}

const fn counter(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, metric_type: MetricType::Counter, unit: "", help }
}

pub(super) const INFO: Family<'static> = gauge("ecs_task_metadata_info", "Facts about the task.");

type TaskMetric = (Family<'static>, fn(&Task<'_>) -> Option<f64>);
type ContainerMetric = (Family<'static>, fn(&Member<'_>) -> Option<f64>);

#[rustfmt::skip]
pub(super) const TASK: [TaskMetric; 6] = [
    (gauge("ecs_task_cpu_limit_vcpus", "CPU of the task in vCPU."), |t| t.limits.task_vcpu()),
    (gauge("ecs_task_memory_limit_bytes", "Memory of the task."),
        |t| float(t.limits.memory_bytes())),
    (gauge("ecs_task_ephemeral_storage_used_bytes", "Fargate ephemeral storage in use."),
        |t| mib(t.ephemeral_storage?.utilized_mib)),
    (gauge("ecs_task_ephemeral_storage_allocated_bytes", "Fargate ephemeral storage allocated."),
        |t| mib(t.ephemeral_storage?.reserved_mib)),
    (gauge("ecs_task_image_pull_start_timestamp_seconds", "When pulling of images began."),
        |t| seconds(t.pull_started_ns)),
    (gauge("ecs_task_image_pull_stop_timestamp_seconds", "When pulling of images ended."),
        |t| seconds(t.pull_stopped_ns)),
];

pub(super) const MEMORY_LIMIT: Family<'static> =
    gauge("ecs_container_memory_limit_bytes", "Memory limit that applies to the container.");

#[rustfmt::skip]
pub(super) const CONTAINER: [ContainerMetric; 3] = [
    (counter("ecs_container_restarts_total", "Restarts by the container's restart policy."),
        |m| float(m.container.restart_count)),
    (counter("ecs_container_cpu_usage_seconds_total", "CPU time used."),
        |m| Some(m.stats?.cpu.total_ns? as f64 / NS_PER_S)),
    (gauge("ecs_container_memory_usage_bytes", "Memory charged, page cache included."),
        |m| float(m.stats?.memory.usage)),
];

/// One value of the kernel's memory numbers, by cgroup version.
pub(super) struct Detail {
    pub(super) family: Family<'static>,
    v1: fn(&Memory) -> Option<u64>,
    v2: fn(&Memory) -> Option<u64>,
}

const fn detail(
    family: Family<'static>,
    v1: fn(&Memory) -> Option<u64>,
    v2: fn(&Memory) -> Option<u64>,
) -> Detail {
    Detail { family, v1, v2 }
}

/// What one of the two versions does not have.
const NONE: fn(&Memory) -> Option<u64> = |_| None;

#[rustfmt::skip]
pub(super) const MEMORY: [Detail; 20] = [
    detail(gauge("ecs_container_memory_page_cache_size_bytes", "Page cache."),
        |m| m.cache, |m| m.file),
    detail(gauge("ecs_container_memory_anonymous_bytes", "Anonymous memory."),
        |m| m.rss, |m| m.anon),
    detail(gauge("ecs_container_memory_anonymous_thp_bytes", "Anonymous memory in huge pages."),
        |m| m.rss_huge, |m| m.anon_thp),
    detail(gauge("ecs_container_memory_mapped_file_bytes", "Mapped files."),
        |m| m.mapped_file, |m| m.file_mapped),
    detail(gauge("ecs_container_memory_active_file_bytes", "Page cache in recent use."),
        |m| m.active_file, |m| m.active_file),
    detail(gauge("ecs_container_memory_inactive_file_bytes", "Page cache not in recent use."),
        |m| m.inactive_file, |m| m.inactive_file),
    detail(gauge("ecs_container_memory_dirty_bytes", "Page cache to be written."),
        |m| m.dirty, |m| m.file_dirty),
    detail(gauge("ecs_container_memory_writeback_bytes", "Page cache being written."),
        |m| m.writeback, |m| m.file_writeback),
    detail(gauge("ecs_container_memory_unevictable_bytes", "Memory that cannot be reclaimed."),
        |m| m.unevictable, |m| m.unevictable),
    detail(gauge("ecs_container_memory_shared_bytes", "Shared memory and tmpfs."),
        NONE, |m| m.shmem),
    detail(gauge("ecs_container_memory_kernel_stack_bytes", "Kernel stacks."),
        NONE, |m| m.kernel_stack),
    detail(gauge("ecs_container_memory_socket_bytes", "Socket buffers."), NONE, |m| m.sock),
    detail(gauge("ecs_container_memory_slab_reclaimable_bytes", "Kernel slabs that can go."),
        NONE, |m| m.slab_reclaimable),
    detail(gauge("ecs_container_memory_slab_unreclaimable_bytes", "Kernel slabs that cannot go."),
        NONE, |m| m.slab_unreclaimable),
    detail(gauge("ecs_container_memory_max_usage_bytes", "Highest usage so far."),
        |m| m.max_usage.filter(|&max| max > 0), NONE),
    detail(counter("ecs_container_memory_page_faults_total", "Page faults."),
        |m| m.pgfault, |m| m.pgfault),
    detail(counter("ecs_container_memory_major_page_faults_total", "Page faults that read a disk."),
        |m| m.pgmajfault, |m| m.pgmajfault),
    detail(counter("ecs_container_memory_pages_scanned_total", "Pages looked at for reclaim."),
        NONE, |m| m.pgscan),
    detail(counter("ecs_container_memory_pages_reclaimed_total", "Pages reclaimed."),
        NONE, |m| m.pgsteal),
    // Docker leaves a zero out.
    detail(counter("ecs_container_memory_limit_failures_total", "Allocations the limit refused."),
        |m| m.failcnt.or(Some(0)), NONE),
];

type NetworkMetric = (Family<'static>, fn(&Interface<'_>) -> Option<u64>);

#[rustfmt::skip]
pub(super) const NETWORK: [NetworkMetric; 8] = [
    (counter("ecs_network_receive_bytes_total", "Bytes received."), |i| i.rx_bytes),
    (counter("ecs_network_receive_packets_total", "Packets received."), |i| i.rx_packets),
    (counter("ecs_network_receive_packets_dropped_total", "Received packets dropped."),
        |i| i.rx_dropped),
    (counter("ecs_network_receive_errors_total", "Errors on receiving."), |i| i.rx_errors),
    (counter("ecs_network_transmit_bytes_total", "Bytes sent."), |i| i.tx_bytes),
    (counter("ecs_network_transmit_packets_total", "Packets sent."), |i| i.tx_packets),
    (counter("ecs_network_transmit_packets_dropped_total", "Packets dropped on sending."),
        |i| i.tx_dropped),
    (counter("ecs_network_transmit_errors_total", "Errors on sending."), |i| i.tx_errors),
];

fn float(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn mib(mib: Option<u64>) -> Option<f64> {
    mib.map(|mib| mib as f64 * BYTES_PER_MIB as f64)
}

fn seconds(ns: Option<i64>) -> Option<f64> {
    ns.map(unix_s)
}

pub(super) fn write(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    emitter.sample(&INFO, &mut emitter.labels(&facts(view.task)), Some(1.0));
    emitter.end(&INFO);
    let mut labels = emitter.labels(&[]);
    for (family, value) in &TASK {
        emitter.sample(family, &mut labels, value(view.task));
        emitter.end(family);
    }
    write_containers(view, emitter);
    write_network(view, emitter);
}

fn facts<'a>(task: &'a Task<'a>) -> [(&'static str, Option<&'a str>); 8] {
    [
        ("cluster", task.cluster.as_deref()),
        ("task_arn", task.arn.as_deref()),
        ("family", task.family.as_deref()),
        ("revision", task.revision.as_deref()),
        ("desired_status", task.desired_status.as_deref()),
        ("known_status", task.known_status.as_deref()),
        ("availability_zone", task.availability_zone.as_deref()),
        ("launch_type", task.launch_type.as_deref()),
    ]
}

/// Containers without statistics have no series at all, not even their restarts.
fn write_containers(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    let mut measured: Vec<_> = view
        .measured()
        .map(|(m, stats)| (m, stats, emitter.labels(&[("container_name", Some(m.name))])))
        .collect();
    for (family, value) in &CONTAINER {
        for (member, _, labels) in &mut measured {
            emitter.sample(family, labels, value(member));
        }
        emitter.end(family);
    }
    for (member, _, labels) in &mut measured {
        let limits = [&member.container.limits, &view.task.limits];
        let limit = limits.iter().find_map(|limits| limits.memory_bytes());
        emitter.sample(&MEMORY_LIMIT, labels, float(limit));
    }
    emitter.end(&MEMORY_LIMIT);
    for Detail { family, v1, v2 } in &MEMORY {
        for (_, stats, labels) in &mut measured {
            let memory = &stats.memory;
            let value = match (memory.is_cgroup_v1(), memory.is_cgroup_v2()) {
                (true, _) => v1(memory),
                (_, true) => v2(memory),
                _ => None,
            };
            emitter.sample(family, labels, float(value));
        }
        emitter.end(family);
    }
}

fn write_network(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    let mut interfaces: Vec<(&Interface<'_>, Labels<'_>)> = Vec::new();
    if view.is_network_shared {
        for interface in view.network.iter().flat_map(|stats| stats.interfaces.iter()) {
            interfaces.push((interface, emitter.labels(&[("interface", Some(&interface.name))])));
        }
    }
    for (member, stats) in view.members.iter().filter_map(|m| Some((m, m.network?))) {
        for interface in &stats.interfaces {
            let own =
                [("container_name", Some(member.name)), ("interface", Some(&*interface.name))];
            interfaces.push((interface, emitter.labels(&own)));
        }
    }
    for (family, value) in &NETWORK {
        for (interface, labels) in &mut interfaces {
            emitter.sample(family, labels, float(value(interface)));
        }
        emitter.end(family);
    }
}
