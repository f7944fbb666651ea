//! Signed remote write, from outside: the real program, and a server that computes every signature
//! again with botocore, hands credentials out as AWS's endpoints do, and refuses as AWS refuses.

mod support;

use std::process::Command;

use support::http;
use support::otlet::{Exit, Metrics, Otlet};
use support::peers::Peer;
use support::remote_write::RemoteWrite;
use support::scripted::HttpServer;
use support::{python, repository, wait_for, TempDir};

/// The variables of the key that the server knows from the start.
const STATIC: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIASTATIC0000000001"), ("AWS_SECRET_ACCESS_KEY", "static-s3cret/+")];
const TASK: &str = "arn:aws:iam::111122223333:role/task";
const WRITER: &str = "arn:aws:iam::444455556666:role/writer";

/// AWS, and the database behind it.
struct Cloud {
    peer: Peer,
    database: RemoteWrite,
}

impl Cloud {
    fn start() -> Cloud {
        let database = RemoteWrite::start();
        let mut command = python();
        command.arg(repository("tests/aws/server.py"));
        command.arg(database.http.server.address.to_string());
        Cloud { peer: Peer::start_announced(&mut command), database }
    }

    /// `name=value&…`; what there is stands in server.py.
    fn set(&self, settings: &str) {
        assert_eq!(
            http::get(self.peer.address, &format!("/_set?{settings}")).unwrap().status(),
            200
        );
    }

    fn seen(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        Metrics::parse(&http::get(self.peer.address, "/_state").unwrap().text()).sum(name, labels)
    }

    fn wait_seen(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        wait_for(name, || (self.seen(name, labels) >= least).then_some(()));
    }

    /// The flag that sends here.
    fn to(&self, path: &str, settings: &str) -> String {
        let url = self.peer.url(path);
        format!("--to-remote-write={url} batch=50ms sigv4 {settings}")
    }

    /// The variables of a task role.
    fn task(&self) -> [(&'static str, String); 1] {
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.peer.url("/creds"))]
    }
}

const WRITE: &str = "/workspaces/ws-1/api/v1/remote_write";
const KNOWN: &str = "service=aps region=eu-west-1";

/// A page, and the flag that scrapes it.
fn page() -> (HttpServer, String) {
    let page = HttpServer::page("a 1\n");
    let flag = format!("--from-scrape={} interval=200ms timeout=200ms", page.url("/metrics"));
    (page, flag)
}

fn command<V: AsRef<str>>(environment: &[(&str, V)], flags: &[&str]) -> Command {
    let mut command = Otlet::command();
    command.args(["--admin", "127.0.0.1:0"]).args(flags);
    command.envs(environment.iter().map(|(name, value)| (name, value.as_ref())));
    command
}

fn start<V: AsRef<str>>(environment: &[(&str, V)], flags: &[&str]) -> Otlet {
    Otlet::spawn(&mut command(environment, flags))
}

fn check<V: AsRef<str>>(environment: &[(&str, V)], to: &str) -> Exit {
    let exit = Otlet::run(&mut command(environment, &[to, "--check"]));
    shows_no_secret(&exit.stdout);
    shows_no_secret(&exit.stderr);
    exit
}

#[track_caller]
fn shows_no_secret(lines: &[String]) {
    assert!(!lines.iter().any(|line| line.contains("s3cret")), "{lines:#?}");
}

/// Stops it, and looks for secrets in all that it said.
#[track_caller]
fn stop(otlet: Otlet) -> Exit {
    for page in ["/metrics", "/status", "/"] {
        shows_no_secret(&[http::get(otlet.admin(), page).unwrap().text()]);
    }
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    shows_no_secret(&exit.stderr);
    exit
}

/// What was counted of the destination, under any reason.
fn items(metrics: &Metrics, what: &str) -> f64 {
    metrics.sum(&format!("otlet_exporter_{what}"), &[("exporter", "remote-write")])
}

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
    assert!(exit.stdout[0].contains("is the hop limit 2 or more?"), "{:?}", exit.stdout);
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
fn a_wrong_region_or_service_is_said() {
    let cloud = Cloud::start();
    for (settings, place, words) in [
        ("service=aps region=us-east-1", "aps in us-east-1", "scoped to a valid region"),
        ("service=xray region=eu-west-1", "xray in eu-west-1", "scoped to correct service: 'aps'"),
    ] {
        let exit = check(&cloud.task(), &cloud.to(WRITE, settings));
        assert_eq!(exit.status.code(), Some(1));
        let line = &exit.stdout[1];
        assert!(
            line.contains(&format!("403 from {place} to {TASK}")) && line.contains(words),
            "{line}"
        );
        assert!(!line.contains("it needs"), "{line}");
    }
    let words = "The request signature we calculated does not match the signature you provided.";
    let wrong = [STATIC[0], ("AWS_SECRET_ACCESS_KEY", "wrong-s3cret")];
    for sts in [cloud.peer.url("/sts"), "http://127.0.0.1:1".to_owned()] {
        let exit = check(&wrong, &cloud.to(WRITE, &format!("{KNOWN} sts={sts}")));
        assert_eq!(exit.status.code(), Some(1));
        let last = exit.stdout.last().unwrap();
        assert!(last.contains("403") && last.ends_with(words), "{:?}", exit.stdout);
    }
    let off = [STATIC[0], STATIC[1], ("AWS_EC2_METADATA_DISABLED", "true")];
    let exit = check(&off, &cloud.to(WRITE, "service=aps"));
    assert_eq!(exit.status.code(), Some(1));
    assert!(
        exit.stderr[0].contains("neither 127.0.0.1 nor AWS_REGION tells it"),
        "{:?}",
        exit.stderr
    );
}

