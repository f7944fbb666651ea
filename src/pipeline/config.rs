//! What the pipeline does to every sample: `--label`, `--relabel` and `--identity`, checked.
//!
//! Follows Prometheus' `<relabel_config>` (Configuration reference) without `hashmod`, which needs
//! MD5.

use crate::model::IdentityConfig;

/// All of `--label`, `--relabel` and `--identity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Added to every sample that lacks them, in the order given; names are unique and valid.
    pub labels: Vec<(String, String)>,
    /// Applied in the order given.
    pub relabel: Vec<RelabelConfig>,
    /// Which labels of the task's identity samples get.
    pub identity: IdentityConfig,
}

/// One relabel rule: the action has the fields it needs and none it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelabelConfig {
    pub action: Action,
    /// Labels whose values are joined and matched.
    pub source: Vec<String>,
    /// Between the joined values.
    pub separator: String,
    /// Compiles as `^(?s:…)$`.
    pub regex: String,
    /// The label written, or compared with; may refer to groups (`$1`) in `Replace`.
    pub target: String,
    /// The value written, or the name in `LabelMap`; may refer to groups.
    pub replacement: String,
}

impl Default for RelabelConfig {
    fn default() -> RelabelConfig {
        RelabelConfig {
            action: Action::Replace,
            source: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            target: String::new(),
            replacement: "$1".to_owned(),
        }
    }
}

/// What a relabel rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Writes the replacement to the target where the source matches.
    #[default]
    Replace,
    /// Drops samples whose source does not match.
    Keep,
    /// Drops samples whose source matches.
    Drop,
    /// Drops samples whose source differs from the target's value.
    KeepEqual,
    /// Drops samples whose source equals the target's value.
    DropEqual,
    /// Copies each label whose name matches to the name the replacement gives.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Writes the source in lower case to the target.
    Lowercase,
    /// Writes the source in upper case to the target.
    Uppercase,
}
