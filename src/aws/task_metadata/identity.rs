//! The task's identity, from its metadata or, sooner and less, from the endpoint's address.
//!
//! Resource attributes follow the OpenTelemetry semantic conventions ("Cloud", "AWS ECS"). What is
//! not known is left out, never empty.

use super::{Arn, Task};
use crate::model::Identity;

/// On Fargate and Managed Instances a container's id begins with the task's, which has this length.
const TASK_ID_DIGITS: usize = 32;
/// Digits after the task's id.
const CONTAINER_DIGITS_MAX: usize = 10;

/// Everything that `/task` says. `region` stands in where the task's ARN does not name one.
pub fn identity(task: &Task<'_>, region: Option<&str>) -> Identity {
    let arn = task.arn.as_deref().and_then(Arn::parse);
    let task_id = arn.map_or("", |arn| arn.id());
    let mut identity = Identity { task_id: task_id.to_owned(), ..Identity::default() };
    let labels = [
        ("ecs_cluster", task.cluster_name()),
        ("ecs_service", service_name(task)),
        ("ecs_task_family", task.family.as_deref()),
        ("ecs_task_id", Some(task_id)),
    ];
    push(&mut identity.labels, &labels);

    let cluster_arn = task.cluster.as_deref().map(|cluster| match arn {
        Some(arn) if !cluster.contains(':') => {
            let Arn { partition, region, account, .. } = arn;
            format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}")
        }
        _ => cluster.to_owned(),
    });
    let launch_type = task.launch_type.as_deref().map(str::to_lowercase);
    let arn_region = arn.map(|arn| arn.region).filter(|region| !region.is_empty());
    let attributes = [
        ("cloud.provider", Some("aws")),
        ("cloud.platform", Some("aws_ecs")),
        ("cloud.account.id", arn.map(|arn| arn.account)),
        ("cloud.region", arn_region.or(region)),
        ("cloud.availability_zone", task.availability_zone.as_deref()),
        ("aws.ecs.cluster.arn", cluster_arn.as_deref().filter(|arn| arn.contains(':'))),
        ("aws.ecs.task.arn", task.arn.as_deref()),
        ("aws.ecs.task.id", Some(task_id)),
        ("aws.ecs.task.family", task.family.as_deref()),
        ("aws.ecs.task.revision", task.revision.as_deref()),
        ("aws.ecs.launchtype", launch_type.as_deref()),
    ];
    push(&mut identity.resource_attributes, &attributes);
    identity
}

/// What the endpoint's address alone says; nothing on EC2, where it is opaque.
pub fn identity_from_uri(uri: &str) -> Option<Identity> {
    // http://169.254.170.2/v4/0a1b2c3d4e5f60718293a4b5c6d7e8f9-1000000001
    //                         ^ the container's id, which begins with the task's
    let container = uri.trim().trim_end_matches('/').rsplit_once('/')?.1;
    let (task_id, number) = container.split_once('-')?;
    let is_task_id = task_id.len() == TASK_ID_DIGITS
        && task_id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (1..=CONTAINER_DIGITS_MAX).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit());
    let mut identity = Identity { task_id: task_id.to_owned(), ..Identity::default() };
    push(&mut identity.labels, &[("ecs_task_id", Some(task_id))]);
    let attributes = [
        ("cloud.provider", Some("aws")),
        ("cloud.platform", Some("aws_ecs")),
        ("aws.ecs.task.id", Some(task_id)),
    ];
    push(&mut identity.resource_attributes, &attributes);
    is_task_id.then_some(identity)
}

/// The service that keeps the task; none for a task that was run by hand.
pub fn service_name<'a>(task: &'a Task<'_>) -> Option<&'a str> {
    let from_group = || task.group.as_deref()?.strip_prefix("service:");
    task.service_name.as_deref().or_else(from_group).filter(|name| !name.is_empty())
}

impl Task<'_> {
    /// The cluster's short name.
    pub fn cluster_name(&self) -> Option<&str> {
        let cluster = self.cluster.as_deref()?;
        match Arn::parse(cluster) {
            Some(arn) => Some(arn.id()).filter(|id| !id.is_empty()),
            None => Some(cluster),
        }
    }

    /// The last part of the task's ARN.
    pub fn id(&self) -> Option<&str> {
        Some(Arn::parse(self.arn.as_deref()?)?.id()).filter(|id| !id.is_empty())
    }
}

fn push(to: &mut Vec<(String, String)>, pairs: &[(&str, Option<&str>)]) {
    for &(name, value) in pairs {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            to.push((name.to_owned(), value.to_owned()));
        }
    }
}
