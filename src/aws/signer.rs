//! What an exporter signs with: SigV4, the credentials, the region, the clock's offset, and what a
//! refusal means for the next attempt.
//!
//! Region and credentials are found when the first request is signed, so that a start never waits
//! for them; failing to find them is an error of the attempt, not an answer of the server. Any
//! request can be signed, of an exporter or one that is passed on:
//!
//! ```ignore
//! let url = signable(url);
//! let signer = Signer::new(&aws, &sigv4, &url, Some("xray"))?;
//! signer.sign("POST", &url, &mut header_lines, &[&body], clock::unix_ms()).await?;
//! ```
//!
//! [`Signer::observe`] then says whether a refusal is worth another signature.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::clock_skew::ClockSkew;
use super::credentials::fetch::Http;
use super::credentials::source::{check_role, session_name};
use super::credentials::{Provider, Role, Source};
use super::environment::Environment;
use super::region;
use super::service_error::Refusal;
use super::sigv4::{canonical, PayloadHash, Request, Scope, SigV4};
use crate::net::dns::Resolver;
use crate::net::{yield_now, Scheme, Url};

/// Bytes hashed without letting other tasks run.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Refusals renew the credentials at most this often: a role that lacks a permission stays so.
const RENEWAL_MS_MIN: u64 = 60_000;

/// The `sigv4` settings of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigV4Config {
    pub region: Option<String>,
    pub service: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    /// STS's address instead of the region's.
    pub sts: Option<Url>,
}

/// What to do after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    None,
    /// Sign and send again, once: the credentials will be new ones.
    RetryWithFreshCredentials,
    /// Sign and send again, once: the time will be the server's.
    ClockCorrected,
}

impl SigV4Config {
    /// Checks what can be checked without knowing the destination; the error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        if let Some(region) = &self.region {
            region::check_region(region).map_err(|error| format!("region: {error}"))?;
        }
        if self.service.as_deref() == Some("") {
            return Err("service: expected a name such as aps".to_owned());
        }
        match (&self.role_arn, &self.external_id) {
            (None, Some(_)) => Err("external_id: needs role_arn= too".to_owned()),
            (None, None) => Ok(()),
            (Some(arn), external_id) => check_role(arn, external_id.as_deref()),
        }
    }
}

/// How providers are told apart: role, external id, STS.
type ProviderKey = (Option<String>, Option<String>, Option<String>);

/// What all signers of the process share.
pub struct Aws {
    http: Http,
    skew: Rc<Cell<ClockSkew>>,
    /// One for each role; destinations with the same settings share one.
    providers: RefCell<Vec<(ProviderKey, Rc<Provider>)>>,
}

impl Aws {
    pub fn new(environment: Environment, resolver: Rc<Resolver>) -> Rc<Aws> {
        let http = Http { resolver, environment: Rc::new(environment) };
        Rc::new(Aws { http, skew: Rc::default(), providers: RefCell::default() })
    }

    pub fn environment(&self) -> &Environment {
        &self.http.environment
    }

    /// What the task metadata endpoint, version 4, says of the task.
    pub async fn task_document(&self) -> Result<String, String> {
        self.http.task_document().await
    }

    /// The provider for these settings.
    pub fn provider(&self, config: &SigV4Config) -> Rc<Provider> {
        let sts = config.sts.as_ref();
        let base = self.shared((None, None, sts.map(Url::to_string)), || {
            Source::choose(self.environment(), sts)
        });
        let Some(arn) = &config.role_arn else { return base };
        let role = Role {
            arn: arn.clone(),
            external_id: config.external_id.clone(),
            session_name: session_name(self.environment()),
            sts: config.sts.clone(),
        };
        let key = (Some(arn.clone()), role.external_id.clone(), sts.map(Url::to_string));
        self.shared(key, || Source::Role { base, role })
    }

    fn shared(&self, key: ProviderKey, source: impl FnOnce() -> Source) -> Rc<Provider> {
        let mut providers = self.providers.borrow_mut();
        if let Some((_, known)) = providers.iter().find(|(known, _)| *known == key) {
            return Rc::clone(known);
        }
        let provider = Provider::new(source(), self.http.clone(), Rc::clone(&self.skew));
        providers.push((key, Rc::clone(&provider)));
        provider
    }
}

