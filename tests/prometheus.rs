//! The reference: a real Prometheus scrapes a target itself and is sent the same target's samples
//! by otlet; then it is asked whether it can tell the two apart.
//!
//! Both add the label `by`. Bucket bounds and quantiles are compared as numbers: Prometheus 2
//! stores them as written, otlet normalises them as Prometheus 3 does. `scrape_series_added` of a
//! failed scrape is left out: Prometheus' cache keeps the series of a page that was thrown away.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::http::{encode, Message};
use support::otlet::Otlet;
use support::peers;
use support::prometheus::Prometheus;
use support::scripted::{page, Answer, HttpServer};
use support::{wait_for, Labels};

/// One second: long enough for a busy machine, short enough for a test.
const SCRAPE: &str = "scrape_interval: 1s, scrape_timeout: 1s";

/// A Prometheus that scrapes `address` as job `t`; `more` are further YAML lines of the job.
fn reference(address: &str, more: &str) -> Prometheus {
    let config = format!(
        "scrape_configs:\n- {{job_name: t, {SCRAPE}, \
         static_configs: [{{targets: ['{address}'], labels: {{by: prometheus}}}}]{more}}}\n"
    );
    Prometheus::start(&config)
}

fn start(prometheus: &Prometheus, address: &str, settings: &str, others: &[&str]) -> Otlet {
    let from = format!(
        "--from-scrape=http://{address}/metrics job=t label.by=otlet interval=1s timeout=1s \
         {settings}"
    );
    let to = format!("--to-remote-write={} batch=100ms", prometheus.write_url());
    Otlet::start(&[&[from.as_str(), &to, "--linger=0s"], others].concat())
}

/// Labels without `by`, bounds as numbers.
fn normal(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.remove("by");
    for name in ["le", "quantile"] {
        if let Some(bound) = labels.get_mut(name) {
            *bound = bound.parse::<f64>().map_or(bound.clone(), |number| number.to_string());
        }
    }
    labels
}

/// The last two values of each series, as bits: a NaN equals itself.
type Stored = BTreeMap<Labels, Vec<u64>>;

/// What one of the two wrote.
fn stored(prometheus: &Prometheus, by: &str) -> Stored {
    let samples = prometheus.samples(&format!("{{by=\"{by}\",job=\"t\"}}[5m]"));
    let bits = |values: Vec<(f64, f64)>| {
        let last = values.iter().rev().take(2);
        last.map(|(_, value)| value.to_bits()).collect()
    };
    samples.into_iter().map(|(labels, values)| (normal(&labels), bits(values))).collect()
}

/// Waits until both have stored the target twice, and compares. Values are compared where both
/// saw them stand still; returns how many that were.
///
/// The two read the target at different times, so a value that stands still for each may have
/// moved in between. That passes with the next scrapes; a value that one of them misread stays.
#[track_caller]
fn assert_alike(prometheus: &Prometheus) -> usize {
    let thrice = |by: &str| {
        let query = format!("count_over_time(up{{by=\"{by}\",job=\"t\"}}[5m]) >= 3");
        !prometheus.query(&query).is_empty()
    };
    wait_for("both to have scraped", || (thrice("otlet") && thrice("prometheus")).then_some(()));
    let mut compared = BTreeSet::new();
    wait_for("equal values", || {
        let [theirs, ours] = ["prometheus", "otlet"].map(|by| stored(prometheus, by));
        let names = |series: &Stored| series.keys().cloned().collect::<BTreeSet<_>>();
        let (their_names, our_names) = (names(&theirs), names(&ours));
        let missing: Vec<_> = their_names.difference(&our_names).collect();
        let added: Vec<_> = our_names.difference(&their_names).collect();
        assert!(missing.is_empty() && added.is_empty(), "missing {missing:#?} added {added:#?}");
        let is_failing = prometheus.query("up").values().any(|up| *up == 0.0);
        let is_still = |values: &[u64]| values.len() == 2 && values[0] == values[1];
        let mut unequal = 0;
        for (labels, values) in &theirs {
            let varies = match labels["__name__"].as_str() {
                "scrape_duration_seconds" => true,
                "scrape_series_added" => is_failing,
                // The exporter's own runtime moves between the two scrapes.
                name => name.starts_with("go_") || name.starts_with("process_"),
            };
            let other = &ours[labels];
            if varies || compared.contains(labels) || !is_still(values) || !is_still(other) {
                continue;
            }
            if values == other {
                compared.insert(labels.clone());
            } else {
                println!("{labels:?}: {values:?} and {other:?}");
                unequal += 1;
            }
        }
        (unequal == 0).then_some(())
    });
    compared.len()
}

/// Exemplars by one of the two: series, exemplar labels, value and time.
fn exemplars(prometheus: &Prometheus, by: &str) -> BTreeSet<String> {
    let query = encode(&format!("{{by=\"{by}\"}}"));
    let data =
        prometheus.api(&format!("/api/v1/query_exemplars?query={query}&start=0&end=9999999999"));
    let mut found = BTreeSet::new();
    for series in data.list() {
        let labels = normal(&series.get("seriesLabels").labels());
        for exemplar in series.get("exemplars").list() {
            let (own, value) = (exemplar.get("labels").labels(), exemplar.get("value").text());
            found.insert(format!("{labels:?} {own:?} {value} {:?}", exemplar.get("timestamp")));
        }
    }
    found
}

