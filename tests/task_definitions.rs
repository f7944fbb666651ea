//! The task definitions and policies to paste are right: each parses, the program takes the flags
//! in it, and containers start and stop in the order that loses nothing.

mod support;

use std::ffi::OsString;
use std::fs;

use otlet::flags::{self, Command, Config, Exporter, Receiver};
use support::json::Json;
use support::repository;

/// CPU units and the MiB that Fargate offers with them ("Task size", Amazon ECS Developer Guide);
/// the small ones, which are all that is used here.
const FARGATE_SIZES: [(&str, &[&str]); 2] =
    [("256", &["512", "1024", "2048"]), ("512", &["1024", "2048", "3072", "4096"])];

/// The JSON files whose name begins so, and their names.
fn files(prefix: &str) -> Vec<(String, Json)> {
    let folder = fs::read_dir(repository("scratch-image")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let wanted = names.filter(|name| name.starts_with(prefix) && name.ends_with(".json"));
    let read = |name: String| {
        let text = fs::read_to_string(repository("scratch-image").join(&name)).unwrap();
        (name, Json::parse(&text))
    };
    wanted.map(read).collect()
}

fn texts(list: &Json) -> Vec<OsString> {
    list.list().iter().map(|text| text.text().into()).collect()
}

/// What the program makes of a container's command; secrets and variables are set, others are not.
fn configure(container: &Json) -> Config {
    let given = [container.get("secrets"), container.get("environment")];
    let names: Vec<&str> =
        given.iter().flat_map(|list| list.list()).map(|entry| entry.get("name").text()).collect();
    let env = |name: &str| names.contains(&name).then(|| "s3 cret".to_owned());
    let command = container.get("command");
    for name in &names {
        let is_used =
            command.list().iter().any(|text| text.text().contains(&format!("${{{name}}}")));
        assert!(is_used, "{name} is not used");
    }
    match flags::parse("/otlet", texts(command), &env, Some(64 << 20)) {
        Ok(Command::Run(config)) => config,
        other => panic!("{other:?}"),
    }
}

/// The container that otlet is in, by itself.
fn is_right(container: &Json) -> Config {
    let config = configure(container);
    let seconds = container.get("stopTimeout").number();
    assert!(seconds > config.stop_timeout.as_secs_f64(), "stopTimeout is too short");
    assert!((30.0..=120.0).contains(&seconds), "Fargate allows 120 s");
    assert_eq!(container.get("readonlyRootFilesystem"), &Json::Bool(true));
    assert!(
        container.get("memory").number() * f64::from(1 << 20) >= config.memory_limit_bytes as f64
    );
    // There is no shell in the image: the health check must be the exec form of the program.
    let check = container.get("healthCheck").get("command");
    let check = texts(check);
    assert_eq!(check[0], "CMD");
    let name = check[1].to_str().unwrap();
    match flags::parse(name, check[2..].to_vec(), &|_| None, None) {
        Ok(Command::Healthcheck { address }) => assert_eq!(Some(address), config.admin.listen),
        other => panic!("{other:?}"),
    }
    config
}

/// Restarted when it fails, not when it was stopped or told nonsense (ContainerRestartPolicy,
/// Amazon ECS API Reference).
fn is_restarted(policy: &Json) {
    assert_eq!(policy.get("enabled"), &Json::Bool(true));
    let ignored: Vec<f64> =
        policy.get("ignoredExitCodes").list().iter().map(Json::number).collect();
    assert_eq!(ignored, [0.0, 2.0]);
    assert!((60.0..=1800.0).contains(&policy.get("restartAttemptPeriod").number()));
}

fn signs(config: &Config) -> bool {
    config.exporters.iter().any(|exporter| match exporter {
        Exporter::RemoteWrite(config) => config.sigv4.is_some(),
        Exporter::Xray(_) => true,
        _ => false,
    })
}

#[test]
fn task_definitions_are_right() {
    let definitions = files("task-definition");
    assert_eq!(definitions.len(), 4, "{:?}", definitions.iter().map(|(name, _)| name));
    let mut signing = Vec::new();
    for (name, task) in definitions {
        let size = (task.get("cpu").text(), task.get("memory").text());
        let known = FARGATE_SIZES.iter().find(|(cpu, _)| *cpu == size.0);
        assert!(known.is_some_and(|(_, memory)| memory.contains(&size.1)), "{name}: {size:?}");
        assert_eq!(texts(task.get("requiresCompatibilities")), ["FARGATE"]);
        let platform = task.get("runtimePlatform");
        assert!(matches!(platform.get("cpuArchitecture").text(), "X86_64" | "ARM64"), "{name}");
        assert_eq!(platform.get("operatingSystemFamily").text(), "LINUX");
        assert_eq!(task.get("networkMode").text(), "awsvpc");
        let containers = task.get("containerDefinitions").list();
        let (own, others): (Vec<_>, Vec<_>) =
            containers.iter().partition(|container| container.get("name").text() == "otlet");
        let config = is_right(own[0]);
        assert_eq!((own.len(), own[0].get("dependsOn")), (1, &Json::Null), "{name}");
        assert_eq!(own[0].get("essential"), &Json::Bool(false), "{name}");
        is_restarted(own[0].get("restartPolicy"));
        // Who depends on otlet starts after it and stops before it.
        assert!(!others.is_empty());
        for other in others {
            let on = other.get("dependsOn").list();
            let on_otlet = on.iter().find(|on| on.get("containerName").text() == "otlet");
            let condition = on_otlet.expect("dependsOn").get("condition").text();
            assert!(matches!(condition, "START" | "HEALTHY"), "{name}");
        }
        // Secrets are read by the execution role, and requests signed by the task role.
        assert!(task.get("executionRoleArn").text().starts_with("arn:aws:iam::"));
        if signs(&config) {
            assert!(task.get("taskRoleArn").text().starts_with("arn:aws:iam::"));
            signing.push(name);
        }
    }
    signing.sort();
    assert_eq!(signing, ["task-definition-amp.json", "task-definition-otel.json"]);
}

/// Without a flag that says what to receive it is what ADOT's default configuration opens.
#[test]
fn the_definition_for_telemetry_of_all_kinds_opens_everything() {
    let (_, task) = files("task-definition-otel").pop().unwrap();
    let containers = task.get("containerDefinitions").list();
    let own = containers.iter().find(|container| container.get("name").text() == "otlet");
    let config = configure(own.unwrap());
    let opened = config.receivers.iter().map(|receiver| match receiver {
        Receiver::Otlp(config) => format!("{:?} {:?}", config.grpc, config.http),
        Receiver::Xray(config) => config.address.to_string(),
        Receiver::Statsd(_) => "statsd".to_owned(),
        other => panic!("{other:?}"),
    });
    let mut opened: Vec<_> = opened.collect();
    opened.sort();
    assert_eq!(opened, ["127.0.0.1:2000", "Some(127.0.0.1:4317) Some(127.0.0.1:4318)", "statsd"]);
    let (_, policy) = files("xray-role-policy").pop().unwrap();
    let actions = texts(policy.get("Statement").list()[0].get("Action"));
    // What the exporter and the sampling proxy call (AWS X-Ray API Reference).
    for call in ["PutTraceSegments", "GetSamplingRules", "GetSamplingTargets"] {
        assert!(actions.contains(&format!("xray:{call}").into()), "{actions:?}");
    }
}

#[test]
fn policies_allow_what_the_definitions_need() {
    let allows = |name: &str, action: &str, resource: &str| {
        let (_, policy) = files(name).pop().unwrap();
        assert_eq!(policy.get("Version").text(), "2012-10-17");
        let [statement] = policy.get("Statement").list() else { panic!("{policy:?}") };
        assert_eq!(statement.get("Effect").text(), "Allow");
        assert_eq!(statement.get("Action").text(), action);
        let own = match statement.get("Resource") {
            Json::Text(one) => vec![one.clone()],
            several => several.list().iter().map(|one| one.text().to_owned()).collect(),
        };
        assert!(own.iter().all(|own| own.starts_with(resource)), "{own:?}");
        own
    };
    let text = |name| fs::read_to_string(repository("scratch-image").join(name)).unwrap();
    let workspaces = allows(
        "task-role-policy",
        "aps:RemoteWrite",
        "arn:aws:aps:eu-west-1:111122223333:workspace/",
    );
    let workspace = workspaces[0].rsplit('/').next().unwrap();
    assert!(text("task-definition-amp.json").contains(&format!("/workspaces/{workspace}/")));
    let (action, secrets) = ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:");
    let allowed = allows("execution-role-policy", action, secrets);
    // arn:aws:secretsmanager:…:secret:NAME:KEY::
    //                                     ^ what follows selects a part of the secret
    let whole = |from: &str| from.split(':').take(7).collect::<Vec<_>>().join(":");
    let mut needed = std::collections::BTreeSet::new();
    for (_, task) in files("task-definition") {
        for container in task.get("containerDefinitions").list() {
            let given = container.get("secrets");
            let given = if given == &Json::Null { &[] } else { given.list() };
            needed.extend(given.iter().map(|secret| whole(secret.get("valueFrom").text())));
        }
    }
    assert_eq!(needed, allowed.into_iter().collect());
}

#[test]
fn what_the_readme_shows_is_right() {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let shown: Vec<bool> = blocks.map(|block| signs(&is_right(&Json::parse(block)))).collect();
    assert!(shown.contains(&true) && shown.contains(&false), "one signs, one does not: {shown:?}");
}
