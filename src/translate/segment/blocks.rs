//! The blocks of a segment document that attributes fill.

use super::document::{Bag, Parts};
use super::json_out::Json;
use crate::codec::otlp::AnyValue;

/// Systems whose statements are SQL.
const SQL_SYSTEMS: [&str; 11] = [
    "db2",
    "derby",
    "hive",
    "mariadb",
    "mssql",
    "mysql",
    "oracle",
    "postgresql",
    "sqlite",
    "teradata",
    "other_sql",
];

/// Members of a block and the attributes they come from; a block without members is left out.
fn block(name: &str, bag: &mut Bag<'_>, rows: &[(&str, &[&str])], json: &mut Json) {
    let mut is_open = false;
    for (member, keys) in rows {
        let Some(value) = bag.take(keys) else { continue };
        if !is_open {
            json.key(name);
            json.open('{');
            is_open = true;
        }
        json.value(member, value);
    }
    if is_open {
        json.close('}');
    }
}

/// Service, origin and ARN of a segment.
pub(super) fn service(resource: &mut Bag<'_>, json: &mut Json) {
    block("service", resource, &[("version", &["service.version", "container.image.tag"])], json);
    if let Some(arn) = resource.text(&["aws.xray.resource_arn"]) {
        json.text("resource_arn", arn);
    }
    let launch_type = resource.text(&["aws.ecs.launchtype"]).unwrap_or_default();
    let origin = match resource.text(&["cloud.platform"]).unwrap_or_default() {
        "aws_ecs" if launch_type.eq_ignore_ascii_case("ec2") => "AWS::ECS::EC2",
        "aws_ecs" if launch_type.eq_ignore_ascii_case("fargate") => "AWS::ECS::Fargate",
        "aws_ecs" => "AWS::ECS::Container",
        "aws_ec2" => "AWS::EC2::Instance",
        "aws_eks" => "AWS::EKS::Container",
        "aws_elastic_beanstalk" => "AWS::ElasticBeanstalk::Environment",
        "aws_app_runner" => "AWS::AppRunner::Service",
        "aws_lambda" => "AWS::Lambda::Function",
        _ => return,
    };
    json.text("origin", origin);
}

/// All three are always written.
pub(super) fn flags(parts: &Parts<'_>, own: &mut Bag<'_>, status: Option<i64>, json: &mut Json) {
    let is_client_error = matches!(status, Some(400..500));
    let is_server_error = match status {
        Some(400..500) => false,
        Some(500..600) => true,
        _ => parts.is_error,
    };
    let said =
        ["aws.xray.fault", "aws.xray.error", "aws.xray.throttle"].map(|key| own.take(&[key]));
    let is_said = said.iter().any(Option::is_some);
    let computed =
        [("fault", is_server_error), ("error", is_client_error), ("throttle", status == Some(429))];
    for ((member, computed), said) in computed.into_iter().zip(said) {
        // A segment that became a span says itself which it was.
        let value = if is_said { matches!(said, Some(AnyValue::Bool(true))) } else { computed };
        json.boolean(member, value);
    }
}

/// The call, where the segment is about one, and the place. Other clouds have none.
pub(super) fn aws<'a>(
    own: Option<&mut Bag<'a>>,
    resource: &mut Bag<'a>,
    operation: Option<&'a str>,
    json: &mut Json,
) {
    if resource.text(&["cloud.provider"]).is_some_and(|provider| provider != "aws") {
        return;
    }
    json.key("aws");
    json.open('{');
    if let Some(own) = own {
        let account = own.text(&["aws.account_id"]);
        if let Some(account) = account.or_else(|| resource.text(&["cloud.account.id"])) {
            json.text("account_id", account);
        }
        call(own, operation, json);
    }
    place(resource, json);
    json.close('}');
}

fn call<'a>(own: &mut Bag<'a>, operation: Option<&'a str>, json: &mut Json) {
    if let Some(operation) = own.text(&["aws.operation"]).or(operation) {
        json.text("operation", operation);
    }
    let queue = ["messaging.url", "aws.queue_url", "aws.queue.url", "aws.sqs.queue.url"];
    let rows: [(&str, &[&str]); 4] = [
        ("region", &["aws.region", "cloud.region"]),
        ("request_id", &["aws.request_id", "aws.requestId"]),
        ("queue_url", &queue),
        ("retries", &["aws.xray.retries"]),
    ];
    for (member, keys) in rows {
        if let Some(value) = own.take(keys) {
            json.value(member, value);
        }
    }
    let tables = ["aws.dynamodb.table_names", "aws.table_name", "aws.table.name"];
    let Some(tables) = own.take(&tables) else { return };
    let mut names = tables.elements();
    match (tables, names.next(), names.next()) {
        (AnyValue::Array(_), None, _) => {}
        (AnyValue::Array(_), Some(only), None) => json.value("table_name", only),
        (AnyValue::Array(_), ..) => json.value("table_names", tables),
        _ => json.value("table_name", tables),
    }
}