#[test]
fn node_exporter() {
    let exporter = peers::node_exporter();
    let address = exporter.address.to_string();
    let prometheus = reference(&address, "");
    let _otlet = start(&prometheus, &address, "", &[]);
    let compared = assert_alike(&prometheus);
    assert!(compared > 200, "only {compared} series stood still");
}

#[test]
fn python_client() {
    let target = peers::python_page();
    let address = target.address.to_string();
    let prometheus = reference(&address, "");
    let _otlet = start(&prometheus, &address, "", &[]);
    let compared = assert_alike(&prometheus);
    assert!(compared > 30, "only {compared} series stood still");
    let [theirs, ours] = ["prometheus", "otlet"].map(|by| exemplars(&prometheus, by));
    assert!(theirs.len() >= 5, "{theirs:?}");
    assert_eq!(theirs, ours);
}

/// What OpenMetrics 1.0 allows, with exemplars that have times and such that have none.
const OPENMETRICS: &str = "# HELP a Say \\\"é\\\".\n# TYPE a counter\n# UNIT a seconds\n\
    # TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n\
    foo_seconds_total{a=\"\\\"\\\\\\n\",b=\"é\"} 17.0 # {trace_id=\"x\"} 0.5\n\
    foo_seconds_created{a=\"\\\"\\\\\\n\",b=\"é\"} 1520430000.123\n\
    # TYPE h histogram\nh_bucket{le=\"0.5\"} 1 # {trace_id=\"y\",span=\"z\"} 0.25\n\
    h_bucket{le=\"1e1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 21.5\nh_count 3\n\
    # TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 4\ngh_bucket{le=\"+Inf\"} 4\n\
    gh_gsum -2\ngh_gcount 4\n\
    # TYPE s summary\ns{quantile=\"0.50\"} 1\ns{quantile=\"0.99\"} NaN\ns_sum 2\ns_count 3\n\
    # TYPE i info\ni_info{version=\"1\"} 1\n# TYPE t stateset\nt{t=\"on\"} 1\nt{t=\"off\"} 0\n\
    # TYPE u unknown\nu -Inf\n# TYPE e gauge\ne{a=\"\"} 1e-300\n# EOF\n";

#[test]
fn openmetrics() {
    let response = Message::response(200, OPENMETRICS.replace("# UNIT a seconds\n", ""));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let target = HttpServer::start(Answer::Response(response.with("content-type", content_type)));
    let address = target.server.address.to_string();
    let prometheus = reference(&address, "");
    let _otlet = start(&prometheus, &address, "", &[]);
    assert!(assert_alike(&prometheus) >= 23);
    // Without a time of its own an exemplar has its scrape's, which the two do not share.
    let without_time = |by: &str| -> BTreeSet<String> {
        let cut = |text: &String| text.rsplit_once(' ').map(|(rest, _)| rest.to_owned());
        exemplars(&prometheus, by).iter().filter_map(cut).collect()
    };
    assert_eq!(without_time("prometheus").len(), 2);
    assert_eq!(without_time("prometheus"), without_time("otlet"));
}

/// What text 0.0.4 allows and few write.
const ODD: &str = "\n \t\n# a comment # HELP\n#HELP x\n# HELP\n\
    # HELP odd_total  two  spaces \\\\ \\n end\n# TYPE odd_total counter\n\
    odd_total{ a = \"1\" , b = \"x\\\"y\\\\z\\n}\" , } 1\nodd_total{a=\"2\"}+5\n\
    odd_total{a=\"\"}\t7\nodd_total { a=\"3\" } 8e-2\nodd:colon_ 1E3\n_under{_l=\"x\"} -0\n\
    inf_a +Inf\ninf_b -inf\nnan_c nan\nlong_number 123456789.123456789\ntiny 4.9e-324\n\
    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"5.0\"} 1\nh_bucket{le=\"1e+06\"} 2\n\
    h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n\
    # TYPE h counter\nh_again 1\ninterleaved{a=\"1\"} 1\nother 2\ninterleaved{a=\"2\"} 3\n\
    utf8{l=\"\u{1F600} ü \"} 1\ntrailing 1 \ncr 1";

#[test]
fn odd_text() {
    let target = HttpServer::page(ODD);
    let address = target.server.address.to_string();
    let prometheus = reference(&address, "");
    let _otlet = start(&prometheus, &address, "", &[]);
    assert!(assert_alike(&prometheus) >= 25);
}

