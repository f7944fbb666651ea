//! No prefix of either document, and no flipped byte, panics.

use super::{identity, identity_from_uri, parse_stats, parse_task};

const TASK: &[u8] = br#"{"Cluster":"demo","TaskARN":"arn:aws-cn:ecs:cn-north-1:1:task/demo/ab",
 "Group":"service:web","Containers":[null,7,{"Name":1,"DockerId":"x","Networks":null}]}"#;
const STATS: &[u8] = br#"{"x":{"read":7,"memory_stats":{"usage":1.5,"limit":2e19,"stats":null},
 "networks":null,"blkio_stats":{"io_service_bytes_recursive":null}},"y":null,"z":{}}"#;

#[test]
fn odd_values_cost_only_themselves() {
    let task = parse_task(TASK).expect("a task");
    assert_eq!((task.containers.len(), task.containers[0].docker_id.as_deref()), (1, Some("x")));
    let found = identity(&task, None);
    let cluster = "arn:aws-cn:ecs:cn-north-1:1:cluster/demo".to_owned();
    assert!(found.resource_attributes.contains(&("aws.ecs.cluster.arn".to_owned(), cluster)));
    assert!(found.labels.contains(&("ecs_service".to_owned(), "web".to_owned())));
    let stats = parse_stats(STATS).expect("statistics");
    assert_eq!(stats.len(), 1);
    assert_eq!(
        (stats[0].stats.memory.usage, stats[0].stats.memory.limit),
        (Some(1), Some(u64::MAX))
    );
    assert!(parse_stats(b"null").is_ok_and(|stats| stats.is_empty()));
    assert!(parse_stats(b"\"error\"").is_err() && parse_task(b"{}").is_err());
}

#[test]
fn the_address_names_a_fargate_task_only() {
    let uri = "http://169.254.170.2/v4/0a1b2c3d4e5f60718293a4b5c6d7e8f9-1000000001";
    let found = identity_from_uri(uri).expect("Fargate");
    assert_eq!(found.task_id, "0a1b2c3d4e5f60718293a4b5c6d7e8f9");
    assert_eq!(identity_from_uri("http://169.254.170.2/v4/0a1b2c3d-4e5f-6071-8293-a4b5"), None);
}

#[test]
fn prefixes_and_flipped_bytes_never_panic() {
    for document in [TASK, STATS] {
        for at in 0..document.len() {
            assert!(parse_task(&document[..at]).is_err() && parse_stats(&document[..at]).is_err());
            for byte in [0, 0xff, b"\"{}[],:"[at % 7]] {
                let mut changed = document.to_vec();
                changed[at] = byte;
                let _ = (parse_task(&changed), parse_stats(&changed));
            }
        }
    }
}
