//! Known answers: what Prometheus' documentation says of each action, and its edges.

use super::*;
use crate::model::Label;

/// A rule of `action` with the fields in `fields`, the others as they are by default.
fn config(action: Action, fields: &[(&str, &str)]) -> RelabelConfig {
    let mut config = RelabelConfig { action, ..RelabelConfig::default() };
    for &(field, text) in fields {
        match field {
            "source" => config.source = text.split(',').map(str::to_owned).collect(),
            "separator" => config.separator = text.to_owned(),
            "regex" => config.regex = text.to_owned(),
            "target" => config.target = text.to_owned(),
            "replacement" => config.replacement = text.to_owned(),
            other => panic!("no field {other}"),
        }
    }
    config
}

/// Applies `rules` to `before`, written `name=value` and separated by blanks.
fn apply(before: &str, rules: &[RelabelConfig]) -> Option<String> {
    let mut labels = OwnedLabels::default();
    let pairs: Vec<_> = before.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
    labels.assign(&pairs.iter().map(|(name, value)| Label::new(name, value)).collect::<Vec<_>>());
    let rules = Rules::compile(rules).unwrap();
    rules.apply(&mut labels).then(|| {
        let mut after: Vec<_> =
            labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        after.sort();
        after.join(" ")
    })
}

fn gives(action: Action, fields: &[(&str, &str)], before: &str, after: &str) {
    let result = apply(before, &[config(action, fields)]);
    assert_eq!(result.as_deref(), Some(after), "{action:?} {fields:?} on {before}");
}

fn drops(action: Action, fields: &[(&str, &str)], before: &str) {
    let result = apply(before, &[config(action, fields)]);
    assert_eq!(result, None, "{action:?} {fields:?} on {before}");
}

use Action::*;

#[test]
fn replace_writes_the_expanded_replacement() {
    let f = |fields: &[(&str, &str)], before, after| gives(Replace, fields, before, after);
    f(&[("source", "a"), ("target", "b")], "a=1", "a=1 b=1");
    f(&[("source", "a"), ("target", "a"), ("replacement", "x${1}y")], "a=1", "a=x1y");
    f(&[("source", "a,b"), ("target", "c")], "a=1 b=2", "a=1 b=2 c=1;2");
    f(&[("source", "a,no,b"), ("target", "c")], "a=1 b=2", "a=1 b=2 c=1;;2");
    f(&[("source", "a,b"), ("separator", ""), ("target", "c")], "a=1 b=2", "a=1 b=2 c=12");
    f(&[("source", "a"), ("regex", "f(.*)"), ("target", "b")], "a=foo", "a=foo b=oo");
    f(&[("source", "a"), ("regex", "o(.*)"), ("target", "b")], "a=foo", "a=foo");
    f(&[("source", "a"), ("regex", "(.*):.*"), ("target", "h")], "a=h:80", "a=h:80 h=h");
    // The target is a template too.
    f(
        &[("source", "a"), ("regex", "(.+)-(.+)"), ("target", "l_$1"), ("replacement", "$2")],
        "a=x-y",
        "a=x-y l_x=y",
    );
    f(
        &[("source", "a"), ("regex", "(.+)"), ("target", "${1}"), ("replacement", "v")],
        "a=n",
        "a=n n=v",
    );
}

#[test]
fn replace_without_source_sets_a_constant() {
    gives(Replace, &[("target", "b"), ("replacement", "x")], "a=1", "a=1 b=x");
    gives(Replace, &[("source", "no"), ("target", "b"), ("replacement", "x")], "a=1", "a=1 b=x");
    gives(Replace, &[("target", "a"), ("replacement", "")], "a=1 b=2", "b=2");
}

#[test]
fn replace_by_nothing_removes_and_by_a_bad_name_does_nothing() {
    gives(Replace, &[("source", "no"), ("target", "a")], "a=1 b=2", "b=2");
    gives(Replace, &[("source", "a"), ("regex", "x"), ("target", "a")], "a=1", "a=1");
    gives(Replace, &[("source", "a"), ("regex", "1"), ("target", "a")], "a=1 b=2", "b=2");
    gives(Replace, &[("source", "a"), ("regex", "1"), ("target", "$1")], "a=1", "a=1");
    gives(Replace, &[("source", "a"), ("target", "not legacy-é")], "a=1", "a=1 not legacy-é=1");
}

#[test]
fn keep_and_drop() {
    gives(Keep, &[("source", "a"), ("regex", "foo|bar")], "a=bar", "a=bar");
    drops(Keep, &[("source", "a"), ("regex", "foo|bar")], "a=bars");
    drops(Keep, &[("source", "a"), ("regex", "foo|bar")], "b=foo");
    drops(Drop, &[("source", "__name__"), ("regex", "go_.*")], "__name__=go_gc");
    gives(Drop, &[("source", "__name__"), ("regex", "go_.*")], "__name__=up", "__name__=up");
    gives(Drop, &[("source", "__name__"), ("regex", "p")], "__name__=up", "__name__=up");
    drops(Drop, &[("source", "a,b"), ("regex", "1;2")], "a=1 b=2");
    drops(Drop, &[("source", "no"), ("regex", "")], "a=1");
    gives(Keep, &[], "a=1", "a=1");
    drops(Drop, &[], "a=1");
}

