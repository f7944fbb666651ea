//! Destinations that refuse, stall, reset and come back: what can be saved is saved, in order, and
//! what cannot is counted by reason.

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use support::http::Message;
use support::otlet::{Metrics, Otlet};
use support::remote_write::{RemoteWrite, Samples};
use support::scripted::{page, scripted, Answer, HttpServer, Step};
use support::{static_binary, wait_for, Labels};

/// Series of the page that the tests scrape, beside `up` and the `scrape_` ones.
const PAGE: &str = "a 1\nb{c=\"d\"} 2\n";

fn start(target: &HttpServer, destination: &str, settings: &str, others: &[&str]) -> Otlet {
    let from = format!("--from-scrape={} interval=100ms timeout=100ms", target.url("/metrics"));
    let to = format!("--to-remote-write={destination} batch=50ms {settings}");
    Otlet::start(&[&[from.as_str(), to.as_str(), "--linger=0s"], others].concat())
}

fn status(code: u16) -> Answer {
    Answer::Response(Message::response(code, format!("words of {code}")))
}

/// What came in is where the books say, at any time.
#[track_caller]
fn assert_balanced(metrics: &Metrics) {
    let sum = |name: &str| metrics.sum(name, &[("signal", "metrics")]);
    let [sent, dropped, queued] = [
        sum("otlet_exporter_sent_items_total"),
        sum("otlet_exporter_dropped_items_total"),
        sum("otlet_exporter_queued_items"),
    ];
    assert_eq!(sum("otlet_exporter_items_total"), sent + dropped + queued, "{metrics:?}");
    let [accepted, refused] =
        [sum("otlet_receiver_accepted_items_total"), sum("otlet_receiver_refused_items_total")];
    assert_eq!(sum("otlet_receiver_items_total"), accepted + refused, "{metrics:?}");
}

fn dropped(metrics: &Metrics, reason: &str) -> f64 {
    metrics.sum("otlet_exporter_dropped_items_total", &[("reason", reason)])
}

/// Each series' times only rise: nothing came twice and no retry was overtaken.
#[track_caller]
fn assert_in_order(samples: &Samples) {
    for (series, values) in samples {
        assert!(values.windows(2).all(|pair| pair[0].0 < pair[1].0), "{series:?} {values:?}");
    }
}

/// How many samples of the series `a` arrived.
fn count_of_a(samples: &Samples) -> usize {
    let is_a = |labels: &Labels| labels["__name__"] == "a";
    samples.iter().find(|(labels, _)| is_a(labels)).map_or(0, |(_, values)| values.len())
}

/// The samples that requests from the given one on brought.
fn accepted_from(receiver: &RemoteWrite, first: usize) -> Samples {
    let mut all = Samples::new();
    for series in receiver.requests().into_iter().skip(first).flat_map(|request| request.series) {
        all.entry(series.labels).or_default().extend(series.samples);
    }
    all
}

/// The first requests are answered badly; each is sent again as it was, and then the others follow.
#[track_caller]
fn is_retried(answers: Vec<Answer>, log: &str) {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    let bad = answers.len();
    receiver.http.next(answers);
    let otlet = start(&target, &receiver.url(), "", &[]);
    wait_for("samples after the retry", || {
        (receiver.requests().len() > bad + 2).then_some(()) // the retry, and two more
    });
    let requests = receiver.http.requests();
    for request in &requests[..=bad] {
        assert!(request.body == requests[0].body, "another request overtook the retry");
    }
    assert_in_order(&accepted_from(&receiver, bad));
    let metrics = otlet.metrics();
    assert_balanced(&metrics);
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), 0.0);
    assert_eq!(metrics.sum("otlet_exporter_retries_total", &[]), bad as f64);
    otlet.wait_log(log);
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0));
    assert!(exit.stderr.last().unwrap().contains("everything was sent"), "{:?}", exit.stderr);
}

#[test]
fn server_errors_are_retried() {
    is_retried(vec![status(500)], "500: words of 500");
    is_retried(vec![status(599)], "599");
    is_retried(vec![status(503), status(503)], "503");
    is_retried(vec![status(408)], "408");
}

#[test]
fn too_many_requests_are_retried() {
    is_retried(vec![status(429)], "429: words of 429");
}

