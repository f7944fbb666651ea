//! `--check` before AWS: whose credentials sign, what is wrong where a write is refused, and that
//! whatever address is given is signed as it is sent; see tests/aws.rs.

mod support;

use std::process::Command;

use support::aws::{check, shows_no_secret, Cloud, KNOWN, STATIC, TASK, WRITE};
use support::otlet::Otlet;
use support::repository;

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
