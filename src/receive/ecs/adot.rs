//! The vocabulary of the OpenTelemetry Collector's `awsecscontainermetrics` receiver, with the
//! names that ADOT's remote write gives it: units appended, everything a gauge, nothing ends in
//! `_total`.
//!
//! Names, units and types are the receiver's; values are mended. `memory.usage.limit` is what
//! applies, not −1 or the kernel's "none"; `memory.utilized` leaves out the page cache under cgroup
//! v2 too and keeps its fraction of a MiB; `cpu.utilized` of a container is the percentage of its
//! limit; `storage.*` knows both spellings and counts stacked devices once. Resource attributes are
//! labels, but those that change while a task lives: times, statuses, exit codes.

use super::emit::Emitter;
use super::image;
use super::view::{Member, View};
use crate::aws::task_metadata::{
    service_name, sum, Arn, Interface, Stats, Task, BYTES_PER_MIB, CPU_UNITS_PER_VCPU,
};
use crate::model::{Family, MetricType};

/// Where a metric's value comes from, for a container and for the task.
pub(super) enum Source {
    /// A container's statistics, summed for the task.
    Stats(fn(&Stats<'_>) -> Option<u64>),
    /// Network counters, summed over interfaces.
    Interfaces(fn(&Interface<'_>) -> Option<u64>),
    /// The agent's network rates.
    Rate(fn(&Stats<'_>) -> Option<f64>),
    /// Each in its own way.
    Both(fn(&View<'_>, &Member<'_>) -> Option<f64>, fn(&View<'_>) -> Option<f64>),
    TaskOnly(fn(&Task<'_>) -> Option<u64>),
    ContainerOnly(fn(&Member<'_>) -> Option<f64>),
}
use Source::{Both, ContainerOnly, Interfaces, Rate, TaskOnly};

pub(super) struct Metric {
    /// The receiver's name after `container.` or `ecs.task.`.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) name: &'static str,
    pub(super) container: Family<'static>,
    pub(super) task: Family<'static>,
    pub(super) source: Source,
}

const fn family(name: &'static str, unit: &'static str) -> Family<'static> {
    Family { name, metric_type: MetricType::Gauge, unit, help: "" }
}

/// A macro because only `concat!` joins texts at compile time.
macro_rules! metric {
    ($name:literal, $unit:literal, $written:literal, $source:expr) => {
        Metric {
            name: $name,
            container: family(concat!("container_", $written), $unit),
            task: family(concat!("ecs_task_", $written), $unit),
            source: $source,
        }
    };
}

#[rustfmt::skip]
pub(super) const METRICS: [Metric; 29] = [
    metric!("memory.usage", "Bytes", "memory_usage_Bytes", Source::Stats(|s| s.memory.usage)),
    metric!("memory.usage.max", "Bytes", "memory_usage_max_Bytes",
        Source::Stats(|s| s.memory.max_usage)),
    metric!("memory.usage.limit", "Bytes", "memory_usage_limit_Bytes",
        Both(|v, m| float(v.memory_limit(m)), |v| float(v.task_memory_limit()))),
    metric!("memory.utilized", "MiB", "memory_utilized_MiB",
        Both(|_, m| mib(utilized(m.stats?)), |v| mib(sum(v.measured().map(|(_, s)| utilized(s)))))),
    metric!("memory.reserved", "MiB", "memory_reserved_MiB",
        Both(|_, m| mib(m.container.limits.memory_bytes()), |v| mib(reserved_memory(v)))),
    metric!("cpu.usage.total", "Nanoseconds", "cpu_usage_total_Nanoseconds",
        Source::Stats(|s| s.cpu.total_ns)),
    metric!("cpu.usage.kernelmode", "Nanoseconds", "cpu_usage_kernelmode_Nanoseconds",
        Source::Stats(|s| s.cpu.kernel_ns)),
    metric!("cpu.usage.usermode", "Nanoseconds", "cpu_usage_usermode_Nanoseconds",
        Source::Stats(|s| s.cpu.user_ns)),
    metric!("cpu.usage.system", "Nanoseconds", "cpu_usage_system_Nanoseconds",
        Source::Stats(|s| s.cpu.system_ns)),
    metric!("cpu.cores", "Count", "cpu_cores_Count", Source::Stats(|s| s.cpu.listed_cpus)),
    metric!("cpu.onlines", "Count", "cpu_onlines_Count", Source::Stats(|s| s.cpu.online_cpus)),
    metric!("cpu.usage.vcpu", "vCPU", "cpu_usage_vcpu_vCPU", Both(|_, m| m.vcpu, |v| v.vcpu())),
    metric!("cpu.reserved", "None", "cpu_reserved_None",
        Both(|_, m| m.container.limits.container_cpu_units(), |v| v.reserved_cpu_units())),
    metric!("cpu.utilized", "None", "cpu_utilized_None",
        Both(|v, m| Some(100.0 * m.vcpu? / v.vcpu_limit(m)?),
            |v| Some(v.vcpu()? * CPU_UNITS_PER_VCPU))),
    metric!("network.rate.rx", "Bytes/Second", "network_rate_rx_Bytes_per_Second",
        Rate(|s| s.rx_bytes_per_s)),
    metric!("network.rate.tx", "Bytes/Second", "network_rate_tx_Bytes_per_Second",
        Rate(|s| s.tx_bytes_per_s)),
    metric!("network.io.usage.rx_bytes", "Bytes", "network_io_usage_rx_bytes_Bytes",
        Interfaces(|i| i.rx_bytes)),
    metric!("network.io.usage.rx_packets", "Count", "network_io_usage_rx_packets_Count",
        Interfaces(|i| i.rx_packets)),
    metric!("network.io.usage.rx_errors", "Count", "network_io_usage_rx_errors_Count",
        Interfaces(|i| i.rx_errors)),
    metric!("network.io.usage.rx_dropped", "Count", "network_io_usage_rx_dropped_Count",
        Interfaces(|i| i.rx_dropped)),
    metric!("network.io.usage.tx_bytes", "Bytes", "network_io_usage_tx_bytes_Bytes",
        Interfaces(|i| i.tx_bytes)),
    metric!("network.io.usage.tx_packets", "Count", "network_io_usage_tx_packets_Count",
        Interfaces(|i| i.tx_packets)),
    metric!("network.io.usage.tx_errors", "Count", "network_io_usage_tx_errors_Count",
        Interfaces(|i| i.tx_errors)),
    metric!("network.io.usage.tx_dropped", "Count", "network_io_usage_tx_dropped_Count",
        Interfaces(|i| i.tx_dropped)),
    metric!("storage.read_bytes", "Bytes", "storage_read_bytes_Bytes",
        Source::Stats(|s| s.read_bytes())),
    metric!("storage.write_bytes", "Bytes", "storage_write_bytes_Bytes",
        Source::Stats(|s| s.write_bytes())),
    metric!("ephemeral_storage.utilized", "MiB", "ephemeral_storage_utilized_MiB",
        TaskOnly(|t| t.ephemeral_storage?.utilized_mib)),
    metric!("ephemeral_storage.reserved", "MiB", "ephemeral_storage_reserved_MiB",
        TaskOnly(|t| t.ephemeral_storage?.reserved_mib)),
    metric!("duration", "Seconds", "duration_Seconds", ContainerOnly(|m| m.duration_s())),
];

/// Usage without page cache, by the rule of Container Insights: all of it under cgroup v1, what is
/// inactive under v2.
fn utilized(stats: &Stats<'_>) -> Option<u64> {
    let memory = &stats.memory;
    let cache = if memory.is_cgroup_v2() { memory.inactive_file } else { memory.cache };
    memory.usage.map(|usage| usage.saturating_sub(cache.unwrap_or(0)))
}

/// The task's memory, else what its containers reserve.
fn reserved_memory(view: &View<'_>) -> Option<u64> {
    let containers = view.measured().map(|(member, _)| member.container.limits.memory_bytes());
    view.task.limits.memory_bytes().or_else(|| sum(containers))
}

fn float(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn mib(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64 / BYTES_PER_MIB as f64)
}

pub(super) fn write(view: &View<'_>, emitter: &mut Emitter<'_, '_>) {
    let mut task_labels = emitter.labels(&task_attributes(view.task));
    let launch_type = view.task.launch_type.as_deref().map(str::to_lowercase);
    if let Some(launch_type) = &launch_type {
        task_labels = task_labels.with(&[("aws_ecs_launchtype", launch_type)]);
    }
    let mut members: Vec<_> = view
        .members
        .iter()
        .map(|member| (member, task_labels.with(&container_attributes(member))))
        .collect();
    for metric in &METRICS {
        for (member, labels) in &mut members {
            emitter.sample(&metric.container, labels, container_value(metric, view, member));
        }
        emitter.end(&metric.container);
        emitter.sample(&metric.task, &mut task_labels, task_value(metric, view));
        emitter.end(&metric.task);
    }
}

fn container_value(metric: &Metric, view: &View<'_>, member: &Member<'_>) -> Option<f64> {
    match metric.source {
        Source::Stats(value) => float(value(member.stats?)),
        Interfaces(value) => float(sum(member.network?.interfaces.iter().map(value))),
        Rate(value) => value(member.network?),
        Both(value, _) => member.stats.and_then(|_| value(view, member)),
        TaskOnly(_) => None,
        ContainerOnly(value) => value(member),
    }
}

fn task_value(metric: &Metric, view: &View<'_>) -> Option<f64> {
    match metric.source {
        Source::Stats(value) => float(sum(view.measured().map(|(_, stats)| value(stats)))),
        Interfaces(value) => {
            let interfaces = view.network.iter().flat_map(|stats| stats.interfaces.iter());
            float(sum(interfaces.map(value)))
        }
        Rate(value) => view.network.iter().filter_map(|s| value(s)).reduce(|sum, rate| sum + rate),
        Both(_, value) => value(view),
        TaskOnly(value) => float(value(view.task)),
        ContainerOnly(_) => None,
    }
}

fn task_attributes<'a>(task: &'a Task<'a>) -> [(&'static str, Option<&'a str>); 11] {
    let arn = task.arn.as_deref().and_then(Arn::parse);
    [
        ("aws_ecs_cluster_name", task.cluster_name()),
        ("aws_ecs_task_arn", task.arn.as_deref()),
        ("aws_ecs_task_id", task.id()),
        ("aws_ecs_task_family", task.family.as_deref()),
        ("aws_ecs_task_revision", task.revision.as_deref()),
        ("aws_ecs_task_version", task.revision.as_deref()),
        ("aws_ecs_service_name", service_name(task)),
        ("aws_ecs_task_launch_type", task.launch_type.as_deref()),
        ("cloud_availability_zone", task.availability_zone.as_deref()),
        ("cloud_region", arn.map(|arn| arn.region)),
        ("cloud_account_id", arn.map(|arn| arn.account)),
    ]
}

fn container_attributes<'a>(member: &Member<'a>) -> [(&'static str, &'a str); 6] {
    let container = member.container;
    let (image, tag) = container.image.as_deref().map_or(("", None), image::name_and_tag);
    [
        ("container_name", member.name),
        ("container_id", container.docker_id.as_deref().unwrap_or("")),
        ("aws_ecs_docker_name", container.docker_name.as_deref().unwrap_or("")),
        ("container_image_name", image),
        ("container_image_tag", tag.unwrap_or("")),
        ("aws_ecs_container_image_id", container.image_id.as_deref().unwrap_or("")),
    ]
}
