//! The `aws` block: the call that a subsegment is about, and where the segment ran.

use super::span::Span;
use super::{each, integer, string, Scratch};
use crate::codec::json::{Error, Reader, Text};

/// What an X-Ray SDK's name has before its language.
const BEFORE_LANGUAGE: &str = "for ";

/// Member, resource attribute, rank: where two parts tell the same, the higher one counts.
type Row = (&'static str, &'static str, u8);

const EC2: &[Row] = &[
    ("availability_zone", "cloud.availability_zone", 0),
    ("instance_id", "host.id", 0),
    ("instance_size", "host.type", 0),
    ("ami_id", "host.image.id", 0),
];

const ECS: &[Row] = &[
    ("container", "container.name", 0),
    ("availability_zone", "cloud.availability_zone", 1),
    ("container_id", "container.id", 0),
    ("container_arn", "aws.ecs.container.arn", 0),
    ("task_arn", "aws.ecs.task.arn", 0),
    ("task_family", "aws.ecs.task.family", 0),
    ("cluster_arn", "aws.ecs.cluster.arn", 0),
];

const EKS: &[Row] = &[
    ("container_id", "container.id", 1),
    ("cluster_name", "k8s.cluster.name", 0),
    ("pod", "k8s.pod.name", 0),
];

const BEANSTALK: &[Row] =
    &[("environment_name", "service.namespace", 0), ("version_label", "service.version", 0)];

/// Attributes of the span.
const CALL: [(&str, &str); 6] = [
    ("account_id", "aws.account_id"),
    ("operation", "aws.operation"),
    ("region", "aws.region"),
    ("request_id", "aws.request_id"),
    ("queue_url", "aws.queue_url"),
    ("table_name", "aws.table_name"),
];

/// Reads the block of any segment; only the root's says something about the resource.
pub(super) fn read<'a>(span: &mut Span<'a, '_>, reader: &mut Reader<'a>) -> Result<(), Error> {
    let is_root = span.is_root;
    if is_root {
        span.scratch.resource.text("cloud.provider", "aws");
    }
    each(reader, |key, reader| {
        let Scratch { attributes, resource, .. } = &mut *span.scratch;
        if let Some((_, name)) = CALL.iter().find(|(member, _)| *member == key) {
            if let Some(value) = string(reader)? {
                attributes.text(name, &value);
                if is_root && key == "account_id" {
                    resource.text("cloud.account.id", &value);
                }
            }
            return Ok(());
        }
        match key {
            "retries" => {
                if let Some(retries) = integer(reader)? {
                    attributes.integer("aws.xray.retries", retries);
                }
                Ok(())
            }
            _ if !is_root => Ok(()),
            "cloudwatch_logs" => read_log_groups(span, reader),
            "ec2" => read_rows(span, reader, EC2),
            "ecs" => read_rows(span, reader, ECS),
            "eks" => read_rows(span, reader, EKS),
            "elastic_beanstalk" => read_rows(span, reader, BEANSTALK),
            "xray" => each(reader, |key, reader| {
                match key {
                    "sdk" => span.sdk = reader.string()?,
                    "sdk_version" => {
                        if let Some(version) = string(reader)? {
                            span.scratch.resource.text("telemetry.sdk.version", &version);
                        }
                    }
                    _ => {}
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    })
}

fn read_rows(span: &mut Span<'_, '_>, reader: &mut Reader<'_>, rows: &[Row]) -> Result<(), Error> {
    let resource = &mut span.scratch.resource;
    each(reader, |key, reader| {
        match key {
            "launch_type" => {
                if let Some(kind) = string(reader)? {
                    resource.text("aws.ecs.launchtype", &kind.to_ascii_lowercase());
                }
            }
            // Beanstalk's, a number that identifies.
            "deployment_id" => {
                if let Some(id) = integer(reader)? {
                    resource.text("service.instance.id", &id.to_string());
                }
            }
            _ => {
                let row = rows.iter().find(|(member, ..)| *member == key);
                if let (Some((_, name, rank)), Some(value)) = (row, string(reader)?) {
                    resource.ranked_text(name, *rank, &value);
                }
            }
        }
        Ok(())
    })
}

fn read_log_groups(span: &mut Span<'_, '_>, reader: &mut Reader<'_>) -> Result<(), Error> {
    let (mut arns, mut names) = (Vec::new(), Vec::new());
    if !reader.array()? {
        return Ok(());
    }
    while reader.element()? {
        each(reader, |key, reader| {
            match key {
                "arn" => arns.extend(string(reader)?),
                "log_group" => names.extend(string(reader)?),
                _ => {}
            }
            Ok(())
        })?;
    }
    for (key, values) in [("aws.log.group.arns", arns), ("aws.log.group.names", names)] {
        if !values.is_empty() {
            span.scratch.resource.texts(key, values.iter().map(|value| &**value));
        }
    }
    Ok(())
}

/// Adds to the resource what depends on several members.
pub(super) fn finish(
    scratch: &mut Scratch,
    name: &str,
    sdk: Option<Text<'_>>,
    has_exceptions: bool,
) {
    let resource = &mut scratch.resource;
    resource.text("service.name", name);
    let Some(sdk) = sdk.map(Text::decode) else { return };
    resource.text("telemetry.sdk.name", &sdk);
    // Stack traces are written as Java does, and readers choose their parser by the language.
    let language = match has_exceptions {
        true => Some("java"),
        false => sdk.split_once(BEFORE_LANGUAGE).map(|(_, language)| language),
    };
    if let Some(language) = language {
        resource.text("telemetry.sdk.language", language);
    }
}