/// The address as it must be sent, so that what is signed is what arrives: the host in lower case,
/// no port that is the scheme's own, no dot segments or repeated slashes, and the query encoded
/// the one way that SigV4 knows (a `+` is a blank, as in forms).
pub fn signable(url: Url) -> Url {
    let default_port = match url.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let mut target = canonical::normal_path(url.path());
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        target.push('?');
        canonical::write_query(&query.replace('+', "%20"), &mut target);
    }
    Url {
        host: url.host.to_ascii_lowercase(),
        port_given: url.port_given && url.port != default_port,
        target,
        ..url
    }
}

/// Signs the requests of one destination.
pub struct Signer {
    aws: Rc<Aws>,
    provider: Rc<Provider>,
    service: String,
    region: RefCell<Option<String>>,
    sts: Option<Url>,
    sigv4: RefCell<SigV4>,
    /// When a refusal led to other credentials, and the key that was refused.
    renewed_at: Cell<Option<Instant>>,
    renewed_key: RefCell<Option<String>>,
}

impl Signer {
    /// Checks the settings. `service_default` is taken where neither a setting nor the host names
    /// one. It is an error if no region is known and nothing that could tell one exists.
    pub fn new(
        aws: &Rc<Aws>,
        config: &SigV4Config,
        url: &Url,
        service_default: Option<&str>,
    ) -> Result<Signer, String> {
        config.check()?;
        let inferred = region::from_host(&url.host);
        let named = config.service.as_deref().or(inferred.service).or(service_default);
        let service = named.filter(|name| !name.is_empty()).ok_or_else(|| {
            format!("service: {} does not tell which it is; write service=NAME", url.host)
        })?;
        let environment = aws.environment();
        let region = region::known(config.region.as_deref(), &url.host, environment);
        if let Some(region) = &region {
            region::check_region(region)?;
        }
        let may_be_found = environment.get("ECS_CONTAINER_METADATA_URI_V4").is_some()
            || environment.may_have_imds();
        if region.is_none() && !may_be_found {
            return Err(format!(
                "region: neither {} nor AWS_REGION tells it; write region=NAME",
                url.host
            ));
        }
        Ok(Signer {
            provider: aws.provider(config),
            sts: config.sts.clone(),
            aws: Rc::clone(aws),
            service: service.to_owned(),
            region: RefCell::new(region),
            sigv4: RefCell::default(),
            renewed_at: Cell::new(None),
            renewed_key: RefCell::default(),
        })
    }

    /// Appends the signature's header lines to `lines`, which hold the request's other headers.
    /// `url` is what [`signable`] made of it, `body` is as it will be sent.
    pub async fn sign(
        &self,
        method: &str,
        url: &Url,
        lines: &mut String,
        body: &[&[u8]],
        unix_ms: i64,
    ) -> Result<(), String> {
        let region = self.region().await?;
        let credentials = self.provider.get(unix_ms, &region).await?;
        let payload_hash = hash(body).await;
        let given = lines.clone();
        let headers: Vec<_> = given.lines().filter_map(|line| line.split_once(':')).collect();
        let request = Request {
            method,
            host: &url.authority(),
            target: &url.target,
            headers: &headers,
            payload_hash: &payload_hash,
        };
        let scope = Scope { region: &region, service: &self.service };
        let now_ms = self.aws.skew.get().corrected(unix_ms);
        self.sigv4.borrow_mut().sign(&request, &credentials, scope, now_ms, lines);
        Ok(())
    }

    /// The region; asks the metadata endpoints where nothing else has told it.
    pub async fn region(&self) -> Result<String, String> {
        let known = self.region.borrow().clone();
        if let Some(region) = known {
            return Ok(region);
        }
        let found = self.aws.http.region().await;
        let region = found.map_err(|why| {
            format!("region is not known yet ({why}); write region=NAME or set AWS_REGION")
        })?;
        *self.region.borrow_mut() = Some(region.clone());
        Ok(region)
    }

    /// Learns from a response.
    pub fn observe(&self, refusal: &Refusal<'_>, unix_ms: i64) -> Advice {
        let &Refusal { status, date, .. } = refusal;
        if !matches!(status, 400 | 401 | 403) {
            return Advice::None;
        }
        let error = refusal.error();
        let mut skew = self.aws.skew.get();
        if skew.observe(status, date, (&error.code, &error.message), unix_ms) {
            self.aws.skew.set(skew);
            log::warn!(
                "aws: the clock differs from the server's; signing {} ms on",
                skew.offset_ms()
            );
            return Advice::ClockCorrected;
        }
        match self.may_renew(status, error.is_stale()) && self.provider.invalidate(error.is_stale())
        {
            true => Advice::RetryWithFreshCredentials,
            false => Advice::None,
        }
    }

