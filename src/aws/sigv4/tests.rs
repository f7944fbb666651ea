//! Signatures of AWS's public test suite (`aws-sig-v4-test-suite`) as botocore computes them, and
//! vectors with intermediate results of their own.

use super::*;

const SUITE_MS: i64 = 1_440_938_160_000;
const SUITE_SCOPE: Scope<'_> = Scope { region: "us-east-1", service: "service" };
const SUITE_TOKEN: &str =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWH\
                           GBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4I\
                           C1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8\
                           YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc\
                           8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

fn keys(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned(),
        session_token: token.map(str::to_owned),
        expires_ms: None,
        role: None,
    }
}

fn suite_keys(token: Option<&str>) -> Credentials {
    keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
}

struct Case<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    scope: Scope<'a>,
    token: Option<&'a str>,
}

fn get(target: &str) -> Case<'_> {
    Case { method: "GET", target, headers: &[], body: "", scope: SUITE_SCOPE, token: None }
}

/// Signs, and expects these names and this signature.
fn ok(case: &Case<'_>, names: &str, signature: &str) {
    let request = Request {
        method: case.method,
        host: "example.amazonaws.com",
        target: case.target,
        headers: case.headers,
        payload_hash: &PayloadHash::of(&[case.body.as_bytes()]),
    };
    let mut lines = String::new();
    SigV4::default().sign(&request, &suite_keys(case.token), case.scope, SUITE_MS, &mut lines);
    let service = case.scope.service;
    let expected = format!(
        "Authorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, \
         SignedHeaders={names}, Signature={signature}\r\nX-Amz-Date: 20150830T123600Z\r\n"
    );
    assert!(lines.starts_with(&expected), "{}\n{lines}\n{expected}", case.target);
}

