//! The document `/task`: the task, its limits, and its containers.
//!
//! Left out: health check output, log options, volumes and ports, which nothing here needs.
//! Container order is random on EC2, so nothing may depend on it.

use std::borrow::Cow;

use super::value::{count, float, integer, text, time_ns};
use super::{Error, BYTES_PER_MIB, CONTAINERS_MAX, CPU_UNITS_PER_VCPU};
use crate::codec::json::{self, Reader};

type Text<'a> = Option<Cow<'a, str>>;
type Read<T> = Result<T, json::Error>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task<'a> {
    /// An ARN on Fargate and Managed Instances, the short name on EC2.
    pub cluster: Text<'a>,
    pub arn: Text<'a>,
    pub family: Text<'a>,
    pub revision: Text<'a>,
    pub desired_status: Text<'a>,
    pub known_status: Text<'a>,
    pub service_name: Text<'a>,
    /// `service:web`, `family:batch`.
    pub group: Text<'a>,
    pub limits: Limits,
    pub pull_started_ns: Option<i64>,
    pub pull_stopped_ns: Option<i64>,
    pub availability_zone: Text<'a>,
    /// As written, in capitals.
    pub launch_type: Text<'a>,
    pub containers: Vec<Container<'a>>,
    pub ephemeral_storage: Option<EphemeralStorage>,
    pub clock_error_bound_ms: Option<f64>,
    pub clock_synchronized: Option<bool>,
}

/// What a task or a container may use, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// vCPU in a task, CPU units in a container.
    pub cpu: Option<f64>,
    pub memory_mib: Option<u64>,
}

impl Limits {
    /// The memory limit; zero means that none is set.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.memory_mib.filter(|&mib| mib > 0).map(|mib| mib.saturating_mul(BYTES_PER_MIB))
    }

    /// A task's CPU in vCPU; zero means that none is set.
    pub fn task_vcpu(&self) -> Option<f64> {
        self.cpu.filter(|&vcpu| vcpu > 0.0)
    }

    /// A container's CPU in units; the agent writes 2, the least there is, where none is set.
    pub fn container_cpu_units(&self) -> Option<f64> {
        self.cpu.filter(|&units| units > 2.0)
    }

    pub fn container_vcpu(&self) -> Option<f64> {
        self.container_cpu_units().map(|units| units / CPU_UNITS_PER_VCPU)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EphemeralStorage {
    pub utilized_mib: Option<u64>,
    pub reserved_mib: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Unhealthy,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container<'a> {
    /// The key that joins `/task` with `/task/stats`; absent until the container is created.
    pub docker_id: Text<'a>,
    pub name: Text<'a>,
    pub docker_name: Text<'a>,
    pub image: Text<'a>,
    pub image_id: Text<'a>,
    pub known_status: Text<'a>,
    /// `NORMAL`, `CNI_PAUSE`, and others.
    pub kind: Text<'a>,
    pub exit_code: Option<i64>,
    pub limits: Limits,
    pub started_ns: Option<i64>,
    pub finished_ns: Option<i64>,
    /// Absent without a health check, and while its result is not known.
    pub health: Option<Health>,
    /// `awsvpc`, `bridge`, `host`, `none`, `nat`, or a network's name.
    pub network_mode: Text<'a>,
    /// The first address, of version 4 if there is one.
    pub address: Text<'a>,
    /// Present with a restart policy only.
    pub restart_count: Option<u64>,
    pub scrape: ScrapeLabels<'a>,
}

/// The docker labels that ask for a scrape, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLabels<'a> {
    pub port: Text<'a>,
    pub path: Text<'a>,
    pub job: Text<'a>,
    pub interval: Text<'a>,
    pub ecs_port: Text<'a>,
    pub ecs_path: Text<'a>,
    pub ecs_job: Text<'a>,
}

impl Container<'_> {
    pub fn is_running(&self) -> bool {
        self.known_status.as_deref() == Some("RUNNING")
    }

    pub fn is_stopped(&self) -> bool {
        self.known_status.as_deref() == Some("STOPPED")
    }

    /// True for what ECS itself puts beside the task's containers: pause containers and the like.
    pub fn is_internal(&self) -> bool {
        let kinds = ["CNI_PAUSE", "NAMESPACE_PAUSE", "EMPTY_HOST_VOLUME"];
        self.kind.as_deref().is_some_and(|kind| kinds.contains(&kind))
            || self.name.as_deref().is_some_and(|name| name.starts_with("~internal~"))
    }
}

/// Reads `/task`. A document that names neither a task nor containers is another document.
pub fn parse_task(body: &[u8]) -> Result<Task<'_>, Error> {
    let mut json = Reader::from_bytes(body)?;
    let mut task = Task::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            task_member(&mut task, &key.decode(), &mut json)?;
        }
    }
    json.end()?;
    if task.arn.is_none() && task.containers.is_empty() {
        return Err(Error::Other("not task metadata: neither TaskARN nor Containers"));
    }
    Ok(task)
}

fn task_member<'a>(task: &mut Task<'a>, key: &str, json: &mut Reader<'a>) -> Read<()> {
    match key {
        "Cluster" => task.cluster = text(json)?,
        "TaskARN" => task.arn = text(json)?,
        "Family" => task.family = text(json)?,
        "Revision" => task.revision = text(json)?,
        "DesiredStatus" => task.desired_status = text(json)?,
        "KnownStatus" => task.known_status = text(json)?,
        "ServiceName" => task.service_name = text(json)?,
        "Group" => task.group = text(json)?,
        "Limits" => task.limits = limits(json)?,
        "PullStartedAt" => task.pull_started_ns = time_ns(json)?,
        "PullStoppedAt" => task.pull_stopped_ns = time_ns(json)?,
        "AvailabilityZone" => task.availability_zone = text(json)?,
        "LaunchType" => task.launch_type = text(json)?,
        "Containers" => task.containers = containers(json)?,
        "EphemeralStorageMetrics" => task.ephemeral_storage = ephemeral_storage(json)?,
        "ClockDrift" => clock_drift(task, json)?,
        _ => {}
    }
    Ok(())
}

