//! Who this task is, in the words that samples and OTLP resources use.
//!
//! Built once by whoever learns it (the ECS task metadata) and read by the pipeline and the OTLP
//! room. Resource attributes follow the OpenTelemetry semantic conventions for cloud and AWS ECS;
//! left out are `container.*` and `aws.log.*`, which would describe the collector's own container.

/// The labels that an identity can give, sorted.
pub const IDENTITY_LABELS: [&str; 4] =
    ["ecs_cluster", "ecs_service", "ecs_task_family", "ecs_task_id"];

/// What is known of the task; empty where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Of [`IDENTITY_LABELS`] those that are known, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The task's id, for the label `instance`; empty while it is not known.
    pub task_id: String,
    /// For OTLP resources that lack them, in the order of the conventions.
    pub resource_attributes: Vec<(String, String)>,
}

/// `--identity`: which task identity samples get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdentityConfig {
    #[default]
    On,
    /// Neither labels, nor the task's id as `instance`, nor resource attributes.
    Off,
    /// These labels only; `instance` and resource attributes as with `On`.
    Only(Vec<String>),
}

impl IdentityConfig {
    /// `on`, `off`, or label names between commas; an error says what was expected.
    pub fn parse(text: &str) -> Result<IdentityConfig, String> {
        match text {
            "on" => return Ok(IdentityConfig::On),
            "off" => return Ok(IdentityConfig::Off),
            _ => {}
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().find(|name| !IDENTITY_LABELS.contains(&name.as_str())) {
            None => Ok(IdentityConfig::Only(names)),
            Some(_) => Err(format!("on, off, or a list of {}", IDENTITY_LABELS.join(","))),
        }
    }
}

impl Identity {
    /// What `config` leaves of it.
    pub fn narrowed(mut self, config: &IdentityConfig) -> Identity {
        match config {
            IdentityConfig::On => self,
            IdentityConfig::Off => Identity::default(),
            IdentityConfig::Only(names) => {
                self.labels.retain(|(name, _)| names.contains(name));
                self
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert_eq!(IdentityConfig::parse("on"), Ok(IdentityConfig::On));
        assert_eq!(IdentityConfig::parse("off"), Ok(IdentityConfig::Off));
        let two = IdentityConfig::Only(vec!["ecs_task_id".to_owned(), "ecs_cluster".to_owned()]);
        assert_eq!(IdentityConfig::parse("ecs_task_id, ecs_cluster"), Ok(two));
        for text in ["", "yes", "ecs_task_id,", "ecs_task"] {
            let expected =
                "on, off, or a list of ecs_cluster,ecs_service,ecs_task_family,ecs_task_id";
            assert_eq!(IdentityConfig::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn narrowing() {
        let pair = |name: &str| (name.to_owned(), "x".to_owned());
        let identity = Identity {
            labels: vec![pair("ecs_cluster"), pair("ecs_task_id")],
            task_id: "x".to_owned(),
            resource_attributes: vec![pair("cloud.region")],
        };
        assert_eq!(identity.clone().narrowed(&IdentityConfig::On), identity);
        assert_eq!(identity.clone().narrowed(&IdentityConfig::Off), Identity::default());
        let only = IdentityConfig::Only(vec!["ecs_task_id".to_owned()]);
        let left = identity.clone().narrowed(&only);
        assert_eq!(left.labels, [pair("ecs_task_id")]);
        assert_eq!((left.task_id, left.resource_attributes.len()), ("x".to_owned(), 1));
    }
}
