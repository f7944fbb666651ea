//! What every sample and every OTLP resource gets where it lacks it: the task's identity, then
//! `--label`.
//!
//! The identity comes from the task metadata endpoint, which may be late. Whoever has published
//! series keeps the value it published them under, so that they can be ended under the same labels
//! when another takes its place.

use crate::model::Identity;

/// Additions; what comes first wins.
#[derive(Debug, Default)]
pub struct Added {
    /// For samples.
    pub labels: Vec<(String, String)>,
    /// For OTLP resources.
    pub attributes: Vec<(String, String)>,
    /// Empty where it is not known or not wanted.
    pub task_id: String,
}

impl Added {
    /// `labels` are those of `--label`.
    pub fn new(identity: Identity, labels: &[(String, String)]) -> Added {
        let Identity { labels: mut own, task_id, resource_attributes: mut attributes } = identity;
        if !task_id.is_empty() {
            own.push(("instance".to_owned(), task_id.clone()));
        }
        for pair in labels {
            for list in [&mut own, &mut attributes] {
                if list.iter().all(|(name, _)| *name != pair.0) {
                    list.push(pair.clone());
                }
            }
        }
        Added { labels: own, attributes, task_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn identity_comes_before_labels() {
        let identity = Identity {
            labels: vec![pair("ecs_cluster", "c"), pair("ecs_task_id", "t")],
            task_id: "t".to_owned(),
            resource_attributes: vec![pair("cloud.provider", "aws")],
        };
        let added = Added::new(identity, &[pair("ecs_cluster", "mine"), pair("region", "eu")]);
        let expected = [
            pair("ecs_cluster", "c"),
            pair("ecs_task_id", "t"),
            pair("instance", "t"),
            pair("region", "eu"),
        ];
        assert_eq!(added.labels, expected);
        let expected =
            [pair("cloud.provider", "aws"), pair("ecs_cluster", "mine"), pair("region", "eu")];
        assert_eq!(added.attributes, expected);
        let none = Added::new(Identity::default(), &[pair("a", "b")]);
        assert_eq!((none.labels, none.attributes), (vec![pair("a", "b")], vec![pair("a", "b")]));
    }
}
