//! `--label` and `--relabel`: what happens to every sample.
//!
//! Checks a rule as Prometheus does (Configuration reference, `<relabel_config>`): a field that the
//! action does not know is an error, not ignored. Labels that a rule writes have classic names,
//! since not every database takes others; labels that it reads may have any name.

use regex_lite::Regex;

use super::component::Component;
use super::value::{self, is_label_name, Parsed};
use super::{Config, FlagError};
use crate::pipeline::{Action, RelabelConfig};

/// Names of the actions, as the table shows them.
pub const ACTIONS: &str =
    "replace|keep|drop|keepequal|dropequal|labelmap|labeldrop|labelkeep|lowercase|uppercase";

/// Why the one action that is left out is left out.
pub const NO_HASHMOD: &str = "hashmod is not supported, since it needs MD5";

/// A label name that may refer to groups of the regex: `${1}_total`, `a_$name`.
const NAME_WITH_GROUPS: &str = r"^(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))(?:\w|\$(?:\{\w+\}|\w+))*$";

pub fn fill_label(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let [(name, value)] = <[_; 1]>::try_from(given.named("", value::label_name)?)
        .map_err(|_| given.error("", "expected one NAME=VALUE"))?;
    let labels = &mut config.pipeline.labels;
    if labels.iter().any(|(earlier, _)| *earlier == name) {
        return Err(given.error(&name, "given twice"));
    }
    labels.push((name, value));
    Ok(())
}

pub fn fill_relabel(given: &Component, config: &mut Config) -> Result<(), FlagError> {
    let rule = RelabelConfig {
        action: given.get("action", action)?,
        source: given.optional("source", value::list)?.unwrap_or_default(),
        separator: given.get("separator", value::text)?,
        regex: given.get("regex", value::regex)?,
        target: given.get("target", value::text)?,
        replacement: given.get("replacement", value::text)?,
    };
    check_fields(&rule, given)?;
    config.pipeline.relabel.push(rule);
    Ok(())
}

/// An action by its name, in any case as in Prometheus.
fn action(text: &str) -> Parsed<Action> {
    let name = text.to_ascii_lowercase();
    if name == "hashmod" {
        return Err(NO_HASHMOD.to_owned());
    }
    Ok(match value::choice(ACTIONS)(&name)? {
        "keep" => Action::Keep,
        "drop" => Action::Drop,
        "keepequal" => Action::KeepEqual,
        "dropequal" => Action::DropEqual,
        "labelmap" => Action::LabelMap,
        "labeldrop" => Action::LabelDrop,
        "labelkeep" => Action::LabelKeep,
        "lowercase" => Action::Lowercase,
        "uppercase" => Action::Uppercase,
        _ => Action::Replace,
    })
}

fn check_fields(rule: &RelabelConfig, given: &Component) -> Result<(), FlagError> {
    use Action::*;
    let unknown: &[&str] = match rule.action {
        Lowercase | Uppercase => &["replacement"],
        KeepEqual | DropEqual => &["regex", "separator", "replacement"],
        LabelDrop | LabelKeep => &["source", "target", "separator", "replacement"],
        Replace | Keep | Drop | LabelMap => &[],
    };
    if let Some(key) = given.any_of(unknown) {
        return Err(given.error(key, &format!("{} does not take it", name_of(rule.action))));
    }
    let (key, name_is_valid) = match rule.action {
        Replace => ("target", is_name_with_groups(&rule.target)),
        KeepEqual | DropEqual | Lowercase | Uppercase => ("target", is_label_name(&rule.target)),
        LabelMap => ("replacement", is_name_with_groups(&rule.replacement)),
        Keep | Drop | LabelDrop | LabelKeep => return Ok(()),
    };
    if name_is_valid {
        return Ok(());
    }
    Err(given.error(key, &format!("{} expects a label name here", name_of(rule.action))))
}

fn is_name_with_groups(text: &str) -> bool {
    Regex::new(NAME_WITH_GROUPS).is_ok_and(|pattern| pattern.is_match(text))
}