#[test]
fn honour_and_clashing_labels() {
    let text = "a{job=\"own\",instance=\"x\",by=\"page\",exported_by=\"y\"} 1\nup 5\n";
    for honor in [true, false] {
        let target = HttpServer::page(text);
        let address = target.server.address.to_string();
        // Here the two are told apart by a label that the page lacks.
        let more = format!(", honor_labels: {honor}");
        let prometheus = reference(&address, &more.replace("by:", "who:"));
        let _otlet = start(&prometheus, &address, &format!("honor_labels={honor}"), &[]);
        let find = || {
            let found = prometheus.query("a");
            let all: Vec<Labels> = found.keys().cloned().collect();
            (all.len() == if honor { 1 } else { 2 }).then_some(all)
        };
        let all = wait_for("both", find);
        if honor {
            // The page decides everything: both write one and the same series.
            assert_eq!((all[0]["by"].as_str(), all[0]["job"].as_str()), ("page", "own"));
        } else {
            assert_eq!(normal(&all[0]), normal(&all[1]));
            assert_eq!(all[0]["exported_job"], "own");
        }
    }
}

#[test]
fn relabelling_with_the_same_rules() {
    let exporter = peers::node_exporter();
    let address = exporter.address.to_string();
    // As Prometheus reads them, and as otlet does.
    let rules = [
        ("action: keep, source_labels: [__name__], regex: 'node_(cpu|network|filesystem|disk).*'",
         "action=keep source=__name__ regex=node_(cpu|network|filesystem|disk).*"),
        ("action: drop, source_labels: [mode, cpu], separator: '/', regex: 'idle/.*'",
         "action=drop source=mode,cpu separator=/ regex=idle/.*"),
        ("action: replace, source_labels: [device], regex: '([a-z]+)(\\d*)', target_label: kind, \
          replacement: '$1-${2}'",
         "action=replace source=device regex=([a-z]+)(\\d*) target=kind replacement=$1-${2}"),
        ("action: labelmap, regex: 'mode|fstype', replacement: 'x_$0'",
         "action=labelmap regex=mode|fstype replacement=x_$0"),
        ("action: uppercase, source_labels: [mode], target_label: mode",
         "action=uppercase source=mode target=mode"),
        ("action: labeldrop, regex: 'mountpoint|fstype'",
         "action=labeldrop regex=mountpoint|fstype"),
        ("action: replace, source_labels: [nothing], target_label: cpu, replacement: ''",
         "action=replace source=nothing target=cpu replacement=\"\""),
    ];
    let yaml: Vec<String> = rules.iter().map(|(rule, _)| format!("{{{rule}}}")).collect();
    let more = format!(", metric_relabel_configs: [{}]", yaml.join(", "));
    let prometheus = reference(&address, &more);
    let flags: Vec<String> = rules.iter().map(|(_, rule)| format!("--relabel={rule}")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let _otlet = start(&prometheus, &address, "", &flags);
    let names = |by: &str| -> BTreeSet<Labels> {
        let found = prometheus.query(&format!("{{by=\"{by}\",__name__=~\"node.*\"}}"));
        found.keys().map(normal).collect()
    };
    wait_for("both", || {
        (!names("otlet").is_empty() && !names("prometheus").is_empty()).then_some(())
    });
    let (theirs, ours) = (names("prometheus"), names("otlet"));
    assert!(theirs.len() > 20, "{theirs:?}");
    assert!(theirs.iter().any(|labels| labels.contains_key("x_mode") && labels["mode"] == "USER"));
    assert_eq!(theirs, ours);
}

#[test]
fn limits_fail_the_whole_scrape() {
    let text = "a{l=\"1\",m=\"2\"} 1\nb 2\nc 3\n";
    for (theirs, ours) in [
        ("sample_limit: 2", "sample_limit=2"),
        ("label_limit: 4", "label_limit=4"), // l, m, job, instance, by
        ("body_size_limit: 20B", "body_limit=20"),
    ] {
        let target = HttpServer::page(text);
        let address = target.server.address.to_string();
        let prometheus = reference(&address, &format!(", {theirs}"));
        let _otlet = start(&prometheus, &address, ours, &[]);
        assert_alike(&prometheus);
        let up = prometheus.query("up");
        assert!(up.len() == 2 && up.values().all(|value| *value == 0.0), "{theirs}: {up:?}");
        assert!(prometheus.query("{__name__=~\"[abc]\"}").is_empty());
    }
}

#[test]
fn what_vanishes_is_gone_at_once_for_both() {
    let target = HttpServer::page("a 1\nb 2\n");
    let address = target.server.address.to_string();
    let prometheus = reference(&address, "");
    let otlet = start(&prometheus, &address, "", &[]);
    let count = |query: &str| prometheus.query(query).len();
    wait_for("both", || (count("a") == 2 && count("b") == 2).then_some(()));
    target.otherwise(page("a 1\n"));
    // Without a marker an instant query would show b for five minutes.
    wait_for("b to go", || (count("b") == 0 && count("a") == 2).then_some(()));
    target.otherwise(Answer::Close);
    wait_for("a to go", || (count("a") == 0 && count("up == 0") == 2).then_some(()));
    otlet.stop();
    wait_for("otlet's up to go", || (count("up{by=\"otlet\"}") == 0).then_some(()));
    assert_eq!(count("up"), 1);
}
