//! Asking STS: for a role's credentials, by a token or by other credentials, and whose credentials
//! one has (AWS STS API reference, AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity; Query
//! protocol).

use std::fmt::Write;

use super::fetch::{read_token, Http, Reply};
use super::parse::from_sts;
use super::source::Role;
use super::Credentials;
use crate::aws::region;
use crate::aws::service_error::ServiceError;
use crate::aws::sigv4::{canonical::push_encoded, PayloadHash, Request, Scope, SigV4};
use crate::aws::xml::text_of;
use crate::net::Url;
use crate::observe::log::shorten;

const STS_MS_MAX: u64 = 10_000;

/// How long assumed roles last: the shortest there is, which every role allows.
const ROLE_S: &str = "900";

/// Longest ARN shown.
const ARN_BYTES_MAX: usize = 2048;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A refusal of STS, or no answer.
pub struct StsFailure {
    pub message: String,
    /// 0 where STS said nothing.
    pub status: u16,
    pub date: Option<String>,
    pub error: ServiceError,
}

impl StsFailure {
    /// Whether the credentials themselves are bad, whatever they are used for.
    pub fn condemns(&self) -> bool {
        self.error.is_stale() || self.error.code == "SignatureDoesNotMatch"
    }

    fn local(message: String) -> StsFailure {
        StsFailure { message, status: 0, date: None, error: ServiceError::default() }
    }

    fn of(url: &Url, reply: Reply) -> StsFailure {
        let (error, Reply { status, date, .. }) = (reply.error(), reply);
        let words = [error.code.as_str(), error.message.as_str()].join(": ");
        let words = words.trim_matches([':', ' ']);
        StsFailure {
            message: format!("{}: {status} {words}", url.authority()),
            status,
            date,
            error,
        }
    }
}

impl Http {
    /// AssumeRoleWithWebIdentity, which is not signed.
    pub async fn web_identity(
        &self,
        token_file: &str,
        role: &Role,
        region: &str,
    ) -> Result<Credentials, StsFailure> {
        let token = read_token(token_file).map_err(StsFailure::local)?;
        let (url, _) = self.sts(role.sts.as_ref(), region).map_err(StsFailure::local)?;
        let form = role_form("AssumeRoleWithWebIdentity", role, ("WebIdentityToken", Some(&token)));
        let answer = self.ask(&url, FORM, &form).await?;
        credentials(&url, &answer, role)
    }

    /// AssumeRole, signed by `base`.
    pub async fn assume_role(
        &self,
        base: &Credentials,
        role: &Role,
        region: &str,
        unix_ms: i64,
    ) -> Result<Credentials, StsFailure> {
        let (url, region) = self.sts(role.sts.as_ref(), region).map_err(StsFailure::local)?;
        let form = role_form("AssumeRole", role, ("ExternalId", role.external_id.as_deref()));
        let headers = signed(&url, &form, base, &region, unix_ms);
        let answer = self.ask(&url, &headers, &form).await?;
        credentials(&url, &answer, role)
    }

    /// GetCallerIdentity: the ARN of whom `keys` belong to. Nobody can be forbidden to ask this.
    pub async fn caller_identity(
        &self,
        keys: &Credentials,
        sts: Option<&Url>,
        region: &str,
        unix_ms: i64,
    ) -> Result<String, StsFailure> {
        let (url, region) = self.sts(sts, region).map_err(StsFailure::local)?;
        let form = "Action=GetCallerIdentity&Version=2011-06-15";
        let headers = signed(&url, form, keys, &region, unix_ms);
        let answer = self.ask(&url, &headers, form).await?;
        match text_of(&answer, "Arn").filter(|arn| arn.starts_with("arn:")) {
            Some(arn) => Ok(shorten(arn.as_bytes(), ARN_BYTES_MAX)),
            None => Err(StsFailure::local(format!("{}: no Arn in the answer", url.authority()))),
        }
    }

    /// Where STS is, and the region to sign for there.
    fn sts(&self, given: Option<&Url>, region: &str) -> Result<(Url, String), String> {
        let url = match given {
            Some(url) => url.clone(),
            None => region::endpoint("sts", region, &self.environment)?,
        };
        let url = crate::aws::signer::signable(url);
        let signed_for = region::from_host(&url.host).region.unwrap_or_else(|| region.to_owned());
        Ok((url, signed_for))
    }

    /// The answer, if STS agreed.
    async fn ask(&self, url: &Url, headers: &str, form: &str) -> Result<String, StsFailure> {
        let request = ("POST", headers, Some(form.as_bytes()));
        let reply = self
            .exchange(url, request, STS_MS_MAX)
            .await
            .map_err(|why| StsFailure::local(format!("{}: {why}", url.authority())))?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(StsFailure::of(url, reply)),
        }
    }
}

fn credentials(url: &Url, answer: &str, role: &Role) -> Result<Credentials, StsFailure> {
    let read = from_sts(answer, &role.arn);
    read.map_err(|error| StsFailure::local(format!("{}: {error}", url.authority())))
}

/// The headers of a signed form.
fn signed(url: &Url, form: &str, keys: &Credentials, region: &str, unix_ms: i64) -> String {
    let mut headers = FORM.to_owned();
    let request = Request {
        method: "POST",
        host: &url.authority(),
        target: &url.target,
        headers: &[("Content-Type", "application/x-www-form-urlencoded")],
        payload_hash: &PayloadHash::of(&[form.as_bytes()]),
    };
    let scope = Scope { region, service: "sts" };
    SigV4::default().sign(&request, keys, scope, unix_ms, &mut headers);
    headers
}

fn role_form(action: &str, role: &Role, more: (&str, Option<&str>)) -> String {
    let mut form = format!("Action={action}&Version=2011-06-15");
    let own = [
        ("RoleArn", Some(role.arn.as_str())),
        ("RoleSessionName", Some(&role.session_name)),
        ("DurationSeconds", Some(ROLE_S)),
        more,
    ];
    for (name, value) in own {
        let Some(value) = value else { continue };
        let _ = write!(form, "&{name}=");
        push_encoded(value.as_bytes(), b"", &mut form);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let role = Role {
            arn: "arn:aws:iam::1:role/a".to_owned(),
            external_id: None,
            session_name: "otlet".to_owned(),
            sts: None,
        };
        let own = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa\
             &RoleSessionName=otlet&DurationSeconds=900";
        assert_eq!(role_form("AssumeRole", &role, ("ExternalId", None)), own);
        let with_id = role_form("AssumeRole", &role, ("ExternalId", Some("a+b=c d")));
        assert_eq!(with_id, format!("{own}&ExternalId=a%2Bb%3Dc%20d"));
    }
}
