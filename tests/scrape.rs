//! Scrape to remote write, from outside: what a target shows is what the destination gets.

mod support;

use support::http::Message;
use support::otlet::Otlet;
use support::remote_write::RemoteWrite;
use support::scripted::{page, Answer, HttpServer};
use support::{labels, Labels};

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A destination that gets everything at once, and the flag for it.
fn destination() -> (RemoteWrite, String) {
    let receiver = RemoteWrite::start();
    let flag = format!("--to-remote-write={} batch=50ms", receiver.url());
    (receiver, flag)
}

fn scrape(target: &HttpServer, settings: &str) -> String {
    let url = target.url("/metrics");
    format!("--from-scrape={url} job=web instance=i interval=200ms timeout=200ms {settings}")
        .replace("instance=i", "label.instance=i")
}

/// The labels of a series of the target above.
fn series(name: &str, others: &[(&str, &str)]) -> Labels {
    let mut all = vec![("__name__", name), ("instance", "i"), ("job", "web")];
    all.extend(others);
    labels(&all)
}

/// The values of one series, in order.
fn values(receiver: &RemoteWrite, series: &Labels) -> Vec<f64> {
    let samples = receiver.samples();
    samples.get(series).map_or(Vec::new(), |all| all.iter().map(|(_, value)| *value).collect())
}

fn ends_stale(receiver: &RemoteWrite, series: &Labels) -> bool {
    values(receiver, series).last().is_some_and(|value| value.to_bits() == STALE)
}

#[test]
fn a_page_arrives_with_its_labels_exemplars_and_metadata() {
    let text = "# HELP a_total Things.\n# TYPE a_total counter\n\
        a_total{b=\"x \\\"y\\\" \\\\ \\n\"} 3 # {trace_id=\"t\"} 0.5 12.5\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n\
        # EOF\n";
    // OpenMetrics families leave the suffix out.
    let text = text.replace("HELP a_total", "HELP a").replace("TYPE a_total", "TYPE a");
    let response = Message::response(200, text);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let target = HttpServer::start(Answer::Response(response.with("content-type", content_type)));
    let (receiver, to) = destination();
    let _otlet = Otlet::start(&[&scrape(&target, ""), &to, "--label=region=eu"]);
    let wanted = series("a_total", &[("b", "x \"y\" \\ \n"), ("region", "eu")]);
    receiver.wait_samples("the counter", |samples| samples.contains_key(&wanted));
    let bucket = series("h_bucket", &[("le", "1.0"), ("region", "eu")]);
    assert_eq!(values(&receiver, &bucket)[0], 1.0);
    let requests = receiver.requests();
    let all: Vec<_> = requests.iter().flat_map(|request| &request.series).collect();
    let counter = all.iter().find(|series| series.labels == wanted).unwrap();
    assert_eq!(counter.exemplars, [(labels(&[("trace_id", "t")]), 12_500, 0.5)]);
    let metadata: Vec<_> = requests.iter().flat_map(|request| &request.metadata).collect();
    let family = metadata.iter().find(|metadata| metadata.family == "a").unwrap();
    assert_eq!((family.metric_type, family.help.as_str()), (1, "Things."));
    assert_eq!(metadata.iter().filter(|metadata| metadata.family == "h").count(), 1);
    for name in [
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ] {
        assert!(!values(&receiver, &series(name, &[("region", "eu")])).is_empty(), "{name}");
    }
    let asked = &target.requests()[0];
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert!(asked
        .header("accept")
        .unwrap()
        .starts_with("application/openmetrics-text;version=1.0.0"));
    assert_eq!(asked.header("x-prometheus-scrape-timeout-seconds"), Some("0.2"));
    assert!(asked.header("user-agent").unwrap().starts_with("otlet/"));
}

#[test]
fn a_series_that_vanishes_gets_a_marker_and_so_does_everything_at_the_end() {
    let target = HttpServer::page("a 1\nb 2\n");
    let (receiver, to) = destination();
    let otlet = Otlet::start(&[&scrape(&target, ""), &to, "--linger=0s"]);
    let (a, b, up) = (series("a", &[]), series("b", &[]), series("up", &[]));
    receiver.wait_samples("b", |samples| samples.contains_key(&b));
    target.otherwise(page("a 1\n"));
    receiver.wait_samples("the marker of b", |_| ends_stale(&receiver, &b));
    assert!(!ends_stale(&receiver, &a));
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    assert!(ends_stale(&receiver, &a) && ends_stale(&receiver, &up));
    assert_eq!(values(&receiver, &b).iter().filter(|value| value.to_bits() == STALE).count(), 1);
    for (series, samples) in receiver.samples() {
        assert!(samples.windows(2).all(|pair| pair[0].0 < pair[1].0), "{series:?} {samples:?}");
    }
}

#[test]
fn a_failed_scrape_leaves_nothing_but_up_and_markers() {
    let target = HttpServer::page("a 1\nb 2\n");
    let (receiver, to) = destination();
    let otlet = Otlet::start(&[&scrape(&target, ""), &to]);
    let (a, b, up) = (series("a", &[]), series("b", &[]), series("up", &[]));
    receiver.wait_samples("b", |samples| samples.contains_key(&b));
    // The last line is broken: nothing of the page counts, and c is never heard of.
    target.otherwise(page("a 5\nc 6\nbroken\n"));
    receiver.wait_samples("the marker of b", |_| ends_stale(&receiver, &b));
    assert_eq!(values(&receiver, &up).last(), Some(&0.0));
    assert!(!values(&receiver, &a).contains(&5.0));
    assert!(!receiver.samples().contains_key(&series("c", &[])));
    // a was met in the broken page: it is still there, by the rules.
    assert!(!ends_stale(&receiver, &a));
    let metrics = otlet.metrics();
    assert!(metrics.sum("otlet_receiver_errors_total", &[("reason", "parse")]) >= 1.0);
    assert!(metrics.sum("otlet_receiver_refused_items_total", &[("reason", "parse")]) >= 2.0);
    otlet.wait_log("line 3");
    // Gone altogether: now a ends as well.
    target.otherwise(Answer::Close);
    receiver.wait_samples("the marker of a", |_| ends_stale(&receiver, &a));
    target.otherwise(page("a 7\n"));
    receiver.wait_samples("a again", |_| values(&receiver, &a).last() == Some(&7.0));
    otlet.wait_log("works again");
}

