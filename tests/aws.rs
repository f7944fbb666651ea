//! Signed remote write, from outside: the real program, and a server that computes every signature
//! again with botocore, hands credentials out as AWS's endpoints do, and refuses as AWS refuses.

mod support;

use support::aws::{
    aws_before, check, items, page, start, stop, Cloud, KNOWN, STATIC, TASK, WRITE, WRITER,
};
use support::http;
use support::otlet::Metrics;
use support::prometheus::Prometheus;
use support::{otlp, wait_for, TempDir};

/// Runs with these variables and settings until a signed write of `arn` has arrived.
#[track_caller]
fn writes_as(cloud: &Cloud, arn: &str, environment: &[(&str, &str)], settings: &str) {
    let (_page, from) = page();
    let before = cloud.database.requests().len();
    let otlet = start(environment, &[&from, &cloud.to(WRITE, settings)]);
    cloud.wait_seen("writes", &[("arn", arn)], 1.0);
    wait_for("the samples", || (cloud.database.requests().len() > before).then_some(()));
    assert_eq!(items(&otlet.metrics(), "dropped_items_total"), 0.0, "{:?}", otlet.log());
    assert_eq!(cloud.seen("refused", &[]), 0.0, "{:?}", otlet.log());
    stop(otlet);
}

#[test]
fn keys_of_the_environment_sign() {
    let cloud = Cloud::start();
    let arn = "arn:aws:iam::111122223333:user/static";
    writes_as(&cloud, arn, &STATIC, KNOWN);
    cloud.set("session=session-s3cret//%3D%3D");
    let with_token = [STATIC[0], STATIC[1], ("AWS_SESSION_TOKEN", "session-s3cret//==")];
    writes_as(&cloud, arn, &with_token, KNOWN);
}

#[test]
fn a_task_role_signs_with_and_without_a_token() {
    let cloud = Cloud::start();
    let uri = cloud.peer.url("/creds/x");
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str());
    writes_as(&cloud, TASK, &[uri], KNOWN);
    cloud.set("creds_token=auth-s3cret");
    let wrong = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong");
    let text = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "auth-s3cret");
    writes_as(&cloud, TASK, &[uri, text], KNOWN);
    // A file wins over the text, and is read each time.
    let folder = TempDir::new();
    let file = folder.write("token", "auth-s3cret\n");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    writes_as(&cloud, TASK, &[uri, wrong, file], KNOWN);
    let exit = check(&[uri, wrong], &cloud.to(WRITE, KNOWN));
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stdout[0].contains("status 401 AccessDenied wrong token"), "{:?}", exit.stdout);
}

#[test]
fn a_web_identity_signs() {
    let cloud = Cloud::start();
    let folder = TempDir::new();
    let file = folder.write("token", "web-s3cret\n");
    let sts = cloud.peer.url("/sts");
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/web"),
        ("AWS_ENDPOINT_URL_STS", &sts),
        ("AWS_REGION", "eu-west-1"),
    ];
    writes_as(&cloud, environment[1].1, &environment, "service=aps");
    cloud.set("web_token=other");
    let exit = check(&environment, &cloud.to(WRITE, "service=aps"));
    assert_eq!(exit.status.code(), Some(1));
    assert!(
        exit.stdout[0].contains("400 InvalidIdentityToken: No such token"),
        "{:?}",
        exit.stdout
    );
}

#[test]
fn an_instance_role_signs_in_the_regions_name() {
    let cloud = Cloud::start();
    let imds = cloud.peer.url("/");
    let imds = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.as_str());
    let arn = "arn:aws:sts::111122223333:assumed-role/instance-role/i-0";
    // The region is the instance's, too.
    writes_as(&cloud, arn, &[imds], "service=aps");
    assert!(cloud.seen("imds_tokens", &[]) >= 2.0);
    cloud.set("imds=v1");
    writes_as(&cloud, arn, &[imds], KNOWN);
    let no_v1 = ("AWS_EC2_METADATA_V1_DISABLED", "true");
    let exit = check(&[imds, no_v1], &cloud.to(WRITE, KNOWN));
    assert!(exit.stdout[0].contains("instance metadata: status 404"), "{:?}", exit.stdout);
    cloud.set("imds=hang");
    let exit = check(&[imds], &cloud.to(WRITE, KNOWN));
    assert_eq!(exit.status.code(), Some(1));
    for advice in ["is the hop limit 2 or more?", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]
    {
        assert!(exit.stdout[0].contains(advice), "{:?}", exit.stdout);
    }
    let exit = check(&[imds], &cloud.to(WRITE, "service=aps"));
    assert!(exit.stdout[0].contains("write region=NAME or set AWS_REGION"), "{:?}", exit.stdout);
    let to_xray = format!("--to-xray={} region=eu-west-1", cloud.peer.url("/"));
    let keys = [STATIC[0], STATIC[1]];
    let exit = check(&keys, &to_xray);
    let line = format!("xray to {}: credentials: ok (environment", cloud.peer.address);
    assert!(exit.stdout[0].starts_with(&line), "{:?}", exit.stdout);
}

