//! What the metadata say of a container's life and of the task's clock, which no other vocabulary
//! names: health, starts and ends, exit codes, restarts, clock error.
//!
//! These change while a task lives, hence values and not labels. They need no statistics, so a
//! container that has ended, or has yet to be measured, is seen here.

use super::emit::Emitter;
use super::view::{unix_s, Member, View};
use crate::aws::task_metadata::{Health, Task};
use crate::model::{Family, MetricType};

const MS_PER_S: f64 = 1e3;

const fn gauge(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, metric_type: MetricType::Gauge, unit: "", help }
}

#[allow(clippy::type_complexity)] // A table of names and getters, read as such.
#[rustfmt::skip]
const TASK: [(Family<'static>, fn(&Task<'_>) -> Option<f64>); 2] = [
    (gauge("ecs_task_clock_error_bound_seconds", "Largest error of the task's clock."),
        |t| t.clock_error_bound_ms.map(|ms| ms / MS_PER_S)),
    (gauge("ecs_task_clock_synchronized", "1 if the task's clock is synchronized, else 0."),
        |t| t.clock_synchronized.map(f64::from)),
];

#[allow(clippy::type_complexity)] // A table of names and getters, read as such.
#[rustfmt::skip]
const CONTAINER: [(Family<'static>, fn(&Member<'_>) -> Option<f64>); 4] = [
    (gauge("ecs_container_health_status", "1 if the container's health check passes, else 0."),
        |m| m.container.health.map(|health| f64::from(health == Health::Healthy))),
    (gauge("ecs_container_start_timestamp_seconds", "When the container first started."),
        |m| Some(unix_s(m.container.started_ns?))),
    (gauge("ecs_container_finish_timestamp_seconds", "When the container ended."),
        |m| Some(unix_s(m.container.finished_ns.filter(|_| m.container.is_stopped())?))),
    (gauge("ecs_container_exit_code", "Exit code of a container that has ended."),
        |m| m.container.exit_code.map(|code| code as f64)),
];

const RESTARTS: Family<'static> = Family {
    name: "ecs_container_restarts_total",
    metric_type: MetricType::Counter,
    unit: "",
    help: "Restarts by the container's restart policy.",
};

/// `has_restarts` says that the exporter's vocabulary, whose name is used here, has written them.
pub(super) fn write(view: &View<'_>, has_restarts: bool, emitter: &mut Emitter<'_, '_>) {
    let mut labels = emitter.labels(&[]);
    for (family, value) in &TASK {
        emitter.sample(family, &mut labels, value(view.task));
        emitter.end(family);
    }
    let mut members: Vec<_> = view
        .members
        .iter()
        .map(|member| (member, emitter.labels(&[("container_name", Some(member.name))])))
        .collect();
    for (family, value) in &CONTAINER {
        for (member, labels) in &mut members {
            emitter.sample(family, labels, value(member));
        }
        emitter.end(family);
    }
    if !has_restarts {
        for (member, labels) in &mut members {
            let restarts = member.container.restart_count.map(|count| count as f64);
            emitter.sample(&RESTARTS, labels, restarts);
        }
        emitter.end(&RESTARTS);
    }
}