/// Where it ran, by the platform.
fn place(resource: &mut Bag<'_>, json: &mut Json) {
    let platform = resource.text(&["cloud.platform"]).unwrap_or_default();
    let zone: &[&str] = &["cloud.availability_zone"];
    if platform == "aws_ec2" || resource.text(&["host.id"]).is_some() {
        let rows: [(&str, &[&str]); 4] = [
            ("instance_id", &["host.id"]),
            ("availability_zone", zone),
            ("instance_size", &["host.type"]),
            ("ami_id", &["host.image.id"]),
        ];
        block("ec2", resource, &rows, json);
    }
    if platform == "aws_ecs" {
        let rows: [(&str, &[&str]); 8] = [
            ("container", &["container.name"]),
            ("container_id", &["container.id"]),
            ("container_arn", &["aws.ecs.container.arn"]),
            ("task_arn", &["aws.ecs.task.arn"]),
            ("task_family", &["aws.ecs.task.family"]),
            ("cluster_arn", &["aws.ecs.cluster.arn"]),
            ("availability_zone", zone),
            ("launch_type", &["aws.ecs.launchtype"]),
        ];
        block("ecs", resource, &rows, json);
    }
    if platform == "aws_eks" || resource.text(&["k8s.cluster.name"]).is_some() {
        let rows: [(&str, &[&str]); 3] = [
            ("cluster_name", &["k8s.cluster.name"]),
            ("pod", &["k8s.pod.name"]),
            ("container_id", &["container.id"]),
        ];
        block("eks", resource, &rows, json);
    }
    if platform == "aws_elastic_beanstalk" {
        beanstalk(resource, json);
    }
    log_groups(resource, json);
    sdk(resource, json);
}

fn beanstalk(resource: &mut Bag<'_>, json: &mut Json) {
    let Some(id) = resource.text(&["service.instance.id"]) else { return };
    // X-Ray wants a number.
    let id = id.parse().unwrap_or(0);
    json.key("elastic_beanstalk");
    json.open('{');
    json.integer("deployment_id", id);
    for (member, key) in
        [("environment_name", "service.namespace"), ("version_label", "service.version")]
    {
        if let Some(text) = resource.text(&[key]) {
            json.text(member, text);
        }
    }
    json.close('}');
}

fn log_groups(resource: &mut Bag<'_>, json: &mut Json) {
    let (arns, names) = (["aws.log.group.arns"], ["aws.log.group.names"]);
    let found = resource.take(&arns).map(|value| ("arn", value));
    let found = found.or_else(|| resource.take(&names).map(|value| ("log_group", value)));
    let Some((member, value)) = found else { return };
    json.key("cloudwatch_logs");
    json.open('[');
    let alone = Some(value).filter(|value| matches!(value, AnyValue::Text(_)));
    for element in value.elements().chain(alone) {
        // One string may hold several.
        let AnyValue::Text(text) = element else { continue };
        for group in text.split('&').filter(|group| !group.is_empty()) {
            json.open('{');
            json.text(member, group);
            // arn:aws:logs:eu-west-1:1:log-group:/ecs/web:*
            //                                    ^ the seventh part
            if let ("arn", Some(name)) = (member, group.split(':').nth(6)) {
                json.text("log_group", name);
            }
            json.close('}');
        }
    }
    json.close(']');
}

fn sdk(resource: &mut Bag<'_>, json: &mut Json) {
    let language = resource.text(&["telemetry.sdk.language"]);
    let name = resource.text(&["telemetry.sdk.name"]);
    let version = resource.text(&["telemetry.sdk.version"]);
    let auto = resource.take(&["telemetry.distro.version", "telemetry.auto.version"]);
    json.key("xray");
    json.open('{');
    match (name, language) {
        (Some(name), Some(language)) if !name.contains(" for ") => {
            json.text("sdk", &format!("{name} for {language}"));
        }
        (Some(name), _) => json.text("sdk", name),
        (None, _) => {}
    }
    if let Some(version) = version {
        json.text("sdk_version", version);
    }
    json.boolean("auto_instrumentation", auto.is_some());
    json.close('}');
}

pub(super) fn sql(parts: &Parts<'_>, own: &mut Bag<'_>, json: &mut Json) {
    let is_sql = |system: &&str| SQL_SYSTEMS.iter().any(|known| known.eq_ignore_ascii_case(system));
    let keys = ["db.system", "db.system.name"];
    if own.peek(&keys).filter(is_sql).is_none() {
        return;
    }
    let system = own.text(&keys).unwrap_or_default();
    json.key("sql");
    json.open('{');
    json.text("url", parts.name);
    let connection = own.text(&["db.connection_string"]).unwrap_or("localhost");
    let database = own.text(&["db.name", "db.namespace"]).unwrap_or_default();
    json.text("connection_string", &format!("{connection}/{database}"));
    json.text("database_type", system);
    let rows = [
        ("user", own.text(&["db.user"])),
        ("sanitized_query", own.text(&["db.statement", "db.query.text"])),
    ];
    for (member, text) in rows {
        if let Some(text) = text {
            json.text(member, text);
        }
    }
    json.close('}');
}
