//! Every platform's documents become exactly the expected samples, in every vocabulary; and no
//! document, whatever is cut off or missing, does worse than to be refused.

#[path = "../examples/ecs_samples.rs"]
#[allow(dead_code)]
mod ecs_samples;

use otlet::aws::task_metadata::{parse_stats, parse_task};

const PLATFORMS: [&str; 7] = [
    "fargate",
    "fargate-arm",
    "ec2-awsvpc",
    "ec2-bridge",
    "ec2-host",
    "managed-instances",
    "windows",
];

fn read(platform: &str, kind: &str) -> Vec<u8> {
    let path = format!("{}/tests/ecs/{platform}.{kind}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn samples_are_the_expected_ones() {
    for platform in PLATFORMS {
        let got = ecs_samples::render(&read(platform, "task.json"), &read(platform, "stats.json"));
        let expected = String::from_utf8(read(platform, "expected")).unwrap();
        for (got, expected) in got.lines().zip(expected.lines()) {
            assert_eq!(got, expected, "{platform}");
        }
        assert_eq!(got.lines().count(), expected.lines().count(), "{platform}");
    }
}

#[test]
fn documents_that_are_cut_or_empty_are_refused_or_say_nothing() {
    for platform in PLATFORMS {
        let (task, stats) = (read(platform, "task.json"), read(platform, "stats.json"));
        for end in 0..task.len() - 2 {
            assert!(parse_task(&task[..end]).is_err(), "{platform}: {end}");
        }
        for end in 0..stats.len() - 2 {
            assert!(parse_stats(&stats[..end]).is_err(), "{platform}: {end}");
        }
        // Without statistics the limits and lives are still there; without a task nothing is.
        assert!(ecs_samples::render(&task, b"{}").lines().count() > 3, "{platform}");
        assert_eq!(parse_stats(b"null").map(|stats| stats.len()).unwrap_or(0), 0);
        assert!(parse_task(b"{}").is_err() && parse_task(b"null").is_err());
    }
}