fn limits(json: &mut Reader<'_>) -> Read<Limits> {
    let mut limits = Limits::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "CPU" => limits.cpu = float(json)?,
                "Memory" => limits.memory_mib = count(json)?,
                _ => {}
            }
        }
    }
    Ok(limits)
}

fn ephemeral_storage(json: &mut Reader<'_>) -> Read<Option<EphemeralStorage>> {
    if !json.object()? {
        return Ok(None);
    }
    let mut storage = EphemeralStorage::default();
    while let Some(key) = json.key()? {
        match key.as_written() {
            "Utilized" => storage.utilized_mib = count(json)?,
            "Reserved" => storage.reserved_mib = count(json)?,
            _ => {}
        }
    }
    Ok(Some(storage))
}

fn clock_drift(task: &mut Task<'_>, json: &mut Reader<'_>) -> Read<()> {
    if json.object()? {
        while let Some(key) = json.key()? {
            match key.as_written() {
                "ClockErrorBound" => task.clock_error_bound_ms = float(json)?,
                "ClockSynchronizationStatus" => {
                    task.clock_synchronized = match text(json)?.as_deref() {
                        Some("SYNCHRONIZED") => Some(true),
                        Some("NOT_SYNCHRONIZED") => Some(false),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn containers<'a>(json: &mut Reader<'a>) -> Read<Vec<Container<'a>>> {
    let mut containers = Vec::new();
    if json.array()? {
        while json.element()? {
            if containers.len() < CONTAINERS_MAX && json.object()? {
                containers.push(container(json)?);
            }
        }
    }
    Ok(containers)
}

/// Reads the members of a container whose object was entered.
fn container<'a>(json: &mut Reader<'a>) -> Read<Container<'a>> {
    let mut container = Container::default();
    while let Some(key) = json.key()? {
        match &*key.decode() {
            "DockerId" => container.docker_id = text(json)?,
            "Name" => container.name = text(json)?,
            "DockerName" => container.docker_name = text(json)?,
            "Image" => container.image = text(json)?,
            "ImageID" => container.image_id = text(json)?,
            "KnownStatus" => container.known_status = text(json)?,
            "Type" => container.kind = text(json)?,
            "ExitCode" => container.exit_code = integer(json)?,
            "Limits" => container.limits = limits(json)?,
            "StartedAt" => container.started_ns = time_ns(json)?,
            "FinishedAt" => container.finished_ns = time_ns(json)?,
            "RestartCount" => container.restart_count = count(json)?,
            "Health" => container.health = health(json)?,
            "Networks" => networks(&mut container, json)?,
            "Labels" => container.scrape = scrape_labels(json)?,
            _ => {}
        }
    }
    Ok(container)
}

fn health(json: &mut Reader<'_>) -> Read<Option<Health>> {
    let mut health = None;
    if json.object()? {
        while let Some(key) = json.key()? {
            if key.as_written() == "status" {
                health = match text(json)?.as_deref() {
                    Some("HEALTHY") => Some(Health::Healthy),
                    Some("UNHEALTHY") => Some(Health::Unhealthy),
                    _ => None,
                };
            }
        }
    }
    Ok(health)
}

fn networks<'a>(container: &mut Container<'a>, json: &mut Reader<'a>) -> Read<()> {
    let (mut version_4, mut version_6) = (None, None);
    if json.array()? {
        while json.element()? {
            if !json.object()? {
                continue;
            }
            while let Some(key) = json.key()? {
                match key.as_written() {
                    "NetworkMode" => {
                        let mode = text(json)?;
                        container.network_mode = container.network_mode.take().or(mode);
                    }
                    "IPv4Addresses" => first_text(json, &mut version_4)?,
                    "IPv6Addresses" => first_text(json, &mut version_6)?,
                    _ => {}
                }
            }
        }
    }
    container.address = version_4.or(version_6);
    Ok(())
}

/// Fills `found` with the first text of an array. A stopped bridge container has an empty one.
fn first_text<'a>(json: &mut Reader<'a>, found: &mut Text<'a>) -> Read<()> {
    if json.array()? {
        while json.element()? {
            if found.is_none() {
                *found = text(json)?;
            }
        }
    }
    Ok(())
}

fn scrape_labels<'a>(json: &mut Reader<'a>) -> Read<ScrapeLabels<'a>> {
    let mut labels = ScrapeLabels::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match &*key.decode() {
                "otlet.scrape.port" => labels.port = text(json)?,
                "otlet.scrape.path" => labels.path = text(json)?,
                "otlet.scrape.job" => labels.job = text(json)?,
                "otlet.scrape.interval" => labels.interval = text(json)?,
                "ECS_PROMETHEUS_EXPORTER_PORT" => labels.ecs_port = text(json)?,
                "ECS_PROMETHEUS_METRICS_PATH" => labels.ecs_path = text(json)?,
                "ECS_PROMETHEUS_JOB_NAME" => labels.ecs_job = text(json)?,
                _ => {}
            }
        }
    }
    Ok(labels)
}
