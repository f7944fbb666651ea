//! Where credentials come from, in the order of AWS's SDKs: environment, web identity, container
//! endpoint (ECS task role, EKS Pod Identity), EC2 instance role; and on top of one of these a
//! role.
//!
//! Pure: the environment is given. A source that is configured is the only one tried; what is wrong
//! with it is said when credentials are asked for, not at the start.

use std::net::IpAddr;

use super::parse::check;
use super::{Credentials, Provider};
use crate::aws::environment::Environment;
use crate::net::{Scheme, Url};
use std::rc::Rc;

/// The ECS agent, and EKS Pod Identity: plain HTTP is allowed there.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// What sessions are called in CloudTrail unless `AWS_ROLE_SESSION_NAME` says otherwise.
const SESSION_NAME: &str = "otlet";

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    pub external_id: Option<String>,
    pub session_name: String,
    /// STS's address, if it is not to be the region's.
    pub sts: Option<Url>,
}

/// What the container endpoint wants to see.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    None,
    Text(String),
    /// Read before every request: EKS rotates it.
    File(String),
}

/// One of the places.
pub enum Source {
    Static(Rc<Credentials>),
    WebIdentity {
        token_file: String,
        role: Role,
    },
    Container {
        url: Url,
        token: Token,
        /// The host is a name, allowed only if all its addresses are loopback.
        must_be_loopback: bool,
    },
    Imds,
    Role {
        base: Rc<Provider>,
        role: Role,
    },
    /// There is none; why.
    Nothing(String),
}

impl Source {
    /// Chooses the source that the environment configures.
    pub fn choose(environment: &Environment, sts: Option<&Url>) -> Source {
        let mut tried = Vec::new();
        match keys(environment) {
            Ok(credentials) => return Source::Static(Rc::new(credentials)),
            Err(reason) => tried.push(format!("environment ({reason})")),
        }
        match web_identity(environment, sts) {
            Ok(source) => return source,
            Err(reason) => tried.push(format!("web identity ({reason})")),
        }
        match container(environment) {
            Some(Ok(source)) => return source,
            Some(Err(reason)) => return Source::Nothing(format!("container endpoint: {reason}")),
            None => tried.push(
                "container endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set: has the \
                 task definition a taskRoleArn?)"
                    .to_owned(),
            ),
        }
        if environment.may_have_imds() {
            return Source::Imds;
        }
        let reason = if environment.is_fargate() { "not on Fargate" } else { "switched off" };
        tried.push(format!("instance metadata ({reason})"));
        Source::Nothing(format!("no credentials; tried {}", tried.join(", ")))
    }

    /// What it is called in messages.
    pub fn describe(&self) -> String {
        match self {
            Source::Static(_) => "environment".to_owned(),
            Source::WebIdentity { role, .. } => format!("web identity of {}", role.arn),
            Source::Container { url, .. } => format!("container endpoint {}", url.authority()),
            Source::Imds => "instance metadata".to_owned(),
            Source::Role { base, role } => format!("{} through {}", role.arn, base.describe()),
            Source::Nothing(_) => "no source".to_owned(),
        }
    }
}

fn keys(environment: &Environment) -> Result<Credentials, String> {
    let first = |names: [&'static str; 2]| {
        let found = names.iter().find_map(|name| environment.get(name));
        let value = found.ok_or_else(|| format!("{} is not set", names[0]))?;
        check(names[0], value.trim().to_owned())
    };
    let token = environment.get("AWS_SESSION_TOKEN").map(|token| token.trim().to_owned());
    Ok(Credentials {
        access_key_id: first(["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"])?,
        secret_access_key: first(["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"])?,
        session_token: token.map(|token| check("AWS_SESSION_TOKEN", token)).transpose()?,
        expires_ms: None,
        role: None,
    })
}

fn web_identity(environment: &Environment, sts: Option<&Url>) -> Result<Source, String> {
    let value = |name: &str| environment.get(name).ok_or_else(|| format!("{name} is not set"));
    let token_file = value("AWS_WEB_IDENTITY_TOKEN_FILE")?.to_owned();
    let role = Role {
        arn: value("AWS_ROLE_ARN")?.to_owned(),
        external_id: None,
        session_name: session_name(environment),
        sts: sts.cloned(),
    };
    check_role(&role.arn, None)?;
    Ok(Source::WebIdentity { token_file, role })
}

/// The name of sessions; characters that STS refuses are replaced.
pub fn session_name(environment: &Environment) -> String {
    let name = environment.get("AWS_ROLE_SESSION_NAME").unwrap_or(SESSION_NAME);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let name: String = name.chars().take(64).map(|c| if allowed(c) { c } else { '-' }).collect();
    if name.len() < 2 {
        return SESSION_NAME.to_owned();
    }
    name
}

/// The limits of STS's parameters; the error begins with the setting's name.
pub fn check_role(arn: &str, external_id: Option<&str>) -> Result<(), String> {
    let is_arn = (20..=2048).contains(&arn.len())
        && arn.starts_with("arn:")
        && arn.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_arn {
        return Err(format!(
            "role_arn: `{}` is not one; expected arn:aws:iam::ACCOUNT:role/NAME",
            arn.escape_debug()
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    let is_id = |id: &str| (2..=1224).contains(&id.len()) && id.chars().all(allowed);
    match external_id {
        Some(id) if !is_id(id) => {
            Err("external_id: must be 2 to 1224 letters, digits or _+=,.@:/-".to_owned())
        }
        _ => Ok(()),
    }
}

/// None where neither variable is set.
fn container(environment: &Environment) -> Option<Result<Source, String>> {
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match relative {
        Some(path) if !path.starts_with('/') => {
            return Some(Err("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with /".into()));
        }
        Some(path) => Url::parse(&format!("http://{}{path}", CONTAINER_HOSTS[0]))
            .map_err(|error| format!("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: {error}")),
        None => Url::parse(environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")?)
            .map_err(|error| format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {error}")),
    };
    Some(url.and_then(|url| {
        let must_be_loopback = check_host(&url)?;
        Ok(Source::Container { url, token: token(environment), must_be_loopback })
    }))
}

fn token(environment: &Environment) -> Token {
    if let Some(file) = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        return Token::File(file.to_owned());
    }
    match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
        Some(text) => Token::Text(text.to_owned()),
        None => Token::None,
    }
}

/// Whether the host is a name whose addresses must be looked at first.
fn check_host(url: &Url) -> Result<bool, String> {
    if url.scheme == Scheme::Https {
        return Ok(false);
    }
    let Ok(address) = url.host.parse::<IpAddr>() else { return Ok(true) };
    let is_known = CONTAINER_HOSTS.iter().any(|known| known.parse() == Ok(address));
    if is_known || address.is_loopback() {
        return Ok(false);
    }
    Err(format!("http:// is allowed to the container agent and loopback only, not to {address}"))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
