//! Scrape targets among the task's own containers, by docker label: `otlet.scrape.port`, `.path`,
//! `.job`, `.interval`, or `ECS_PROMETHEUS_EXPORTER_PORT`, `ECS_PROMETHEUS_METRICS_PATH`,
//! `ECS_PROMETHEUS_JOB_NAME` (the convention of the CloudWatch agent and ADOT's `ecs_observer`).
//!
//! Ports and image labels are absent from the metadata under awsvpc, so neither is used. Left out:
//! other schemes than http. A label that says nonsense loses its container, with a sentence for the
//! log.

use std::time::Duration;

use crate::aws::task_metadata::{Container, Task};

/// Shortest and longest beat that a label may ask for.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest path that a label may give.
const PATH_BYTES_MAX: usize = 1024;
/// How much of a label's value a message repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A target that a container asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    pub container_name: String,
    /// An address; of version 6 without brackets.
    pub host: String,
    pub port: u16,
    /// Begins with a slash.
    pub path: String,
    pub job: String,
    /// Absent where the label is.
    pub interval: Option<Duration>,
}

/// The targets of a task as it stands, and what was wrong with others, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    pub targets: Vec<Discovered>,
    pub complaints: Vec<String>,
}

/// What became of the targets since the collection before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<Discovered>,
    pub removed: Vec<Discovered>,
}

impl Discovered {
    pub fn url(&self) -> String {
        let Discovered { host, port, path, .. } = self;
        match host.contains(':') {
            true => format!("http://[{host}]:{port}{path}"),
            false => format!("http://{host}:{port}{path}"),
        }
    }
}

/// The targets among the running containers.
pub fn discover(task: &Task<'_>) -> Discovery {
    let mut discovery = Discovery::default();
    for container in task.containers.iter().filter(|container| container.is_running()) {
        match target(container) {
            Ok(found) => discovery.targets.extend(found),
            Err(complaint) => discovery.complaints.push(complaint),
        }
    }
    discovery
}

/// A target that changed in any way is removed and added.
pub fn changes(old: &[Discovered], new: &[Discovered]) -> Changes {
    let missing_from = |from: &[Discovered], list: &[Discovered]| {
        list.iter().filter(|target| !from.contains(target)).cloned().collect()
    };
    Changes { added: missing_from(old, new), removed: missing_from(new, old) }
}

/// The target that a container asks for, if it does.
fn target(container: &Container<'_>) -> Result<Option<Discovered>, String> {
    let labels = &container.scrape;
    let own = labels.port.as_deref().map(|port| ("otlet.scrape.port", port));
    let ecs = || labels.ecs_port.as_deref().map(|port| ("ECS_PROMETHEUS_EXPORTER_PORT", port));
    let (Some((label, port)), Some(name)) = (own.or_else(ecs), container.name.as_deref()) else {
        return Ok(None);
    };
    let complain = |label: &str, value: &str, expected: &str| {
        let value: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        format!("container {name}: docker label {label}={value:?} is not {expected}; not scraped")
    };
    let number = port.parse().ok().filter(|&number: &u16| number > 0);
    let number = number.ok_or_else(|| complain(label, port, "a port"))?;
    let path = labels.path.as_deref().or(labels.ecs_path.as_deref()).unwrap_or("/metrics");
    let path = checked_path(path).ok_or_else(|| complain("path", path, "a URL path"))?;
    let interval = match labels.interval.as_deref() {
        None => None,
        Some(text) => Some(duration(text).ok_or_else(|| {
            complain("otlet.scrape.interval", text, "a duration from 1s to 24h, such as 15s")
        })?),
    };
    let Some(host) = host(container) else {
        return Err(format!("container {name}: asks to be scraped, but has no address"));
    };
    let job = labels.job.as_deref().or(labels.ecs_job.as_deref()).unwrap_or(name);
    Ok(Some(Discovered {
        container_name: name.to_owned(),
        host: host.to_owned(),
        port: number,
        path,
        job: job.to_owned(),
        interval,
    }))
}

/// Containers under awsvpc and in host mode share the collector's loopback; others have an address.
fn host<'a>(container: &'a Container<'_>) -> Option<&'a str> {
    match container.network_mode.as_deref() {
        None | Some("awsvpc" | "host") => Some("127.0.0.1"),
        Some("none") => None,
        Some(_) => container.address.as_deref().filter(|text| is_address(text)),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// A path of printable ASCII, with a slash in front.
fn checked_path(path: &str) -> Option<String> {
    let is_clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let slash = if path.starts_with('/') { "" } else { "/" };
    (is_clean && path.len() <= PATH_BYTES_MAX).then(|| format!("{slash}{path}"))
}

/// `500ms 15s 5m 1h`, within bounds.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(ms)?);
    (INTERVAL_MIN..=INTERVAL_MAX).contains(&duration).then_some(duration)
}