#[test]
fn a_role_is_assumed_with_its_external_id() {
    let cloud = Cloud::start();
    cloud.set("external_id=partner/7");
    let (uri, sts) = (cloud.peer.url("/creds"), cloud.peer.url("/sts"));
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str());
    let role = format!("{KNOWN} sts={sts} role_arn={WRITER}");
    writes_as(&cloud, WRITER, &[uri], &format!("{role} external_id=partner/7"));
    let exit = check(&[uri], &cloud.to(WRITE, &role));
    assert_eq!(exit.status.code(), Some(1));
    let line = &exit.stdout[0];
    let denied =
        "403 AccessDenied: User: arn:aws:iam::111122223333:role/task is not authorized to \
                  perform: sts:AssumeRole";
    assert!(line.contains(WRITER) && line.contains(denied), "{line}");
}

#[test]
fn credentials_are_renewed_before_they_expire() {
    let cloud = Cloud::start();
    cloud.set("lifetime_s=4");
    let (_page, from) = page();
    let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, KNOWN)]);
    cloud.wait_seen("keys_issued", &[], 4.0);
    assert_eq!(cloud.seen("refused", &[]), 0.0, "{:?}", otlet.log());
    assert_eq!(items(&otlet.metrics(), "dropped_items_total"), 0.0);
    stop(otlet);
}

#[test]
fn refused_credentials_are_renewed_and_nothing_is_lost() {
    let cloud = Cloud::start();
    let (_page, from) = page();
    let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, KNOWN)]);
    cloud.wait_seen("writes", &[], 2.0);
    cloud.set("valid_from=2");
    let so_far = cloud.seen("writes", &[]);
    cloud.wait_seen("writes", &[], so_far + 2.0);
    assert_eq!(cloud.seen("refused", &[("code", "ExpiredTokenException")]), 1.0);
    assert_eq!(cloud.seen("keys_issued", &[]), 2.0);
    assert_eq!(items(&otlet.metrics(), "dropped_items_total"), 0.0, "{:?}", otlet.log());
    stop(otlet);
}

#[test]
fn a_source_that_keeps_handing_out_what_has_expired_costs_one_retry() {
    let cloud = Cloud::start();
    cloud.set("valid_from=1000");
    let (_page, from) = page();
    let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, KNOWN)]);
    let line = otlet.wait_log("its credentials have expired, others are due; ");
    assert!(line.contains("samples wait"), "{line}");
    cloud.wait_seen("refused", &[("code", "ExpiredTokenException")], 2.0);
    cloud.set("valid_from=0");
    cloud.wait_seen("writes", &[], 2.0);
    stop(otlet);
}

#[test]
fn what_waits_for_credentials_arrives_when_they_come() {
    let cloud = Cloud::start();
    cloud.set("creds_status=500");
    let (_page, from) = page();
    let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, KNOWN)]);
    let line = otlet.wait_log("samples wait");
    let source =
        format!("container endpoint {}: status 500 NoCredentials not yet", cloud.peer.address);
    assert!(line.contains(&source), "{line}");
    otlet.wait_metrics("a queue", |metrics| items(metrics, "queued_items") >= 20.0);
    assert_eq!(items(&otlet.metrics(), "requests_total"), 0.0, "no server has answered");
    let told = otlet.log().iter().filter(|line| line.contains("NoCredentials")).count();
    assert!(told <= 2, "{:#?}", otlet.log());
    cloud.set("creds_status=200");
    otlet.wait_log("works again");
    otlet.wait_metrics("an empty queue", |metrics| {
        let sent = items(metrics, "sent_items_total");
        sent >= 20.0 && items(metrics, "queued_items") < 12.0
    });
    let metrics = otlet.metrics();
    assert_eq!(items(&metrics, "dropped_items_total"), 0.0);
    stop(otlet);
    // Each scrape's sample is there, in order.
    let samples = cloud.database.samples();
    let (_, a) = samples.iter().find(|(labels, _)| labels["__name__"] == "a").unwrap();
    assert!(a.windows(2).all(|pair| (1..1000).contains(&(pair[1].0 - pair[0].0))), "{a:?}");
}

#[test]
fn a_clock_that_is_wrong_is_corrected() {
    for skew_s in ["900", "-900"] {
        let cloud = Cloud::start();
        cloud.set(&format!("skew_s={skew_s}"));
        let (_page, from) = page();
        let sts = cloud.peer.url("/sts");
        let settings = format!("{KNOWN} role_arn={WRITER} sts={sts}");
        let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, &settings)]);
        cloud.wait_seen("writes", &[("arn", WRITER)], 3.0);
        // STS is the first to refuse; what it teaches holds for the destination.
        assert_eq!(cloud.seen("sts_refused", &[]), 1.0);
        assert_eq!(cloud.seen("refused", &[]), 0.0);
        cloud.set("skew_s=0");
        let so_far = cloud.seen("writes", &[]);
        cloud.wait_seen("writes", &[], so_far + 2.0);
        assert_eq!(cloud.seen("refused", &[("code", "InvalidSignatureException")]), 1.0);
        assert_eq!(items(&otlet.metrics(), "dropped_items_total"), 0.0, "{:?}", otlet.log());
        otlet.wait_log("the clock differs from the server's");
        stop(otlet);
    }
}

