//! All that reads what others wrote, on documents with random faults: no panic, no secret in an
//! error, and what is signed stays what is sent.

use fastrand::Rng;

use super::credentials::parse::{from_json, from_sts};
use super::service_error::ServiceError;
use super::{region, signable, time};
use crate::net::Url;

const ROUNDS: u64 = 20_000;

const GOOD: [&str; 8] = [
    r#"{"RoleArn":"arn:aws:iam::1:role/r","AccessKeyId":"A","SecretAccessKey":"s3cret","Token":
       "s3cret","Expiration":"2026-01-02T03:04:05Z"}"#,
    "<R><C><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey><SessionToken>\
     s3cret&amp;</SessionToken><Expiration>2026-01-02T03:04:05.123+01:00</Expiration></C></R>",
    r#"{"__type":"a#ExpiredTokenException","message":"The Canonical String \u00e9 s3cret"}"#,
    r#"{"TaskARN":"arn:aws:ecs:eu-west-1:1:task/c/0a","AvailabilityZone":"eu-west-1a"}"#,
    r#"{"region":"eu-west-1","pendingTime":"2026-01-02T03:04:05Z"}"#,
    "Fri, 02 Jan 2026 03:04:05 GMT",
    "https://vpce-1.aps-workspaces.eu-west-1.vpce.amazonaws.com:443//a/../ü%2F?b=1&a=%zz+x#f",
    "search-x.eu-west-1.es.amazonaws.com",
];

/// Cuts, doubles, and exchanges bytes; what is no UTF-8 then is replaced.
fn damaged(text: &str, random: &mut Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=bytes.len());
        let end = random.usize(at..=bytes.len());
        match random.u8(..4) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ if at < bytes.len() => bytes[at] = random.u8(..),
            _ => bytes.push(random.u8(..)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn damaged_documents_do_no_harm() {
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let text = damaged(random.choice(GOOD).unwrap_or_default(), &mut random);
        let errors = [from_json(&text).err(), from_sts(&text, "arn").err()];
        let errors = [errors, [region::from_task(&text).err(), None]].concat();
        for error in errors.into_iter().flatten() {
            assert!(!error.contains('\n') && error.len() < 4096, "seed {seed}: {error}");
        }
        if let Ok(keys) = from_json(&text).or_else(|_| from_sts(&text, "arn")) {
            let is_line = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(is_line(&keys.access_key_id) && is_line(&keys.secret_access_key), "{seed}");
            assert!(keys.session_token.is_none_or(|token| is_line(&token)), "seed {seed}");
        }
        let error = ServiceError::parse(Some(&text), &text);
        assert!(!error.message.contains('\n'), "seed {seed}: {error:?}");
        let _ = (region::from_identity_document(&text), region::from_host(&text));
        let _ = (time::parse_rfc3339(&text), time::parse_http_date(&text));
        if let Ok(url) = Url::parse(&text) {
            let sent = signable(url);
            let again = signable(Url::parse(&sent.to_string()).expect("what is sent is a URL"));
            assert_eq!(sent, again, "seed {seed}");
        }
    }
}
