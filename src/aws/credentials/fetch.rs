//! Asking for credentials and documents: container endpoints, IMDSv2 (with v1 where that is
//! refused). Bodies and times are bounded; redirects are an error; proxies are never used.
//!
//! Connections are not kept: the next request comes in minutes or hours.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::parse::from_json;
use super::source::Token;
use super::Credentials;
use crate::aws::environment::Environment;
use crate::aws::region;
use crate::aws::service_error::ServiceError;
use crate::net::dns::Resolver;
use crate::net::http1::{self, Client};
use crate::net::{self, sleep, timeout, ClientConfig, Url};
use crate::observe::log::shorten;

/// Longest answer read: the metadata of a task with ten containers and many labels fits.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Room that an answer begins with.
const BODY_FIRST_BYTES: usize = 8 * 1024;

/// Longest token file read.
const TOKEN_FILE_BYTES_MAX: u64 = 20_000;

/// For one request to the container endpoint, and the pauses before the next ones.
const CONTAINER_MS_MAX: u64 = 2_000;
const CONTAINER_PAUSES_MS: [u64; 2] = [200, 500];

/// For one request to IMDS. It is a hop away or not reachable at all.
const IMDS_MS_MAX: u64 = 1_000;

/// An answer, whole.
pub struct Reply {
    pub status: u16,
    pub date: Option<String>,
    /// The header `x-amzn-ErrorType`.
    pub error_type: Option<String>,
    pub body: String,
}

impl Reply {
    pub fn error(&self) -> ServiceError {
        ServiceError::parse(self.error_type.as_deref(), &self.body)
    }
}

/// What requests need.
#[derive(Clone)]
pub struct Http {
    pub resolver: Rc<Resolver>,
    pub environment: Rc<Environment>,
}

impl Http {
    /// Makes one exchange within `ms_max`; whom it was with is the caller's to say.
    pub async fn exchange(
        &self,
        url: &Url,
        (method, headers, body): (&str, &str, Option<&[u8]>),
        ms_max: u64,
    ) -> Result<Reply, String> {
        let answer = async {
            let config = ClientConfig::default();
            let authority = url.authority();
            let failed = |error: net::Error| error.after(&authority);
            let mut client = Client::new(url, &config, Rc::clone(&self.resolver))?;
            let pieces = body.map(|body| [body]);
            let body = pieces.as_ref().map(|pieces| pieces.as_slice());
            let request = http1::Request { method, target: &url.target, headers, body };
            let mut response = client.send(&request).await.map_err(failed)?;
            let header = |name| response.header(name).map(str::to_owned);
            let (status, date) = (response.status(), header("date"));
            let error_type = header("x-amzn-errortype");
            let (mut bytes, mut len) = (vec![0; BODY_FIRST_BYTES], 0);
            loop {
                if len == bytes.len() {
                    if len >= BODY_BYTES_MAX {
                        return Err(format!("answer is not shorter than {BODY_BYTES_MAX} bytes"));
                    }
                    bytes.resize(len * 2, 0);
                }
                match response.read(&mut bytes[len..]).await.map_err(failed)? {
                    0 => break,
                    count => len += count,
                }
            }
            let body = String::from_utf8_lossy(&bytes[..len]).into_owned();
            Ok(Reply { status, date, error_type, body })
        };
        let limit = Duration::from_millis(ms_max);
        timeout(limit, answer).await.map_err(|_| format!("no answer within {ms_max} ms"))?
    }