#[test]
fn suite_paths_and_queries() {
    let plain = "host;x-amz-date";
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    ok(&get("/"), plain, vanilla);
    ok(&get("/example1/example2/../.."), plain, vanilla);
    ok(&get("/./"), plain, vanilla);
    ok(
        &get("/?Param2=value2&Param1=value1"),
        plain,
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
    ok(&get("/ሴ"), plain, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
    ok(
        &get("//example//"),
        plain,
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    );
    ok(
        &get("/example%20space/"),
        plain,
        "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662",
    );
    ok(
        &get("/-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        plain,
        "98964e1079ce472101899439653197a4f6e602f30cd6aaf6c76d81b4fd9866fe",
    );
}

#[test]
fn suite_headers_and_bodies() {
    ok(
        &Case { method: "POST", ..get("/") },
        "host;x-amz-date",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    );
    ok(
        &Case {
            method: "POST",
            headers: &[("Content-Type", "application/x-www-form-urlencoded")],
            body: "Param1=value1",
            ..get("/")
        },
        "content-type;host;x-amz-date",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    );
    let spaced = [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\" ")];
    ok(
        &Case { headers: &spaced, ..get("/") },
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    );
    let repeated = [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")];
    ok(
        &Case { headers: &repeated, ..get("/") },
        "host;my-header1;x-amz-date",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    );
    ok(
        &Case { method: "POST", token: Some(SUITE_TOKEN), ..get("/") },
        "host;x-amz-date;x-amz-security-token",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    );
}

#[test]
fn s3_wants_the_hash_and_its_path_as_it_is() {
    let case = Case {
        method: "PUT",
        body: "hello",
        scope: Scope { service: "s3", ..SUITE_SCOPE },
        ..get("/a//../b%20c?x=1")
    };
    ok(
        &case,
        "host;x-amz-content-sha256;x-amz-date",
        "8c7c306bb9560943b87530c8f5e7154956aabf1161d597b37babdaa4058963de",
    );
}

/// Hash of the canonical request, lines.
fn steps(request: &Request<'_>, service: &str, token: Option<&str>) -> (String, String) {
    let secret = "examplesecretkeyforunittests0123456789AB";
    let credentials = keys("AKIATESTEXAMPLE00001", secret, token);
    let (mut signer, mut lines) = (SigV4::default(), String::new());
    let scope = Scope { region: "eu-west-1", service };
    signer.sign(request, &credentials, scope, 1_767_323_045_999, &mut lines);
    (PayloadHash::of(&[signer.canonical.as_bytes()]), lines)
}

#[test]
fn a_remote_write() {
    let request = Request {
        method: "POST",
        host: "aps-workspaces.eu-west-1.amazonaws.com",
        target: "/workspaces/ws-00000000-0000-0000-0000-000000000000/api/v1/remote_write",
        headers: &[
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ],
        payload_hash: &PayloadHash::of(&[b"hello", b"", b" world"]),
    };
    assert_eq!(
        request.payload_hash,
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    );
    let (canonical, lines) = steps(&request, "aps", None);
    assert_eq!(canonical, "0a88d7b4118cd8867f8c4bfb1ba25323a4458fff3b4b48530c6f57aa497c4e3e");
    assert_eq!(
        lines,
        "Authorization: AWS4-HMAC-SHA256 \
         Credential=AKIATESTEXAMPLE00001/20260102/eu-west-1/aps/aws4_request, SignedHeaders=\
         content-encoding;content-type;host;x-amz-date;x-prometheus-remote-write-version, \
         Signature=ea2e242e2cf2a226c4207d160540370653ca4b3fab544191165a0b942d90ba89\r\n\
         X-Amz-Date: 20260102T030405Z\r\n"
    );
}

#[test]
fn traces_with_a_session_token() {
    let request = Request {
        method: "POST",
        host: "xray.eu-west-1.amazonaws.com",
        target: "/v1/traces",
        headers: &[("Content-Type", "application/x-protobuf")],
        payload_hash: &PayloadHash::of(&[]),
    };
    let token = "FwoGZXIvYXdzTESTTOKEN//////////wEaDEXAMPLE=";
    let (canonical, lines) = steps(&request, "xray", Some(token));
    assert_eq!(canonical, "0e6272de07d04167216af8199efaeef39942773d3ee34f29202e9bbc557c471a");
    assert!(lines.contains("602a0e097b32c884e202f89c87349d537e173583c1795195a27292144da7acb2"));
    assert!(lines.ends_with(&format!("\r\nX-Amz-Security-Token: {token}\r\n")));
}

#[test]
fn odd_paths_and_queries() {
    let request = Request {
        method: "GET",
        host: "example.eu-west-1.amazonaws.com",
        target: "/a b/%2F/c?b=2&a-1=x&a=1&a=0&e=&sp=a%20b&pl=a%2Bb",
        headers: &[],
        payload_hash: &PayloadHash::of(&[]),
    };
    let (canonical, lines) = steps(&request, "execute-api", None);
    assert_eq!(canonical, "f95c3b059c4314e4fdfa51239db029780fc5d021f8886f631d7056de67c11226");
    assert!(lines.contains("cde64e75651b29767cbbdfc92352c9f0e36e8d80f5b7041ae90c54460b08b352"));
}

#[test]
fn the_day_key_follows_day_place_and_secret() {
    let hash = PayloadHash::of(&[]);
    let request =
        Request { method: "GET", host: "h", target: "/", headers: &[], payload_hash: &hash };
    let (place, elsewhere) = (SUITE_SCOPE, Scope { region: "eu-west-1", ..SUITE_SCOPE });
    let (mine, other) = (suite_keys(None), keys("AKIDEXAMPLE", "other", None));
    let mut kept = SigV4::default();
    let day_ms = 86_400_000;
    for (credentials, scope, ms) in [
        (&mine, place, SUITE_MS),
        (&mine, place, SUITE_MS + 1000),
        (&other, place, SUITE_MS),
        (&mine, elsewhere, SUITE_MS),
        (&mine, place, SUITE_MS + day_ms),
        (&mine, place, SUITE_MS),
    ] {
        let (mut with, mut without) = (String::new(), String::new());
        kept.sign(&request, credentials, scope, ms, &mut with);
        SigV4::default().sign(&request, credentials, scope, ms, &mut without);
        assert_eq!(with, without);
    }
}