    /// Whether other credentials are worth a try: of another set than was tried last, or after a
    /// while.
    fn may_renew(&self, status: u16, is_stale: bool) -> bool {
        let limit = Duration::from_millis(RENEWAL_MS_MIN);
        let is_recent = self.renewed_at.get().is_some_and(|at| at.elapsed() < limit);
        let key_id = self.provider.key_id();
        let is_other = *self.renewed_key.borrow() != key_id;
        let may_help = match is_stale {
            true => is_other || !is_recent,
            false => status != 400 && !is_recent,
        };
        if may_help {
            self.renewed_at.set(Some(Instant::now()));
            self.renewed_key.replace(key_id);
        }
        may_help
    }

    /// One line about a refusal: which service and region, who asked, and what is missing.
    pub fn describe_denied(&self, refusal: &Refusal<'_>) -> String {
        let (status, error) = (refusal.status, refusal.error());
        let mut words = [error.code.as_str(), error.message.as_str()].join(" ").trim().to_owned();
        if words.is_empty() {
            words = "no reason given".to_owned();
        }
        let action = error.missing_action().map(str::to_owned).or_else(|| {
            let is_policy = error.code.is_empty() || error.code.starts_with("AccessDenied");
            action_of(&self.service).filter(|_| status == 403 && is_policy).map(str::to_owned)
        });
        let advice = action.map_or_else(String::new, |action| format!("; it needs {action}"));
        let role = self.provider.role();
        let line = format!(
            "{status} from {} to {}: {words}{advice}",
            self.place(),
            self.whose(role.as_deref())
        );
        self.redact(line)
    }

    /// `text` without secrets, should a server repeat them.
    pub fn redact(&self, text: String) -> String {
        self.provider.redact(text)
    }

    /// A server's words without secrets, before anything of them is cut off.
    pub fn hide(&self, words: &mut [u8]) {
        self.provider.hide(words);
    }

    /// One line about the credentials in use. STS is asked only where their source does not say
    /// whose they are; that it cannot be reached is no error, as signing does not need it.
    pub async fn identify(&self, unix_ms: i64) -> Result<String, String> {
        let region = self.region().await?;
        let keys = self.provider.get(unix_ms, &region).await?;
        let named = keys.role.as_deref().filter(|role| role.starts_with("arn:"));
        let who = match named {
            Some(role) => self.whose(Some(role)),
            None => {
                let now_ms = self.aws.skew.get().corrected(unix_ms);
                let sts = self.sts.as_ref();
                match self.aws.http.caller_identity(&keys, sts, &region, now_ms).await {
                    Ok(arn) => self.whose(Some(&arn)),
                    Err(failure) if failure.condemns() => return Err(failure.message),
                    Err(failure) => {
                        format!("{}, not known whose: {}", self.whose(None), failure.message)
                    }
                }
            }
        };
        Ok(self.redact(format!("{who}; signs for {}", self.place())))
    }

    /// Service and region.
    fn place(&self) -> String {
        match &*self.region.borrow() {
            Some(region) => format!("{} in {region}", self.service),
            None => self.service.clone(),
        }
    }

    /// A role and where its credentials come from.
    fn whose(&self, role: Option<&str>) -> String {
        let source = self.provider.describe();
        match role {
            Some(role) if !source.contains(role) => format!("{role} ({source})"),
            _ => source,
        }
    }
}

/// What a service's writer must be allowed to do.
fn action_of(service: &str) -> Option<&'static str> {
    match service {
        "aps" => Some("aps:RemoteWrite"),
        "xray" => Some("xray:PutTraceSegments"),
        "logs" => Some("logs:PutLogEvents"),
        "monitoring" => Some("cloudwatch:PutMetricData"),
        _ => None,
    }
}

async fn hash(body: &[&[u8]]) -> String {
    let mut hash = PayloadHash::default();
    for (turn, chunk) in body.iter().flat_map(|piece| piece.chunks(TURN_BYTES_MAX)).enumerate() {
        if turn > 0 {
            yield_now().await;
        }
        hash.update(chunk);
    }
    hash.finish()
}

#[cfg(test)]
#[path = "signer_tests.rs"]
mod tests;
