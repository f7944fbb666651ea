//! Both documents joined: each container with its statistics, the CPU it used since the collection
//! before, and whose the network counters are.
//!
//! Invariants: the state holds one small entry per container of the last collection and no text; a
//! value that went back is no value; network counters that are shared never go back because another
//! container's copy of them was taken.

use crate::aws::task_metadata::{
    Container, Stats, StatsEntry, Task, CONTAINERS_MAX, CPU_UNITS_PER_VCPU,
};

/// Memory limits from here on mean that there is none: the kernel writes nearly 2^63 or 2^64 − 1.
const UNLIMITED_BYTES_MIN: u64 = 1 << 60;
/// A container cannot use more CPU than there is; agents have been seen to report it all the same.
const PLAUSIBLE_CPU_SHARE_MAX: f64 = 1.5;
const NS_PER_S: f64 = 1e9;

/// What is remembered from one collection to the next.
#[derive(Debug, Default)]
pub struct State {
    seen: Vec<Seen>,
    /// When the network counters were last read that were taken for the task's.
    network_read_ns: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    id_hash: u64,
    read_ns: i64,
    total_ns: u64,
    vcpu: Option<f64>,
}

/// One container that is the task's own.
pub struct Member<'a> {
    pub container: &'a Container<'a>,
    pub name: &'a str,
    pub stats: Option<&'a Stats<'a>>,
    /// CPUs in use on average, since the collection before.
    pub vcpu: Option<f64>,
    /// Where the container has network counters of its own.
    pub network: Option<&'a Stats<'a>>,
}

pub struct View<'a> {
    pub task: &'a Task<'a>,
    pub members: Vec<Member<'a>>,
    /// What is summed for the task's network: one copy, or each container's own.
    pub network: Vec<&'a Stats<'a>>,
    /// All containers share the task's network (`awsvpc`), and `network` has one copy or none.
    pub is_network_shared: bool,
}

impl<'a> View<'a> {
    pub fn new(task: &'a Task<'a>, stats: &'a [StatsEntry<'a>], state: &mut State) -> View<'a> {
        let is_network_shared = is_network_shared(task);
        let mut view = View { task, members: Vec::new(), network: Vec::new(), is_network_shared };
        let mut seen = Vec::with_capacity(CONTAINERS_MAX.min(task.containers.len()));
        for container in &task.containers {
            let stats = container.docker_id.as_deref().and_then(|id| find(stats, id));
            if !is_network_shared {
                view.network.extend(stats);
            }
            let Some(name) = container.name.as_deref() else { continue };
            if container.is_internal() {
                continue;
            }
            let mut vcpu = None;
            if let (Some(id), Some(stats)) = (container.docker_id.as_deref(), stats) {
                let id_hash = hash(id);
                let before = state.seen.iter().find(|seen| seen.id_hash == id_hash);
                vcpu = used_vcpu(stats, before);
                seen.extend(remembered(id_hash, stats, vcpu));
            }
            let network = stats.filter(|_| !is_network_shared);
            view.add(Member { container, name, stats, vcpu, network });
        }
        state.seen = seen;
        if is_network_shared {
            view.network.extend(newest_copy(stats, state));
        }
        view
    }

    /// Names are unique in a task. Should one come twice, it is the one with statistics that
    /// counts.
    fn add(&mut self, member: Member<'a>) {
        match self.members.iter_mut().find(|known| known.name == member.name) {
            None => self.members.push(member),
            Some(known) if known.stats.is_none() => *known = member,
            Some(_) => {}
        }
    }

    /// The containers that have statistics.
    pub fn measured(&self) -> impl Iterator<Item = (&Member<'a>, &'a Stats<'a>)> {
        self.members.iter().filter_map(|member| Some((member, member.stats?)))
    }

    /// The memory that a container may use: its own limit, and never more than the task's.
    pub fn memory_limit(&self, member: &Member<'_>) -> Option<u64> {
        least(member.memory_limit(), self.task.limits.memory_bytes())
    }

    /// The memory that all containers may use: the sum of their limits, where each has one, and
    /// never more than the task's.
    pub fn task_memory_limit(&self) -> Option<u64> {
        let limits = self.measured().map(|(member, _)| member.memory_limit());
        let sum = limits.reduce(|sum, limit| Some(sum?.saturating_add(limit?))).flatten();
        least(sum, self.task.limits.memory_bytes())
    }

    /// The CPUs that a container may use: its own limit, else the task's.
    pub fn vcpu_limit(&self, member: &Member<'_>) -> Option<f64> {
        member.container.limits.container_vcpu().or(self.task.limits.task_vcpu())
    }

    /// CPUs in use by all containers.
    pub fn vcpu(&self) -> Option<f64> {
        self.measured().filter_map(|(member, _)| member.vcpu).reduce(|sum, vcpu| sum + vcpu)
    }

    /// The task's CPU reservation in CPU units: its own, else that of its containers.
    pub fn reserved_cpu_units(&self) -> Option<f64> {
        let task = self.task.limits.task_vcpu().map(|vcpu| vcpu * CPU_UNITS_PER_VCPU);
        let containers =
            self.measured().filter_map(|(m, _)| m.container.limits.container_cpu_units());
        task.or(containers.reduce(|sum, units| sum + units))
    }
}