#[test]
fn honoured_labels_and_timestamps() {
    let text = "a{job=\"own\",instance=\"\"} 1\nb 2 1700000000123\n";
    let target = HttpServer::page(text);
    let (first, to_first) = destination();
    let _one = Otlet::start(&[&scrape(&target, "honor_labels=true"), &to_first]);
    let own = labels(&[("__name__", "a"), ("job", "own")]);
    first.wait_samples("the honoured label", |samples| samples.contains_key(&own));
    assert_eq!(first.samples()[&series("b", &[])][0], (1_700_000_000_123, 2.0));
    let (second, to_second) = destination();
    let _two = Otlet::start(&[&scrape(&target, "honor_timestamps=false"), &to_second]);
    let exported = series("a", &[("exported_job", "own")]);
    second.wait_samples("the exported label", |samples| samples.contains_key(&exported));
    assert!(second.samples()[&series("b", &[])][0].0 > 1_700_000_000_123);
}

#[test]
fn filters_limits_and_relabelling() {
    let target = HttpServer::page("go_a 1\nhttp_a{path=\"/x\"} 2\nhttp_b 3\n");
    let (receiver, to) = destination();
    let otlet = Otlet::start(&[
        &scrape(&target, "keep=http_.* drop=.*_b"),
        "--relabel=action=replace source=path regex=/(.*) target=route replacement=r-$1",
        "--relabel=action=labeldrop regex=path",
        &to,
    ]);
    let kept = series("http_a", &[("route", "r-x")]);
    let samples = receiver.wait_samples("the kept series", |samples| samples.contains_key(&kept));
    assert!(samples.keys().all(|labels| !labels["__name__"].starts_with("go")));
    assert_eq!(values(&receiver, &series("scrape_samples_scraped", &[]))[0], 3.0);
    let post = series("scrape_samples_post_metric_relabeling", &[]);
    assert_eq!(values(&receiver, &post)[0], 1.0);
    let metrics = otlet.metrics();
    assert!(metrics.sum("otlet_receiver_refused_items_total", &[("reason", "filtered")]) >= 2.0);
    for (limit, reason) in [
        ("sample_limit=2", "sample_limit"),
        ("label_limit=3", "label_limit"),
        ("body_limit=20", "body_limit"),
    ] {
        let (receiver, to) = destination();
        let otlet = Otlet::start(&[&scrape(&target, limit), &to]);
        let up = series("up", &[]);
        receiver.wait_samples("up", |samples| samples.contains_key(&up));
        assert_eq!(values(&receiver, &up)[0], 0.0, "{limit}");
        assert!(otlet.metrics().sum("otlet_receiver_errors_total", &[("reason", reason)]) >= 1.0);
        assert!(receiver.samples().keys().all(|labels| labels["__name__"] != "http_a"));
        otlet.wait_log(reason);
    }
}

#[test]
fn duplicates_and_the_far_future_are_refused_one_by_one() {
    let target = HttpServer::page("a 1\na 2\nb 3 99999999999999\nc 4 1000\nc 5 2000\n");
    let (receiver, to) = destination();
    let otlet = Otlet::start(&[&scrape(&target, ""), &to]);
    let (a, c) = (series("a", &[]), series("c", &[]));
    receiver.wait_samples("c", |samples| samples.contains_key(&c));
    assert_eq!(values(&receiver, &a)[0], 1.0);
    assert_eq!(receiver.samples()[&c][..2], [(1000, 4.0), (2000, 5.0)]);
    assert_eq!(values(&receiver, &series("up", &[]))[0], 1.0);
    assert!(!receiver.samples().contains_key(&series("b", &[])));
    let metrics = otlet.metrics();
    for reason in ["duplicate", "out_of_bounds"] {
        assert!(metrics.sum("otlet_receiver_refused_items_total", &[("reason", reason)]) >= 1.0);
    }
    let balance = |name| metrics.sum(name, &[("receiver", "scrape")]);
    assert_eq!(
        balance("otlet_receiver_items_total"),
        balance("otlet_receiver_accepted_items_total")
            + balance("otlet_receiver_refused_items_total")
    );
}

#[test]
fn a_redirect_is_followed_without_credentials_to_another_host() {
    let elsewhere = HttpServer::page("a 1\n");
    let moved = Message::response(302, "").with("location", &elsewhere.url("/other?x=1"));
    let target = HttpServer::start(Answer::Response(moved));
    let (receiver, to) = destination();
    let _otlet = Otlet::start(&[&scrape(&target, "username=u password=p"), &to]);
    receiver.wait_samples("the page", |samples| samples.contains_key(&series("a", &[])));
    assert_eq!(target.requests()[0].header("authorization"), Some("Basic dTpw"));
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);
    assert_eq!(elsewhere.requests()[0].target(), "/other?x=1");
}

#[test]
fn connections_are_kept_between_scrapes() {
    let target = HttpServer::page("a 1\n");
    let (_receiver, to) = destination();
    let _otlet = Otlet::start(&[&scrape(&target, ""), &to]);
    target.wait_requests(4);
    assert_eq!(target.server.connections(), 1);
}
