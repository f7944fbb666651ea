//! Tests of host names, orders of precedence, endpoints, and metadata documents.

use super::*;
use crate::aws::environment::tests::environment;

fn host(host: &str, service: &str, region: &str) {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let found = from_host(host);
    let service_found = found.service.map(str::to_owned);
    assert_eq!((service_found, found.region), (some(service), some(region)), "{host}");
}

#[test]
fn hosts() {
    host("aps-workspaces.eu-west-1.amazonaws.com", "aps", "eu-west-1");
    host("APS-Workspaces.EU-West-1.amazonaws.com.", "aps", "eu-west-1");
    host("aps-workspaces-fips.us-east-1.amazonaws.com", "aps", "us-east-1");
    host("aps-workspaces.us-east-1.api.aws", "aps", "us-east-1");
    host("xray.eu-central-1.amazonaws.com", "xray", "eu-central-1");
    host("xray-fips.us-gov-west-1.amazonaws.com", "xray", "us-gov-west-1");
    host("xray.eu-central-1.api.aws", "xray", "eu-central-1");
    host("logs.cn-north-1.amazonaws.com.cn", "logs", "cn-north-1");
    host("logs.cn-north-1.api.amazonwebservices.com.cn", "logs", "cn-north-1");
    host("monitoring.ap-southeast-2.amazonaws.com", "monitoring", "ap-southeast-2");
    host("monitoring.us-iso-east-1.c2s.ic.gov", "monitoring", "us-iso-east-1");
    host("logs.us-isob-east-1.sc2s.sgov.gov", "logs", "us-isob-east-1");
    host("logs.eusc-de-east-1.amazonaws.eu", "logs", "eusc-de-east-1");
    host("sts.amazonaws.com", "sts", "us-east-1");
    host("sts.eu-west-1.amazonaws.com", "sts", "eu-west-1");
    host("vpce-0a-b1.aps-workspaces.eu-west-1.vpce.amazonaws.com", "aps", "eu-west-1");
    host("search-mine-abc.eu-west-1.es.amazonaws.com", "es", "eu-west-1");
    host("execute-api.eu-west-1.amazonaws.com", "", "eu-west-1");
}

#[test]
fn other_hosts_tell_nothing() {
    for name in [
        "",
        ".",
        "amazonaws.com",
        "s3.amazonaws.com",
        "localhost",
        "127.0.0.1",
        "::1",
        "aps-workspaces.eu-west-1.amazonaws.com.example.org",
        "aps-workspaces.eu-west-1.notamazonaws.com",
    ] {
        host(name, "", "");
    }
    host("xray.eu_west_1.amazonaws.com", "xray", "");
    host("xray.internal.amazonaws.com", "xray", "");
}

#[test]
fn the_setting_wins_then_the_host_then_the_environment() {
    let amp = "aps-workspaces.eu-west-1.amazonaws.com";
    let both = environment(&[("AWS_REGION", "us-east-2"), ("AWS_DEFAULT_REGION", "us-east-1")]);
    let default = environment(&[("AWS_DEFAULT_REGION", "us-east-1")]);
    for (setting, host, environment, expected) in [
        (Some("sa-east-1"), amp, &both, Some("sa-east-1")),
        (None, amp, &both, Some("eu-west-1")),
        (None, "proxy.local", &both, Some("us-east-2")),
        (None, "proxy.local", &default, Some("us-east-1")),
        (None, "proxy.local", &Environment::default(), None),
    ] {
        assert_eq!(known(setting, host, environment).as_deref(), expected);
    }
}

fn at(service: &str, region: &str, variables: &[(&str, &str)], expected: &str) {
    let url = endpoint(service, region, &environment(variables)).unwrap();
    assert_eq!(url.to_string(), expected);
}

#[test]
fn endpoints() {
    at("sts", "eu-west-1", &[], "https://sts.eu-west-1.amazonaws.com/");
    at("aps", "eu-west-1", &[], "https://aps-workspaces.eu-west-1.amazonaws.com/");
    at("logs", "cn-north-1", &[], "https://logs.cn-north-1.amazonaws.com.cn/");
    at("xray", "us-isob-east-1", &[], "https://xray.us-isob-east-1.sc2s.sgov.gov/");
    at("xray", "us-iso-east-1", &[], "https://xray.us-iso-east-1.c2s.ic.gov/");
    at("xray", "eusc-de-east-1", &[], "https://xray.eusc-de-east-1.amazonaws.eu/");
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    let dual_stack = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
    at("logs", "us-east-1", &[fips], "https://logs-fips.us-east-1.amazonaws.com/");
    at("logs", "us-east-1", &[fips, dual_stack], "https://logs-fips.us-east-1.api.aws/");
    at("logs", "us-iso-east-1", &[dual_stack], "https://logs.us-iso-east-1.c2s.ic.gov/");
    let (sts, all) = (("AWS_ENDPOINT_URL_STS", "http://s:1"), ("AWS_ENDPOINT_URL", "http://a:2"));
    at("sts", "eu-west-1", &[sts, all], "http://s:1/");
    at("xray", "eu-west-1", &[sts, all], "http://a:2/");
    let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    at("sts", "eu-west-1", &[sts, all, ignored], "https://sts.eu-west-1.amazonaws.com/");
}

#[test]
fn bad_endpoints_name_the_cause() {
    let bad = |variables: &[(&str, &str)], region: &str| {
        endpoint("sts", region, &environment(variables)).unwrap_err()
    };
    assert!(bad(&[("AWS_ENDPOINT_URL_STS", "nowhere")], "x").starts_with("AWS_ENDPOINT_URL_STS: "));
    for region in ["", "a.evil.example", "a/b", "a b", &"x".repeat(64)] {
        assert!(bad(&[], region).contains("like eu-west-1"), "{region}");
    }
}

#[test]
fn metadata_documents() {
    let task = |document: &str| from_task(document).map_err(|_| ());
    let arn = r#"{"Cluster":"c","TaskARN":"arn:aws:ecs:eu-west-1:1:task/c/0","X":[{"Y":null}]}"#;
    assert_eq!(task(arn).as_deref(), Ok("eu-west-1"));
    let china = r#"{"TaskARN":"arn:aws-cn:ecs:cn-north-1:1:task/0"}"#;
    assert_eq!(task(china).as_deref(), Ok("cn-north-1"));
    let zone = r#"{"TaskARN":"","AvailabilityZone":"us-west-2b"}"#;
    assert_eq!(task(zone).as_deref(), Ok("us-west-2"));
    for document in [
        "",
        "{}",
        "null",
        r#"{"TaskARN":null}"#,
        r#"{"TaskARN":"arn:aws:ecs"}"#,
        r#"{"AvailabilityZone":"us-west-2-lax-1a"}"#,
        r#"{"AvailabilityZone":"nowhere"}"#,
        &arn[..arn.len() - 1],
    ] {
        assert_eq!(task(document), Err(()), "{document}");
    }
    let identity = r#"{"accountId":"1","region":"ap-south-1","availabilityZone":"ap-south-1a"}"#;
    assert_eq!(from_identity_document(identity).as_deref(), Ok("ap-south-1"));
    for document in ["{}", "[]", r#"{"region":"x"}"#, &identity[..20]] {
        assert!(from_identity_document(document).is_err(), "{document}");
    }
}