#[test]
fn a_refusal_names_role_service_region_and_permission() {
    let cloud = Cloud::start();
    cloud.set("deny=yes");
    let (_page, from) = page();
    let otlet = start(&cloud.task(), &[&from, &cloud.to(WRITE, KNOWN)]);
    let line = otlet.wait_log("403 from");
    for part in [
        &format!("403 from aps in eu-west-1 to {TASK} (container endpoint"),
        "AccessDeniedException User: arn:aws:sts::111122223333:assumed-role/task/x is not",
        "; it needs aps:RemoteWrite; dropped",
    ] {
        assert!(line.contains(part), "{line}");
    }
    // A role that lacks a permission stays so: its credentials are not fetched for each request.
    cloud.wait_seen("keys_issued", &[], 2.0);
    cloud.wait_seen("refused", &[], cloud.seen("refused", &[]) + 6.0);
    assert_eq!(cloud.seen("keys_issued", &[]), 2.0);
    let dropped =
        otlet.metrics().sum("otlet_exporter_dropped_items_total", &[("reason", "unauthorized")]);
    assert!(dropped > 0.0);
    // A server that repeats what it was sent makes no secret known.
    cloud.set("echo=yes");
    otlet.wait_log("X-Amz-Security-Token: ***");
    cloud.set("echo=&deny=");
    cloud.wait_seen("writes", &[], 1.0);
    stop(otlet);
}

#[test]
fn a_stop_does_not_wait_for_credentials() {
    let cloud = Cloud::start();
    cloud.set("imds=hang");
    let (_page, from) = page();
    let imds = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.peer.url(""))];
    let flags = [&from, &cloud.to(WRITE, KNOWN), "--stop-timeout=2s", "--linger=0s"];
    let otlet = start(&imds, &flags);
    otlet.wait_metrics("a queue", |metrics| items(metrics, "queued_items") >= 6.0);
    let exit = stop(otlet);
    assert!(exit.took.as_secs_f64() < 4.0, "{:?}", exit.took);
    assert!(exit.stderr.last().unwrap().contains("items were not sent"), "{:?}", exit.stderr);
}

#[test]
fn prometheus_takes_what_passes_the_signature_check() {
    let prometheus = Prometheus::start("");
    let aws = aws_before(&prometheus.address.to_string());
    let (_page, from) = page();
    let to = format!("--to-remote-write={} batch=50ms sigv4 {KNOWN}", aws.url(WRITE));
    let credentials = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.url("/creds"))];
    let otlet = start(&credentials, &[&from, &to]);
    let up = || prometheus.api("/api/v1/query?query=count_over_time(a[1m])");
    wait_for("samples in Prometheus", || (!up().get("result").list().is_empty()).then_some(()));
    let seen = http::get(aws.address, "/_state").unwrap().text();
    assert_eq!(Metrics::parse(&seen).sum("refused", &[]), 0.0, "{seen}");
    stop(otlet);
}

#[test]
fn an_otlp_endpoint_is_signed_for() {
    let cloud = Cloud::start();
    cloud.set("service=xray");
    let to = format!("--to-otlp={} signals=traces batch=50ms sigv4", cloud.peer.url(""));
    // What is signed is the body as it is sent, compressed or not.
    for settings in ["", "compression=none"] {
        let to = format!("{to} service=xray region=eu-west-1 {settings}");
        let otlet = start(&STATIC, &["--from-otlp=grpc=off http=127.0.0.1:0", &to]);
        let line = otlet.wait_log("otlp: listening for http on ");
        let address = line.rsplit(' ').next().unwrap().parse().expect("an address");
        let before = cloud.seen("writes", &[]);
        for name in ["a", "b"] {
            assert_eq!(otlp::post(address, "traces", &otlp::span(name)), 200);
        }
        cloud.wait_seen("writes", &[], before + 1.0);
        otlet.wait_metrics("both spans", |metrics| {
            metrics.sum("otlet_exporter_sent_items_total", &[("signal", "traces")]) == 2.0
        });
        assert_eq!(cloud.seen("refused", &[]), 0.0, "{:?}", otlet.log());
        stop(otlet);
    }
    // Neither a setting nor the host says which service it is.
    let exit = check(&STATIC, &to);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.iter().any(|line| line.contains("service=")), "{:?}", exit.stderr);
    let exit = check(&STATIC, &format!("{to} service=xray region=eu-west-1"));
    assert!(exit.stdout[0].starts_with("otlp traces to 127.0.0.1:"), "{:?}", exit.stdout);
    assert!(exit.stdout[0].contains("credentials: ok"), "{:?}", exit.stdout);
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stdout);
}