#[test]
fn connections_that_break_are_retried() {
    // The first connection is new, so that nothing but the back-off saves it.
    is_retried(vec![Answer::Close], "closed the connection without an answer");
    is_retried(vec![Answer::Reset], "reset");
    let garbage = Message { start: "SSH-2.0-x".to_owned(), ..Message::default() };
    is_retried(vec![Answer::Response(garbage)], "not HTTP");
}

#[test]
fn retry_after_is_obeyed_in_both_forms() {
    const SECONDS: u64 = 3;
    let in_seconds = || SECONDS.to_string();
    // A date has whole seconds only: one more than is to be seen.
    let at_date = || http_date(SECONDS + 1);
    for value in [&in_seconds as &dyn Fn() -> String, &at_date] {
        let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
        receiver.http.next([status_with(429, "retry-after", &value())]);
        let _otlet = start(&target, &receiver.url(), "", &[]);
        receiver.http.wait_requests(1);
        let asked = Instant::now();
        receiver.http.wait_requests(2);
        // Without the header the first retry comes within one second.
        let waited = asked.elapsed();
        assert!(waited > Duration::from_secs(SECONDS - 1), "{waited:?}");
    }
}

fn status_with(code: u16, header: &str, value: &str) -> Answer {
    Answer::Response(Message::response(code, "").with(header, value))
}

/// The date so many seconds from here, as `date` writes it for RFC 9110.
fn http_date(seconds: u64) -> String {
    let mut command = Command::new("date");
    let when = format!("+{seconds} seconds");
    let output =
        command.env("LC_ALL", "C").args(["-u", "-d", &when, "+%a, %d %b %Y %T GMT"]).output();
    String::from_utf8(output.expect("date").stdout).unwrap().trim().to_owned()
}

/// The first request is refused for good: it is dropped once, and the next one is not its retry.
#[track_caller]
fn is_refused(answer: Answer, reason: &str, log: &str) -> Otlet {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    receiver.http.next([answer]);
    let otlet = start(&target, &receiver.url(), "", &[]);
    let requests = receiver.http.wait_requests(3);
    assert!(requests[0].body != requests[1].body, "what is refused is not sent again");
    let metrics = otlet.metrics();
    assert_balanced(&metrics);
    let lost =
        receiver.requests()[0].series.iter().map(|series| series.samples.len()).sum::<usize>();
    assert_eq!(dropped(&metrics, reason), lost as f64, "{metrics:?}");
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), lost as f64);
    assert_eq!(metrics.sum("otlet_exporter_retries_total", &[]), 0.0);
    assert_in_order(&accepted_from(&receiver, 1));
    otlet.wait_log(log);
    otlet
}

#[test]
fn what_is_refused_for_good_is_dropped_once() {
    is_refused(status(400), "refused", "400: words of 400");
    is_refused(status(404), "refused", "404");
    is_refused(status(422), "refused", "422");
    is_refused(status(401), "unauthorized", "401: words of 401");
    is_refused(status(403), "unauthorized", "403");
}

#[test]
fn a_redirect_is_a_refusal() {
    is_refused(status_with(307, "location", "http://127.0.0.1:9/"), "refused", "307");
}

#[test]
fn a_long_refusal_is_shown_shortened_and_not_kept() {
    let words = "<html>".to_owned() + &"x".repeat(10 << 20);
    let otlet =
        is_refused(Answer::Response(Message::response(400, words)), "refused", "400: <html>x");
    let line = otlet.wait_log("400: <html>");
    assert!(line.len() < 1000, "{} characters", line.len());
    // The debug build and its page of own metrics need about 12 MiB.
    assert!(otlet.status("VmHWM") < 20 << 10, "peak of {} KiB", otlet.status("VmHWM"));
}

#[test]
fn a_token_that_is_sent_back_is_not_shown_even_in_part() {
    let token = "s3cr3t".repeat(200);
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    receiver.http.next([Answer::Response(Message::response(401, format!("not known: {token}")))]);
    let otlet = start(&target, &receiver.url(), &format!("bearer={token}"), &[]);
    let line = otlet.wait_log("not known: ");
    assert!(line.contains("****") && !line.contains("s3cr"), "{line}");
}

#[test]
fn what_is_too_large_is_sent_once_more_in_halves() {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    receiver.http.next([status(413)]);
    let otlet = start(&target, &receiver.url(), "", &[]);
    receiver.http.wait_requests(4);
    let requests = receiver.requests();
    let halves = [&requests[1].series[..], &requests[2].series].concat();
    assert_eq!(requests[0].series, halves);
    assert!(!requests[1].series.is_empty() && !requests[2].series.is_empty());
    let metrics = otlet.wait_metrics("everything is sent", |metrics| {
        metrics.sum("otlet_exporter_sent_items_total", &[]) >= halves.len() as f64
    });
    assert_balanced(&metrics);
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), 0.0);
}