    /// The ECS or EKS container endpoint; failures that may pass are tried again.
    pub async fn container(
        &self,
        url: &Url,
        token: &Token,
        must_be_loopback: bool,
    ) -> Result<Credentials, String> {
        let url = if must_be_loopback { self.loopback(url).await? } else { url.clone() };
        let mut pauses_ms = CONTAINER_PAUSES_MS.iter();
        loop {
            let headers = format!("Accept: application/json\r\n{}", authorization(token)?);
            let answer = self.exchange(&url, ("GET", &headers, None), CONTAINER_MS_MAX).await;
            let failure = match answer {
                Ok(reply) if reply.status == 200 => return from_json(&reply.body),
                Ok(reply) => {
                    let message = refusal(&reply);
                    if reply.status != 429 && reply.status < 500 {
                        return Err(message);
                    }
                    message
                }
                Err(message) => message,
            };
            let Some(&pause_ms) = pauses_ms.next() else { return Err(failure) };
            sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// The address with its host resolved, if that is this machine's alone.
    async fn loopback(&self, url: &Url) -> Result<Url, String> {
        let resolved = self.resolver.resolve(&url.host).await;
        let addresses = resolved.map_err(|error| format!("{}: {error}", url.host))?;
        match addresses.first() {
            Some(first) if addresses.iter().all(IpAddr::is_loopback) => {
                Ok(Url { host: first.to_string(), ..url.clone() })
            }
            _ => Err(format!("http:// is allowed to loopback only, not to {}", url.host)),
        }
    }

    /// The role of an EC2 instance.
    pub async fn imds(&self) -> Result<Credentials, String> {
        let token = self.imds_token().await?;
        let folder = "/latest/meta-data/iam/security-credentials/";
        let roles = self.imds_get(folder, token.as_deref()).await?;
        let role = roles.lines().next().map(str::trim).unwrap_or_default();
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        if role.is_empty() || !role.bytes().all(is_name) {
            return Err("the instance has no role".to_owned());
        }
        let document = self.imds_get(&format!("{folder}{role}"), token.as_deref()).await?;
        let credentials = from_json(&document)?;
        Ok(Credentials { role: credentials.role.or(Some(role.to_owned())), ..credentials })
    }

    /// The session token of IMDSv2; None where only v1 answers.
    async fn imds_token(&self) -> Result<Option<String>, String> {
        let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n";
        let url = self.imds_url("/latest/api/token")?;
        let failure = match self.exchange(&url, ("PUT", ttl, None), IMDS_MS_MAX).await {
            Ok(reply) if reply.status == 200 => {
                return super::parse::check("the token", reply.body.trim().to_owned()).map(Some);
            }
            Ok(reply) if !matches!(reply.status, 403..=405) => return Err(refusal(&reply)),
            Ok(reply) => refusal(&reply),
            Err(message) => format!("{message} (in a container: is the hop limit 2 or more?)"),
        };
        if self.environment.is_true("AWS_EC2_METADATA_V1_DISABLED") {
            return Err(failure);
        }
        // A v1 request that fails too tells less than the first failure does.
        let url = self.imds_url("/latest/meta-data/")?;
        match self.exchange(&url, ("GET", "", None), IMDS_MS_MAX).await {
            Ok(reply) if reply.status == 200 => Ok(None),
            _ => Err(failure),
        }
    }

    async fn imds_get(&self, path: &str, token: Option<&str>) -> Result<String, String> {
        let url = self.imds_url(path)?;
        let header =
            token.map_or_else(String::new, |t| format!("X-aws-ec2-metadata-token: {t}\r\n"));
        let reply = self.exchange(&url, ("GET", &header, None), IMDS_MS_MAX).await?;
        match reply.status {
            200 => Ok(reply.body),
            404 => Err("not found: has the instance a role?".to_owned()),
            _ => Err(refusal(&reply)),
        }
    }

    fn imds_url(&self, path: &str) -> Result<Url, String> {
        let environment = &self.environment;
        let mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").unwrap_or_default();
        let own = if mode.eq_ignore_ascii_case("ipv6") {
            "http://[fd00:ec2::254]"
        } else {
            "http://169.254.169.254"
        };
        let base = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(own);
        let base = base.trim_end_matches('/');
        Url::parse(&format!("{base}{path}"))
            .map_err(|error| format!("AWS_EC2_METADATA_SERVICE_ENDPOINT: {error}"))
    }

    /// What the task metadata endpoint, version 4, says of the task.
    pub async fn task_document(&self) -> Result<String, String> {
        let base = self.environment.get("ECS_CONTAINER_METADATA_URI_V4");
        let base = base.ok_or("ECS_CONTAINER_METADATA_URI_V4 is not set")?;
        let url = Url::parse(&format!("{}/task", base.trim_end_matches('/')))
            .map_err(|error| format!("ECS_CONTAINER_METADATA_URI_V4: {error}"))?;
        let why = match self.exchange(&url, ("GET", "", None), CONTAINER_MS_MAX).await {
            Ok(reply) if reply.status == 200 => return Ok(reply.body),
            Ok(reply) => refusal(&reply),
            Err(why) => why,
        };
        Err(format!("{}: {why}", url.authority()))
    }

    /// The region that the task's metadata, else the instance's, names.
    pub async fn region(&self) -> Result<String, String> {
        if self.environment.get("ECS_CONTAINER_METADATA_URI_V4").is_some() {
            return region::from_task(&self.task_document().await?);
        }
        let token = self.imds_token().await?;
        let path = "/latest/dynamic/instance-identity/document";
        region::from_identity_document(&self.imds_get(path, token.as_deref()).await?)
    }
}

/// What an endpoint that is not trusted to keep secrets out of its errors said: the status, and a
/// code.
fn refusal(reply: &Reply) -> String {
    let error = reply.error();
    let words = [error.code, error.message].join(" ");
    format!("status {} {}", reply.status, shorten(words.trim().as_bytes(), 120)).trim().to_owned()
}

/// The request's Authorization header line.
fn authorization(token: &Token) -> Result<String, String> {
    let value = match token {
        Token::None => return Ok(String::new()),
        Token::Text(text) => text.clone(),
        Token::File(path) => read_token(path)?,
    };
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    let is_header = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if value.is_empty() || !value.bytes().all(is_header) {
        return Err("the authorization token is empty or holds a line end".to_owned());
    }
    Ok(format!("Authorization: {value}\r\n"))
}

/// A token file's content. These are small files on a local mount: reading one does not block.
pub(super) fn read_token(path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("token file {path}: {error}");
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("token file {path}: not a regular file"));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TOKEN_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > TOKEN_FILE_BYTES_MAX {
        return Err(format!("token file {path}: longer than {TOKEN_FILE_BYTES_MAX} bytes"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
