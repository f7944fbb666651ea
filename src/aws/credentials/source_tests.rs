//! Tests of the order of sources, and of what each refuses.

use super::*;
use crate::aws::environment::tests::environment;

const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKIA1");
const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "s3cret");
const RELATIVE: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1");
const FILE: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
const ROLE: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/web");
const FARGATE: (&str, &str) = ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE");

fn is(variables: &[(&str, &str)], expected: &str) {
    let source = Source::choose(&environment(variables), None);
    let shown = match &source {
        Source::Nothing(reason) => reason.clone(),
        other => other.describe(),
    };
    assert!(shown.contains(expected), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn sources_in_order() {
    is(&[KEY, SECRET, FILE, ROLE, RELATIVE], "environment");
    is(&[("AWS_ACCESS_KEY", "a"), ("AWS_SECRET_KEY", "b")], "environment");
    is(&[SECRET, FILE, ROLE, RELATIVE], "web identity of arn:aws:iam::111122223333:role/web");
    is(&[FILE, RELATIVE], "container endpoint 169.254.170.2");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:81/c");
    is(&[RELATIVE, full], "container endpoint 169.254.170.2");
    is(&[full, FARGATE], "container endpoint 127.0.0.1:81");
    is(&[KEY], "instance metadata");
}

#[test]
fn nothing_says_what_was_missing() {
    is(&[KEY, FILE, FARGATE], "AWS_SECRET_ACCESS_KEY is not set");
    is(&[KEY, FILE, FARGATE], "AWS_ROLE_ARN is not set");
    is(&[FARGATE], "AWS_ACCESS_KEY_ID is not set");
    is(&[FARGATE], "has the task definition a taskRoleArn?), instance metadata (not on Fargate)");
    is(&[("AWS_EC2_METADATA_DISABLED", "true")], "instance metadata (switched off)");
    is(&[KEY, ("AWS_SECRET_ACCESS_KEY", "s3cret\nx"), FARGATE], "AWS_SECRET_ACCESS_KEY holds");
    is(&[FILE, ("AWS_ROLE_ARN", "me"), FARGATE], "`me` is not one");
}

fn host(uri: &str, expected: Result<bool, &str>) {
    let found = container(&environment(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)]));
    match (found, expected) {
        (Some(Ok(Source::Container { must_be_loopback, .. })), Ok(expected)) => {
            assert_eq!(must_be_loopback, expected, "{uri}");
        }
        (Some(Err(error)), Err(expected)) => assert!(error.contains(expected), "{error}"),
        _ => panic!("{uri}"),
    }
}

#[test]
fn hosts_of_container_endpoints() {
    host("https://example.org/c", Ok(false));
    host("http://127.9.9.9:1/c", Ok(false));
    host("http://[::1]/c", Ok(false));
    host("http://169.254.170.2/c", Ok(false));
    host("http://169.254.170.23/v1/credentials", Ok(false));
    host("http://[fd00:ec2::23]/v1/credentials", Ok(false));
    host("http://localhost/c", Ok(true));
    host("http://example.org/c", Ok(true));
    host("http://169.254.169.254/c", Err("not to 169.254.169.254"));
    host("http://10.0.0.1/c", Err("not to 10.0.0.1"));
    host("/c", Err("FULL_URI"));
}

#[test]
fn a_relative_uri_is_a_path() {
    let bad = environment(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil/c")]);
    assert!(matches!(container(&bad), Some(Err(_))));
}

#[test]
fn roles_within_the_limits_of_sts() {
    assert_eq!(check_role(ROLE.1, Some("a:b/c-1")), Ok(()));
    for (arn, id) in [
        ("arn:aws:iam::1:r", "ok"),
        ("urn:aws:iam::111122223333:role/x", "ok"),
        ("arn:aws:iam::111122223333:role/x y", "ok"),
        (ROLE.1, "x"),
        (ROLE.1, "a b"),
        (ROLE.1, &"x".repeat(1225)),
    ] {
        assert!(check_role(arn, Some(id)).is_err(), "{arn} {id}");
    }
}

#[test]
fn session_names_are_made_fit() {
    let named = |name: &str| session_name(&environment(&[("AWS_ROLE_SESSION_NAME", name)]));
    assert_eq!(named("a b/é@c"), "a-b--@c");
    assert_eq!(named(&"x".repeat(99)).len(), 64);
    assert_eq!((named("x"), named("")), ("otlet".to_owned(), "otlet".to_owned()));
}
