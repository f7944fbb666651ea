//! Tests of settings, addresses, and what refusals lead to.

use super::*;
use crate::aws::environment::tests::environment;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s3c")];
const OFF: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");
const AMP: &str =
    "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write";

fn aws(variables: &[(&str, &str)]) -> Rc<Aws> {
    Aws::new(environment(variables), Rc::default())
}

fn signer(aws: &Rc<Aws>, config: SigV4Config, url: &str) -> Result<Signer, String> {
    Signer::new(aws, &config, &Url::parse(url).unwrap(), None)
}

fn refusal<'a>(status: u16, date: Option<&'a str>, body: &'a str) -> Refusal<'a> {
    Refusal { status, date, error_type: None, body }
}

#[test]
fn settings() {
    let aws = aws(&[KEYS[0], KEYS[1], OFF]);
    let bad = |config: SigV4Config, url: &str, message: &str| {
        let error = signer(&aws, config, url).err().unwrap_or_default();
        assert!(error.contains(message), "{error}");
    };
    let none = SigV4Config::default;
    let some = |text: &str| Some(text.to_owned());
    bad(none(), "http://proxy.local/", "write service=NAME");
    bad(SigV4Config { service: some("aps"), ..none() }, "http://proxy.local/", "write region=");
    bad(SigV4Config { region: some("a/b"), ..none() }, AMP, "like eu-west-1");
    bad(SigV4Config { role_arn: some("me"), ..none() }, AMP, "role_arn");
    bad(SigV4Config { external_id: some("me"), ..none() }, AMP, "needs role_arn=");
    let found = signer(&aws, none(), AMP).unwrap();
    assert_eq!(
        (found.service.as_str(), found.region.borrow().as_deref()),
        ("aps", Some("eu-west-1"))
    );
}

#[test]
fn providers_are_shared() {
    let aws = aws(&[OFF]);
    let arn = Some("arn:aws:iam::111122223333:role/x".to_owned());
    let role = SigV4Config { role_arn: arn, ..Default::default() };
    let other = SigV4Config { external_id: Some("id".to_owned()), ..role.clone() };
    let of = |config: &SigV4Config| aws.provider(config);
    assert!(Rc::ptr_eq(&of(&role), &of(&role)));
    assert!(!Rc::ptr_eq(&of(&role), &of(&other)));
    assert!(!Rc::ptr_eq(&of(&role), &of(&SigV4Config::default())));
    assert_eq!(aws.providers.borrow().len(), 3);
}

#[test]
fn addresses_are_sent_as_they_are_signed() {
    for (url, expected) in [
        ("https://A.b:443//x/../y//?b=1&a=x+y/&", "https://a.b/y/?a=x%20y%2F&b=1"),
        ("http://a:443/x?", "http://a:443/x"),
        ("http://a:80", "http://a/"),
        ("https://a/x%20y", "https://a/x%20y"),
    ] {
        let once = signable(Url::parse(url).unwrap());
        assert_eq!(once.to_string(), expected);
        assert_eq!(signable(once.clone()), once);
    }
}

#[test]
fn a_request_is_signed_in_place() {
    crate::net::run(async {
        let aws = aws(&KEYS);
        let signer = signer(&aws, SigV4Config::default(), AMP).unwrap();
        let mut lines = "Content-Type: text/plain\r\nUser-Agent: x\r\n".to_owned();
        let url = Url::parse(AMP).unwrap();
        let body = vec![7; 3 * TURN_BYTES_MAX + 1];
        signer.sign("POST", &url, &mut lines, &[&body, b"x"], 0).await.unwrap();
        assert!(lines.starts_with("Content-Type: text/plain\r\nUser-Agent: x\r\nAuthorization: "));
        let scope = "/19700101/eu-west-1/aps/aws4_request, SignedHeaders=content-type;";
        assert!(lines.contains(scope));
        assert!(lines.ends_with("\r\nX-Amz-Date: 19700101T000000Z\r\n"));
        assert_eq!(hash(&[&body, b"x"]).await, PayloadHash::of(&[&body, b"x"]));
    });
}

#[test]
fn refusals_renew_once_a_minute_and_correct_the_clock() {
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c");
    let task = aws(&[relative]);
    let signer_of = |aws: &Rc<Aws>| signer(aws, SigV4Config::default(), AMP).unwrap();
    let task_signer = signer_of(&task);
    assert_eq!(task_signer.observe(&refusal(200, None, ""), 0), Advice::None);
    assert_eq!(task_signer.observe(&refusal(400, None, ""), 0), Advice::None);
    assert_eq!(task_signer.observe(&refusal(403, None, ""), 0), Advice::RetryWithFreshCredentials);
    assert_eq!(task_signer.observe(&refusal(403, None, ""), 0), Advice::None);
    let stale = r#"{"__type":"ExpiredTokenException"}"#;
    assert_eq!(
        signer_of(&task).observe(&refusal(400, None, stale), 0),
        Advice::RetryWithFreshCredentials
    );
    let date = Some("Fri, 02 Jan 1970 00:00:00 GMT");
    assert_eq!(task_signer.observe(&refusal(403, date, ""), 0), Advice::ClockCorrected);
    assert_eq!(task.skew.get().offset_ms(), 86_400_000);
    // Keys in the environment stay what they are.
    assert_eq!(signer_of(&aws(&KEYS)).observe(&refusal(403, None, ""), 0), Advice::None);
}

#[test]
fn a_refusal_says_who_where_and_what() {
    let signer = signer(&aws(&KEYS), SigV4Config::default(), AMP).unwrap();
    assert_eq!(
        signer.describe_denied(&refusal(403, None, r#"{"message":"User is not allowed"}"#)),
        "403 from aps in eu-west-1 to environment: User is not allowed; it needs aps:RemoteWrite"
    );
    let other =
        r#"{"__type":"AccessDenied","message":"not authorized to perform: kms:Decrypt on"}"#;
    assert!(signer.describe_denied(&refusal(403, None, other)).ends_with("; it needs kms:Decrypt"));
    let wrong =
        signer.describe_denied(&refusal(403, None, r#"{"__type":"SignatureDoesNotMatch"}"#));
    assert!(wrong.ends_with("environment: SignatureDoesNotMatch"), "{wrong}");
    assert!(signer.describe_denied(&refusal(401, None, "")).ends_with(": no reason given"));
}