#[test]
fn keepequal_and_dropequal_compare_with_the_target() {
    let fields = &[("source", "a"), ("target", "b")];
    gives(KeepEqual, fields, "a=1 b=1", "a=1 b=1");
    drops(KeepEqual, fields, "a=1 b=2");
    drops(KeepEqual, fields, "a=1");
    gives(KeepEqual, fields, "c=1", "c=1");
    drops(DropEqual, fields, "a=1 b=1");
    gives(DropEqual, fields, "a=1 b=2", "a=1 b=2");
    drops(DropEqual, fields, "c=1");
    drops(DropEqual, &[("source", "a,c"), ("target", "b")], "a=1 b=1;2 c=2");
}

#[test]
fn labelmap_copies_under_a_new_name() {
    let f = |fields: &[(&str, &str)], before, after| gives(LabelMap, fields, before, after);
    f(&[("regex", "__meta_(.+)")], "__meta_x=1 y=2", "__meta_x=1 x=1 y=2");
    f(&[("regex", "(a)"), ("replacement", "x_$1")], "a=1 b=2", "a=1 b=2 x_a=1");
    f(&[("regex", "a(.*)")], "a=1 ab=2", "a=1 ab=2 b=2");
    f(&[("regex", "[ab]"), ("replacement", "c")], "a=1 b=2 c=3", "a=1 b=2 c=2");
    // Values are those from before the rule: a shift, not a cascade.
    f(&[("regex", "x(1*)"), ("replacement", "x${1}1")], "x=a x1=b", "x11=b x1=a x=a");
    f(&[], "a=1", "a=1");
}

#[test]
fn labeldrop_and_labelkeep_look_at_names() {
    gives(LabelDrop, &[("regex", "a.*")], "a=1 ab=2 ba=3", "ba=3");
    gives(LabelDrop, &[("regex", "(b)")], "a=1 ab=2", "a=1 ab=2");
    gives(LabelKeep, &[("regex", "a.*|__name__")], "__name__=up a=1 b=2", "__name__=up a=1");
    gives(LabelKeep, &[("regex", "no")], "a=1", "");
}

#[test]
fn case_is_mapped_character_by_character() {
    let fields = &[("source", "a"), ("target", "b")];
    gives(Lowercase, fields, "a=AbÉΣ", "a=AbÉΣ b=abéσ");
    gives(Lowercase, fields, "a=İ", "a=İ b=i");
    gives(Uppercase, fields, "a=abéß", "a=abéß b=ABÉß");
    gives(Uppercase, fields, "b=2", "");
    gives(Uppercase, &[("source", "a,c"), ("target", "a")], "a=x c=y", "a=X;Y c=y");
}

#[test]
fn rules_run_in_order_until_one_drops() {
    let rename = config(Replace, &[("source", "a"), ("target", "b")]);
    let remove = config(LabelDrop, &[("regex", "a")]);
    let drop = config(Drop, &[("source", "b"), ("regex", "1")]);
    assert_eq!(apply("a=1", &[rename.clone(), remove.clone()]).as_deref(), Some("b=1"));
    assert_eq!(apply("a=1", &[remove.clone(), rename.clone()]).as_deref(), Some(""));
    assert_eq!(apply("a=1", &[drop.clone(), rename.clone()]).as_deref(), Some("a=1 b=1"));
    assert_eq!(apply("a=1", &[rename, drop, remove]), None);
    assert_eq!(apply("a=1", &[]).as_deref(), Some("a=1"));
}

#[test]
fn texts_that_would_outgrow_the_limit_are_left_alone() {
    let double = config(Replace, &[("source", "a"), ("target", "a"), ("replacement", "$1$1")]);
    let after = apply("a=x", &vec![double; 40]).unwrap();
    assert_eq!(after.len(), "a=".len() + TEXT_BYTES_MAX);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let bad = |action, fields: &[(&str, &str)], hint: &str| {
        let error = Rule::compile(&config(action, fields)).unwrap_err();
        assert!(error.contains(hint), "{error}");
    };
    for action in [Replace, Lowercase, Uppercase, KeepEqual, DropEqual] {
        bad(action, &[("source", "a")], "target");
    }
    bad(KeepEqual, &[("target", "a"), ("regex", "x")], "nothing else");
    bad(DropEqual, &[("target", "a"), ("separator", "x")], "nothing else");
    bad(LabelDrop, &[("source", "a"), ("regex", "x")], "nothing else");
    bad(LabelKeep, &[("target", "a"), ("regex", "x")], "nothing else");
    bad(LabelKeep, &[("replacement", "a"), ("regex", "x")], "nothing else");
    bad(LabelMap, &[("replacement", "")], "replacement");
    bad(Keep, &[("regex", "(")], "regex '('");
    bad(Keep, &[("regex", r"\p{L}+")], "not supported");
}