impl Member<'_> {
    /// The container's own limit in bytes, from its cgroup, else from the task definition.
    fn memory_limit(&self) -> Option<u64> {
        let cgroup = self.stats.and_then(|stats| stats.memory.limit);
        let limit = cgroup.filter(|limit| (1..UNLIMITED_BYTES_MIN).contains(limit));
        limit.or(self.container.limits.memory_bytes())
    }

    /// How long a container that has ended ran. `FinishedAt` may be that of an earlier run, so
    /// only the status says whether it has ended.
    pub fn duration_s(&self) -> Option<f64> {
        let container = self.container;
        let (started, finished) = (container.started_ns?, container.finished_ns?);
        let duration_ns = finished.saturating_sub(started).max(0);
        container.is_stopped().then_some(duration_ns as f64 / NS_PER_S)
    }
}

/// Unix time in seconds. Whole seconds and the rest are converted apart: nanoseconds as a float
/// are already off by 128.
pub fn unix_s(unix_ns: i64) -> f64 {
    const NS: i64 = 1_000_000_000;
    (unix_ns / NS) as f64 + (unix_ns % NS) as f64 / NS_PER_S
}

/// The smaller of two limits of which either may be missing.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Whether all containers have one network: as they say themselves, else by what ECS has run.
fn is_network_shared(task: &Task<'_>) -> bool {
    let mut modes =
        task.containers.iter().filter_map(|container| container.network_mode.as_deref());
    match modes.clone().next() {
        Some(_) => modes.any(|mode| mode == "awsvpc"),
        None => matches!(task.launch_type.as_deref(), Some("FARGATE" | "MANAGED_INSTANCES")),
    }
}

fn find<'a>(stats: &'a [StatsEntry<'a>], id: &str) -> Option<&'a Stats<'a>> {
    stats.iter().find(|entry| entry.docker_id == id).map(|entry| &entry.stats)
}

/// FNV-1a: enough to tell a few container ids apart without keeping them.
fn hash(id: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    id.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn remembered(id_hash: u64, stats: &Stats<'_>, vcpu: Option<f64>) -> Option<Seen> {
    Some(Seen { id_hash, read_ns: stats.read_ns?, total_ns: stats.cpu.total_ns?, vcpu })
}

/// CPUs in use since the collection before; in the first, since the agent's sample before.
fn used_vcpu(stats: &Stats<'_>, before: Option<&Seen>) -> Option<f64> {
    let (read_ns, total_ns) = (stats.read_ns?, stats.cpu.total_ns?);
    let (since_ns, from_ns) = match before {
        // The agent has taken no new sample.
        Some(seen) if seen.read_ns == read_ns => return seen.vcpu,
        Some(seen) => (seen.read_ns, seen.total_ns),
        None => (stats.preread_ns?, stats.precpu.total_ns?),
    };
    let elapsed_ns = read_ns.checked_sub(since_ns).filter(|&ns| ns > 0)?;
    let vcpu = total_ns.checked_sub(from_ns)? as f64 / elapsed_ns as f64;
    let most = stats.cpu.online_cpus.filter(|&cpus| cpus > 0);
    let is_plausible = most.is_none_or(|cpus| vcpu <= cpus as f64 * PLAUSIBLE_CPU_SHARE_MAX);
    is_plausible.then_some(vcpu)
}

/// The copy of the shared network's counters that was read last; none if an older one than that of
/// the collection before is all there is, as its counters would go back.
fn newest_copy<'a>(stats: &'a [StatsEntry<'a>], state: &mut State) -> Option<&'a Stats<'a>> {
    let copies = stats.iter().map(|entry| &entry.stats);
    let newest = copies
        .filter(|stats| !stats.interfaces.is_empty() || stats.rx_bytes_per_s.is_some())
        .max_by_key(|stats| (!stats.interfaces.is_empty(), stats.read_ns, received(stats)))?;
    if newest.read_ns < state.network_read_ns {
        return None;
    }
    state.network_read_ns = newest.read_ns;
    Some(newest)
}

/// Of copies that were read at the same time the one that has counted more is the newer.
fn received(stats: &Stats<'_>) -> u64 {
    let bytes = stats.interfaces.iter().filter_map(|interface| interface.rx_bytes);
    bytes.fold(0, u64::saturating_add)
}
