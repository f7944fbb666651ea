//! Translation of the smallest Fargate task (one running container, one that has ended), and names.

use super::*;
use crate::aws::task_metadata::{parse_stats, parse_task};

const TASK: &str = r#"{"Cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/demo",
 "TaskARN":"arn:aws:ecs:eu-west-1:111122223333:task/demo/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
 "Family":"shop","Revision":"7","KnownStatus":"RUNNING","Limits":{"CPU":0.5,"Memory":1024},
 "LaunchType":"FARGATE","Containers":[
  {"DockerId":"x-1","Name":"app","Image":"registry.example:5000/shop/app:1.2",
   "KnownStatus":"RUNNING","Limits":{"CPU":256},"StartedAt":"2026-01-02T03:04:16Z",
   "Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.9"]}]},
  {"DockerId":"x-2","Name":"init","Image":"busybox","KnownStatus":"STOPPED","ExitCode":0,
"Limits":{"CPU":2},"StartedAt":"2026-01-02T03:04:16Z","FinishedAt":"2026-01-02T03:04:18.25Z"}]}"#;
const STATS: &str = r#"{"x-2":null,"x-1":{"read":"2026-01-02T03:10:20Z",
 "preread":"2026-01-02T03:10:10Z","blkio_stats":{"io_service_bytes_recursive":[
  {"major":259,"minor":0,"op":"read","value":4096},
  {"major":259,"minor":0,"op":"write","value":8192}],"io_serviced_recursive":null},
 "cpu_stats":{"cpu_usage":{"total_usage":5000000000},"online_cpus":2},
 "precpu_stats":{"cpu_usage":{"total_usage":4000000000}},
 "memory_stats":{"usage":104857600,"limit":18446744073709551615,
  "stats":{"anon":52428800,"file":41943040,"inactive_file":20971520}},
 "networks":{"eth1":{"rx_bytes":1000,"tx_bytes":2000}}}}"#;

/// Every sample as `name{container}` and its value.
fn samples(vocabularies: &[Vocabulary]) -> Vec<(String, f64)> {
    let task = parse_task(TASK.as_bytes()).expect("a task");
    let stats = parse_stats(STATS.as_bytes()).expect("statistics");
    let cycle =
        Cycle { task: &task, stats: &stats, now_ms: 1_767_323_420_000, labels: &[], vocabularies };
    let (mut seen, mut open) = (Vec::new(), None::<String>);
    collect(&cycle, &mut State::default(), &mut |output| match output {
        Output::Sample(sample) => {
            let names: Vec<_> = sample.labels.iter().map(|label| label.name).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
            assert!(
                open.as_ref().is_none_or(|name| name == sample.family.name),
                "family left open"
            );
            open = Some(sample.family.name.to_owned());
            let container = crate::model::label_value(sample.labels, "container_name");
            seen.push((format!("{}{{{container}}}", sample.name()), sample.value));
        }
        Output::EndFamily(family) => assert_eq!(open.take().as_deref(), Some(family.name)),
    });
    assert!(open.is_none());
    seen
}

#[test]
fn values_of_a_fargate_task() {
    let seen = samples(&[Vocabulary::Adot, Vocabulary::Exporter, Vocabulary::Semconv]);
    for (name, value) in [
        ("container_cpu_usage_vcpu_vCPU{app}", 0.1),
        ("container_cpu_utilized_None{app}", 40.0),
        ("ecs_task_cpu_utilized_None{}", 102.4),
        ("ecs_task_cpu_reserved_None{}", 512.0),
        ("container_memory_utilized_MiB{app}", 80.0),
        ("container_memory_usage_limit_Bytes{app}", 1_073_741_824.0),
        ("container_storage_read_bytes_Bytes{app}", 4096.0),
        ("ecs_task_storage_write_bytes_Bytes{}", 8192.0),
        ("ecs_task_network_io_usage_rx_bytes_Bytes{}", 1000.0),
        ("container_duration_Seconds{init}", 2.25),
        ("ecs_container_cpu_usage_seconds_total{app}", 5.0),
        ("ecs_container_memory_page_cache_size_bytes{app}", 41_943_040.0),
        ("ecs_network_transmit_bytes_total{}", 2000.0),
        ("container_memory_working_set_bytes{app}", 83_886_080.0),
        ("container_uptime_seconds{app}", 364.0),
        ("ecs_container_finish_timestamp_seconds{init}", 1_767_323_058.25),
        ("ecs_container_exit_code{init}", 0.0),
    ] {
        let found: Vec<_> = seen.iter().filter(|(seen, _)| seen == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        assert!((found[0].1 - value).abs() < 1e-9, "{name} is {}", found[0].1);
    }
    for absent in
        ["container_network_io_usage_rx_bytes_Bytes{app}", "container_cpu_cores_Count{app}"]
    {
        assert!(seen.iter().all(|(name, _)| name != absent), "{absent}");
    }
}

/// OpenTelemetry's rule: dots become underscores, the unit follows unless the name has it.
#[test]
fn adot_names_follow_from_name_and_unit() {
    for metric in &adot::METRICS {
        let name = metric.name.replace('.', "_");
        let unit = metric.task.unit.replace('/', "_per_");
        let expected = format!("ecs_task_{name}_{unit}");
        assert_eq!(metric.task.name, expected);
        assert_eq!(metric.container.name, format!("container_{name}_{unit}"));
    }
}