#[test]
fn a_half_that_is_still_too_large_is_dropped() {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    receiver.http.next([status(413), status(413)]);
    let otlet = start(&target, &receiver.url(), "", &[]);
    receiver.http.wait_requests(4);
    let requests = receiver.requests();
    assert!(requests[3].series != requests[1].series, "it is not split again");
    let metrics = otlet.metrics();
    assert_eq!(dropped(&metrics, "too_large"), requests[1].series.len() as f64);
    assert_balanced(&metrics);
}

#[test]
fn a_kept_connection_that_died_costs_nothing() {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    let otlet = start(&target, &receiver.url(), "", &[]);
    receiver.http.wait_requests(2);
    assert_eq!(receiver.http.server.connections(), 1, "connections are kept");
    let before = receiver.http.requests().len();
    receiver.http.next([Answer::Close]);
    wait_for("a second connection", || (receiver.http.server.connections() == 2).then_some(()));
    receiver.http.wait_requests(before + 4);
    // The request that met the dead connection was sent again at once, not as a retry.
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_exporter_retries_total", &[]), 0.0);
    assert_eq!(metrics.sum("otlet_exporter_requests_total", &[("code", "error")]), 0.0);
    assert_balanced(&metrics);
}

#[test]
fn a_destination_that_comes_late_gets_everything_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    drop(listener); // nobody listens
    let target = HttpServer::page(PAGE);
    let otlet = start(&target, &url, "", &[]);
    let metrics = otlet.wait_metrics("samples to wait", |metrics| {
        metrics.sum("otlet_exporter_queued_items", &[]) > 30.0
    });
    assert_balanced(&metrics);
    otlet.wait_log("refused");
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    let receiver = RemoteWrite::start_on(TcpListener::bind(address).unwrap());
    let scraped = target.requests().len();
    let samples = receiver.wait_samples("what waited", |samples| count_of_a(samples) >= scraped);
    assert_in_order(&samples);
    let metrics = otlet.metrics();
    assert_eq!(metrics.sum("otlet_exporter_dropped_items_total", &[]), 0.0);
    assert_balanced(&metrics);
}

#[test]
fn what_cannot_be_delivered_in_time_expires() {
    let target = HttpServer::page(PAGE);
    let receiver = HttpServer::start(status(503));
    let otlet = start(&target, &receiver.url("/"), "retry_for=1s", &[]);
    let metrics = otlet.wait_metrics("expiry", |metrics| dropped(metrics, "expired") > 0.0);
    assert_balanced(&metrics);
    otlet.wait_log("not accepted within 1 s");
}

#[test]
fn under_load_the_oldest_goes_and_memory_stays() {
    const LIMIT_KIB: u64 = 4 << 10;
    // Numbers that hardly compress: about 20 bytes of each line stay.
    let number = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let lines: String =
        (0..5_000).map(|at| format!("a{{id=\"{:x}\"}} 0.{}\n", number(at), number(!at))).collect();
    let (target, receiver) = (HttpServer::page(&lines), HttpServer::start(Answer::Hang));
    let from = format!("--from-scrape={} interval=500ms timeout=500ms", target.url("/metrics"));
    let to = format!("--to-remote-write={} batch=50ms timeout=1s", receiver.url("/"));
    // The program as it is shipped: memory is what is asked about.
    let mut command = Command::new(static_binary());
    command.env_clear().args([&from, &to]).args(["--admin=127.0.0.1:0", "--linger=0s"]);
    let otlet = Otlet::spawn(command.args(["--memory-limit=4MiB", "--stop-timeout=1s"]));
    let metrics =
        otlet.wait_metrics("the first drop", |metrics| dropped(metrics, "queue_full") > 0.0);
    assert_balanced(&metrics);
    let first = otlet.status("VmRSS");
    let scraped = target.requests().len();
    target.wait_requests(scraped + 6);
    let metrics = otlet.metrics();
    assert_balanced(&metrics);
    assert!(metrics.sum("otlet_memory_used_bytes", &[]) <= (LIMIT_KIB << 10) as f64);
    let last = otlet.status("VmRSS");
    assert!(last <= LIMIT_KIB + (6 << 10), "{last} KiB, {first} KiB at the first drop");
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0));
    assert!(exit.stderr.last().unwrap().contains("items were not sent"), "{:?}", exit.stderr);
}