#[test]
fn addresses_are_signed_as_they_are_sent() {
    let cloud = Cloud::start();
    for path in [
        "/",
        "",
        "//a//b/",
        "/./a/../b",
        "/a%20b/%2F/c",
        "/ü/ሴ",
        "/a+b;c=d@e:f!$&'()*,~-._",
        "/x?b=2&a-1=x&a=1&a=0&e=&sp=a%20b&pl=a%2Bb",
        "/x?q=ü/=+&flag&%e1=1",
        "/x?",
        "/x?a=1&&b",
    ] {
        let exit = check(&cloud.task(), &cloud.to(path, KNOWN));
        assert_eq!(exit.status.code(), Some(0), "{path}: {:?}", exit.stdout);
    }
    assert_eq!(cloud.seen("with_content_sha256", &[]), 0.0);
    cloud.set("service=aoss");
    let exit = check(&cloud.task(), &cloud.to(WRITE, "service=aoss region=eu-west-1"));
    assert_eq!((exit.status.code(), cloud.seen("with_content_sha256", &[])), (Some(0), 1.0));
    let more = "service=aoss region=eu-west-1 header.X-A=\"  a   b \" header.X-Scope-OrgID=t";
    assert_eq!(check(&cloud.task(), &cloud.to(WRITE, more)).status.code(), Some(0));
}

#[test]
fn check_says_whose_credentials_sign() {
    let cloud = Cloud::start();
    let address = cloud.peer.address;
    let metadata = ("ECS_CONTAINER_METADATA_URI_V4", cloud.peer.url("/v4/c"));
    let [task] = cloud.task();
    // The region comes from the task's metadata.
    let exit = check(&[metadata.clone(), task], &cloud.to(WRITE, "service=aps"));
    let expected = [
        "task metadata: ok (demo / web / 0a1b2c3d)".to_owned(),
        format!(
            "remote write to {address}: credentials: ok ({TASK} (container endpoint {address}); \
             signs for aps in eu-west-1)"
        ),
        format!("remote write to {address}: ok (200)"),
        "flags: ok".to_owned(),
    ];
    assert_eq!((exit.status.code(), exit.stdout), (Some(0), expected.into()));

    // Keys do not say whose they are: STS does.
    let sts = ("AWS_ENDPOINT_URL_STS", cloud.peer.url("/sts"));
    let keys = STATIC.map(|(name, value)| (name, value.to_owned()));
    let exit = check(&[&keys[..], &[sts]].concat(), &cloud.to(WRITE, KNOWN));
    let user =
        "credentials: ok (arn:aws:iam::111122223333:user/static (environment); signs for aps";
    assert!(exit.stdout[0].contains(user), "{:?}", exit.stdout);
    // Where it cannot be asked, signing works all the same.
    let nowhere = ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1/".to_owned());
    let exit = check(&[&keys[..], &[nowhere]].concat(), &cloud.to(WRITE, KNOWN));
    assert!(exit.stdout[0].contains("ok (environment, not known whose: "), "{:?}", exit.stdout);
    assert_eq!(exit.status.code(), Some(0));

    let broken = ("ECS_CONTAINER_METADATA_URI_V4", cloud.peer.url("/v4/none"));
    let fargate = ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE".to_owned());
    let exit = check(&[broken, fargate], &cloud.to(WRITE, KNOWN));
    assert_eq!(exit.status.code(), Some(1));
    assert_eq!(exit.stdout[0], format!("task metadata: {address}: status 404"));
    for part in [
        "AWS_ACCESS_KEY_ID is not set",
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set: has the task definition a taskRoleArn?",
        "instance metadata (not on Fargate)",
    ] {
        assert!(exit.stdout[1].contains(part), "{:?}", exit.stdout);
    }
    assert_eq!(exit.stderr, ["otlet: 2 of the checks failed"]);
}

/// The agent's own address, in a network of this test's alone.
#[test]
fn a_relative_uri_means_the_agents_address() {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--map-root-user", "--", "sh"])
        .arg(repository("tests/aws/relative.sh"))
        .arg(repository("tests/.venv/bin/python"))
        .arg(repository("tests/aws/server.py"))
        .arg(env!("CARGO_BIN_EXE_otlet"));
    let exit = Otlet::run(&mut command);
    shows_no_secret(&exit.stdout);
    let credentials = format!(
        "remote write to 169.254.170.2: credentials: ok ({TASK} (container endpoint \
         169.254.170.2); signs for aps in eu-west-1)"
    );
    assert!(exit.stdout.contains(&credentials), "{:?} {:?}", exit.stdout, exit.stderr);
}
