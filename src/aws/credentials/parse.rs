//! Answers that hold credentials: JSON of the container endpoints and of IMDS, XML of STS (AWS STS
//! API reference, AssumeRole and AssumeRoleWithWebIdentity).
//!
//! Errors name the member that is missing or bad, never its value.

use super::Credentials;
use crate::aws::json::Members;
use crate::aws::time::parse_rfc3339;
use crate::aws::xml::text_of;
use crate::observe::log::shorten;

/// Longest key, secret or token; they become header lines.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Reads the answer of a container endpoint or of IMDS.
pub fn from_json(document: &str) -> Result<Credentials, String> {
    let members = Members::parse(document)?;
    // IMDS says so when the role cannot be assumed; container endpoints have no such member.
    let code = members.get("Code").or_else(|| members.get("code"));
    if let Some(code) = code.filter(|code| *code != "Success") {
        let message = members.get("Message").or_else(|| members.get("message"));
        return Err(shorten(format!("{code}: {}", message.unwrap_or_default()).as_bytes(), 200));
    }
    build(|name| members.get(name).map(str::to_owned), "Token", members.get("RoleArn"))
}

/// Reads the answer of STS for this role.
pub fn from_sts(document: &str, role_arn: &str) -> Result<Credentials, String> {
    build(|name| text_of(document, name), "SessionToken", Some(role_arn))
}

fn build(
    get: impl Fn(&str) -> Option<String>,
    token_name: &str,
    role: Option<&str>,
) -> Result<Credentials, String> {
    let required = |name: &str| {
        let value = get(name).filter(|value| !value.is_empty());
        check(name, value.ok_or_else(|| format!("the answer has no {name}"))?)
    };
    let expires_ms = match get("Expiration") {
        None => None,
        Some(text) => Some(parse_rfc3339(&text).ok_or("the answer's Expiration is not a time")?),
    };
    let token = get(token_name).filter(|token| !token.is_empty());
    Ok(Credentials {
        access_key_id: required("AccessKeyId")?,
        secret_access_key: required("SecretAccessKey")?,
        session_token: token.map(|token| check(token_name, token)).transpose()?,
        expires_ms,
        role: role.filter(|role| !role.is_empty()).map(|role| shorten(role.as_bytes(), 2048)),
    })
}

/// Checks a value that is to become part of a header line: visible ASCII alone.
pub fn check(name: &str, value: String) -> Result<String, String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("{name} is longer than {VALUE_BYTES_MAX} bytes"));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{name} holds a blank, a control character or a letter outside ASCII"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"RoleArn":"arn:aws:iam::1:role/task","AccessKeyId":"ASIA1",
        "SecretAccessKey":"s3cret/+","Token":"t0ken==","Expiration":"2026-01-02T03:04:05Z"}"#;
    const XML: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
        <AssumeRoleResult>\n<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/otlet</Arn>\
        </AssumedRoleUser>\n<Credentials>\n<AccessKeyId>ASIA2</AccessKeyId>\n\
        <SecretAccessKey>s3cret/+</SecretAccessKey>\n<SessionToken>t0ken==</SessionToken>\n\
        <Expiration>2026-01-02T03:04:05Z</Expiration>\n</Credentials>\n</AssumeRoleResult>\n\
        </AssumeRoleResponse>";

    fn expected(id: &str, role: &str) -> Credentials {
        Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: "s3cret/+".to_owned(),
            session_token: Some("t0ken==".to_owned()),
            expires_ms: Some(1_767_323_045_000),
            role: Some(role.to_owned()),
        }
    }

    #[test]
    fn answers() {
        assert_eq!(from_json(JSON), Ok(expected("ASIA1", "arn:aws:iam::1:role/task")));
        assert_eq!(from_sts(XML, "r"), Ok(expected("ASIA2", "r")));
        let imds = JSON.replace("\"RoleArn\"", "\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"R\"");
        assert_eq!(from_json(&imds).map(|keys| keys.role), Ok(None));
        let bare = from_json(r#"{"AccessKeyId":"a","SecretAccessKey":"b","Token":""}"#).unwrap();
        assert_eq!((bare.session_token, bare.expires_ms), (None, None));
    }

    fn bad(document: &str, message: &str) {
        let error = from_json(document).expect_err(document);
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("t0ken"), "{error}");
    }

    #[test]
    fn bad_answers_show_no_secret() {
        bad("", "ends early");
        bad("<html>s3cret</html>", "not a JSON object");
        bad("{}", "no AccessKeyId");
        bad(r#"{"AccessKeyId":"a","SecretAccessKey":null}"#, "no SecretAccessKey");
        bad(&JSON.replace("t0ken", "t0\\r\\nken"), "Token holds");
        bad(&JSON.replace("s3cret/", "s3cret é"), "SecretAccessKey holds");
        bad(&JSON.replace("2026", "s3cret"), "Expiration");
        bad(&JSON.replace("ASIA1", &"A".repeat(VALUE_BYTES_MAX + 1)), "longer than 16384");
        bad(r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no"}"#, "UnauthorizedAccess: no");
        bad(r#"{"code":"NoIdentity","message":"x\ny"}"#, "NoIdentity: x\\ny");
    }

    #[test]
    fn every_prefix_is_an_error() {
        for len in 0..JSON.len() {
            bad(&JSON[..len], "");
        }
        // Without its end the credentials element is still whole.
        for len in 0..XML.find("</SecretAccessKey>").unwrap() {
            assert!(from_sts(&XML[..len], "r").is_err(), "{len}");
        }
    }
}