#[test]
fn a_dead_destination_costs_its_neighbour_nothing() {
    let (target, good) = (HttpServer::page(PAGE), RemoteWrite::start());
    let hangs = HttpServer::start(Answer::Hang);
    let resets = scripted(vec![vec![Step::Request, Step::Reset]]);
    let others = [
        format!("--to-remote-write={} batch=50ms timeout=500ms name=hangs", hangs.url("/")),
        format!("--to-remote-write={} batch=50ms name=resets", resets.url("/")),
    ];
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let otlet = start(&target, &good.url(), "name=good", &others);
    let samples = good.wait_samples("samples", |samples| count_of_a(samples) > 20);
    assert_in_order(&samples);
    let metrics = otlet.metrics();
    let of = |name: &str, metric: &str| metrics.sum(metric, &[("destination", name)]);
    assert!(of("good", "otlet_exporter_sent_items_total") > 100.0);
    assert_eq!(of("good", "otlet_exporter_retries_total"), 0.0);
    for bad in ["hangs", "resets"] {
        assert_eq!(of(bad, "otlet_exporter_sent_items_total"), 0.0);
        assert!(of(bad, "otlet_exporter_queued_items") > 0.0);
    }
    otlet.wait_log("no answer within 0.5 s");
    assert_balanced(&metrics);
}

#[test]
fn a_page_that_changes_while_a_retry_waits_keeps_its_order() {
    let (target, receiver) = (HttpServer::page("a 1\n"), RemoteWrite::start());
    receiver.http.next([status(503), status(503), Answer::Reset]);
    let _otlet = start(&target, &receiver.url(), "", &[]);
    receiver.http.wait_requests(1);
    target.otherwise(page("a 2\n"));
    let arrived = || accepted_from(&receiver, 3);
    wait_for("the second value", || (count_of_a(&arrived()) > 12).then_some(()));
    let samples = arrived();
    assert_in_order(&samples);
    let a = samples.iter().find(|(labels, _)| labels["__name__"] == "a").unwrap().1;
    let values: Vec<f64> = a.iter().map(|(_, value)| *value).collect();
    assert!(values.is_sorted() && values[0] == 1.0 && values.ends_with(&[2.0]), "{values:?}");
}

/// The head of an answer decides, and what follows it may never come: a request that was taken is
/// not sent again, one that was refused does not hold up the next.
#[test]
fn an_answer_whose_body_never_comes_is_an_answer() {
    for (status, counter, label) in [
        ("200 OK", "otlet_exporter_sent_items_total", ("signal", "metrics")),
        ("422 Bad", "otlet_exporter_dropped_items_total", ("reason", "refused")),
    ] {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n");
        let script = vec![Step::Request, Step::Send(head.into_bytes()), Step::Stall];
        let (target, destination) = (HttpServer::page(PAGE), scripted(vec![script]));
        let otlet = start(&target, &destination.url("/"), "timeout=500ms", &[]);
        let metrics = otlet
            .wait_metrics("two requests", |metrics| metrics.sum(counter, &[label]) >= 2.0 * 7.0);
        assert_balanced(&metrics);
        assert_eq!(metrics.sum("otlet_exporter_retries_total", &[]), 0.0, "{status}");
        let code = [("code", &status[..3])];
        assert!(metrics.sum("otlet_exporter_requests_total", &code) >= 2.0, "{status}");
    }
}

/// `retry_for=0s` sends once: nothing is given up before it was tried.
#[test]
fn zero_retries_is_one_attempt() {
    let (target, receiver) = (HttpServer::page(PAGE), RemoteWrite::start());
    let otlet = start(&target, &receiver.url(), "retry_for=0s", &[]);
    receiver.wait_samples("samples", |samples| count_of_a(samples) > 2);
    receiver.http.next([status(503)]);
    let metrics = otlet.wait_metrics("one lost", |metrics| dropped(metrics, "expired") > 0.0);
    assert_balanced(&metrics);
    let before = count_of_a(&receiver.samples());
    receiver.wait_samples("samples after it", |samples| count_of_a(samples) > before);
    assert_in_order(&receiver.samples());
}