fn name_of(action: Action) -> String {
    format!("{action:?}").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, config};
    use super::*;

    fn rule(value: &str) -> RelabelConfig {
        let config = config(&["--from-scrape=http://h", "--relabel", value]);
        config.pipeline.relabel.into_iter().next().unwrap()
    }

    fn bad_rule(value: &str, message: &str) {
        bad(&["--relabel", value], &format!("--relabel: {message}"));
    }

    #[test]
    fn labels() {
        let labels =
            |args: &[&str]| config(&[&["--from-scrape=http://h"], args].concat()).pipeline.labels;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(labels(&[]), []);
        assert_eq!(
            labels(&["--label", "env=prod", "--label=az=${AZ}", "--label=t=\"a b=c\""]),
            [pair("env", "prod"), pair("az", "eu-1a"), pair("t", "a b=c")]
        );
    }

    #[test]
    fn bad_labels() {
        let bad_label = |value: &str, message: &str| bad(&["--label", value], message);
        bad_label("", "--label: expected NAME=VALUE");
        bad_label("env", "--label: env: expected NAME=VALUE");
        bad_label("a=b c", "--label: expected one NAME=VALUE; quote a value that holds blanks");
        bad_label("env=", "--label: env=\"\": expected a text that is not empty");
        bad_label("a=b c=d", "--label: expected one NAME=VALUE; quote a value that holds blanks");
        bad_label("a-b=c", "--label: a-b: expected a label name of letters, digits and _");
        bad_label("=c", "--label: expected a label name of letters, digits and _");
        bad_label("__a=c", "--label: __a: expected a label name that does not start with __");
        bad_label("a=${UNSET}", "--label: a: environment variable UNSET is not set");
        bad(&["--label=a=b", "--label=a=c"], "--label: a: given twice");
    }

    #[test]
    fn rules() {
        let defaults = rule("target=a");
        assert_eq!(defaults, RelabelConfig { target: "a".to_owned(), ..Default::default() });
        let all = rule(
            "action=Replace source=a,__name__ separator=\" \" regex=(.*)\\s(.+) \
             target=${1}_x$name replacement=$${AZ}-${1}",
        );
        assert_eq!(all.source, ["a", "__name__"]);
        assert_eq!((all.separator.as_str(), all.regex.as_str()), (" ", "(.*)\\s(.+)"));
        assert_eq!((all.target.as_str(), all.replacement.as_str()), ("${1}_x$name", "${AZ}-${1}"));
        for (value, action) in [
            ("action=keep source=a regex=x", Action::Keep),
            ("action=DROP source=a regex=x", Action::Drop),
            ("action=keepequal source=a target=b", Action::KeepEqual),
            ("action=dropequal source=a target=b", Action::DropEqual),
            ("action=labelmap regex=a_(.*)", Action::LabelMap),
            ("action=labeldrop regex=a", Action::LabelDrop),
            ("action=labelkeep regex=a", Action::LabelKeep),
            ("action=lowercase source=a target=a", Action::Lowercase),
            ("action=uppercase source=a target=a", Action::Uppercase),
            ("source=a target=a replacement=", Action::Replace),
        ] {
            assert_eq!(rule(value).action, action, "{value}");
        }
        let two = ["--from-scrape=http://h", "--relabel=target=a", "--relabel=target=b"];
        let order: Vec<_> =
            config(&two).pipeline.relabel.into_iter().map(|rule| rule.target).collect();
        assert_eq!(order, ["a", "b"]);
    }

    #[test]
    fn bad_rules() {
        bad_rule("", "expected KEY=VALUE…");
        bad_rule("source=a", "target: replace expects a label name here");
        bad_rule("target=1a", "target: replace expects a label name here");
        bad_rule("target=a-$1", "target: replace expects a label name here");
        bad_rule("target=$", "target: replace expects a label name here");
        bad_rule("action=keepequal target=$1", "target: keepequal expects a label name here");
        bad_rule("action=dropequal source=a", "target: dropequal expects a label name here");
        bad_rule("action=lowercase source=a", "target: lowercase expects a label name here");
        bad_rule(
            "action=uppercase target=a replacement=b",
            "replacement: uppercase does not take it",
        );
        bad_rule("action=keepequal target=a regex=b", "regex: keepequal does not take it");
        bad_rule("action=dropequal target=a separator=b", "separator: dropequal does not take it");
        bad_rule("action=labeldrop source=a", "source: labeldrop does not take it");
        bad_rule("action=labelkeep target=a", "target: labelkeep does not take it");
        bad_rule(
            "action=labelmap replacement=a-b",
            "replacement: labelmap expects a label name here",
        );
        bad_rule(
            "action=hashmod",
            "action=\"hashmod\": hashmod is not supported, since it needs MD5",
        );
        bad_rule(
            "action=labeldorp",
            "action=\"labeldorp\": expected replace, keep, drop, keepequal, dropequal, labelmap, \
             labeldrop, labelkeep, lowercase, uppercase; nearest is labeldrop",
        );
        bad_rule(
            "source=a,,b",
            "source=\"a,,b\": expected names separated by commas, without blanks",
        );
        for rule in ["modulus=8", "action=hashmod modulus=8 source=a", "modulus=8 action=hashmod"] {
            bad_rule(rule, "modulus: hashmod is not supported, since it needs MD5");
        }
        bad_rule("moduli=8", "unknown setting moduli; see --help=relabel");
    }
}
