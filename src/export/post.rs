//! One POST over HTTP/1, signed where that is asked for, and its answer.
//!
//! The status decides as soon as it is there: a body that never ends costs its words, not the
//! verdict. A refusal that teaches something (the server's clock, new credentials) is followed by
//! another request at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::account::ExporterAccount;
use super::delivery::Outcome;
use super::retry::{retry_after, Verdict};
use crate::aws::{signable, Advice, Aws, Refusal, ServiceError, SigV4Config, Signer};
use crate::net::dns::Resolver;
use crate::net::http1::{Client, Request, Response};
use crate::net::{self, clock, ClientConfig, Secrets, Url};
use crate::observe::log::shorten;

/// How much of an answer is read: what OpenTelemetry's Collector reads (exporter/otlphttpexporter).
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How much of it is shown.
const SHOWN_BYTES_MAX: usize = 512;

/// For the answer's body, once the status is known.
const ANSWER_BODY_MAX: Duration = Duration::from_secs(5);

/// Bytes read at once.
const READ_BYTES: usize = 4096;

/// How often a request is sent again at once because what was refused is mended: the clock, and
/// the credentials.
const REMEDIES_MAX: usize = 2;

/// A response, read as far as it came.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub wait: Option<Duration>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    pub date: Option<String>,
    /// `x-amzn-errortype`.
    pub error_type: Option<String>,
}

impl Reply {
    /// Status and the server's words, for the log.
    pub fn describe(&self) -> String {
        let words = shorten(self.body.trim_ascii(), SHOWN_BYTES_MAX);
        let separator = if words.is_empty() { "" } else { ": " };
        format!("{}{separator}{words}", self.status)
    }

    /// AWS's code and message.
    pub fn error(&self) -> ServiceError {
        let text = String::from_utf8_lossy(&self.body);
        ServiceError::parse(self.error_type.as_deref(), &text)
    }
}

/// How to sign: the settings, and the service where neither they nor the host tell another.
pub type Signing<'a> = Option<(&'a SigV4Config, Option<&'static str>)>;

/// Posts to one address.
pub struct Post {
    client: Client,
    url: Url,
    headers: String,
    signer: Option<Signer>,
    secrets: Secrets,
    timeout: Duration,
    account: Rc<ExporterAccount>,
}

impl Post {
    /// `headers` are lines of every request. Fails where the client keys do not make sense
    /// (certificates that cannot be read) or nothing can be known to sign for.
    pub fn new(
        url: &Url,
        headers: String,
        client: &ClientConfig,
        signing: Signing<'_>,
        around: (&Rc<Resolver>, &Rc<Aws>),
        account: &Rc<ExporterAccount>,
    ) -> Result<Post, String> {
        let (resolver, aws) = around;
        let (mut url, mut signer) = (url.clone(), None);
        if let Some((sigv4, service)) = signing {
            url = signable(url);
            signer = Some(Signer::new(aws, sigv4, &url, service)?);
        }
        let (timeout, secrets) = (client.timeout, client.secrets());
        let client = Client::new(&url, client, Rc::clone(resolver))?;
        Ok(Post { client, url, headers, signer, secrets, timeout, account: Rc::clone(account) })
    }

    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    pub fn is_idle_connection(&self) -> bool {
        self.client.is_idle_connection()
    }

    /// Whose credentials sign, if any do.
    pub async fn check_credentials(&self) -> Option<Result<String, String>> {
        Some(self.signer.as_ref()?.identify(clock::unix_ms()).await)
    }

    /// Sends and judges; again at once where a refusal taught something.
    pub async fn send(&mut self, body: &[&[u8]], judge: &dyn Fn(&Reply) -> Outcome) -> Outcome {
        let mut remedies = 0;
        loop {
            let (outcome, is_remedied) = self.send_once(body, judge).await;
            if !is_remedied || remedies == REMEDIES_MAX {
                return outcome;
            }
            remedies += 1;
        }
    }

    async fn send_once(
        &mut self,
        body: &[&[u8]],
        judge: &dyn Fn(&Reply) -> Outcome,
    ) -> (Outcome, bool) {
        let mut headers = self.headers.clone();
        if let Some(signer) = &self.signer {
            let now_ms = clock::unix_ms();
            if let Err(why) = signer.sign("POST", &self.url, &mut headers, body, now_ms).await {
                // Not an answer of the server: what waits stays.
                return (Outcome::new(Verdict::Retry, signer.redact(why)), false);
            }
        }
        let started = Instant::now();
        let reply = self.exchange(&headers, body).await;
        if let Ok(reply) = &reply {
            let bytes: usize = body.iter().map(|piece| piece.len()).sum();
            self.account.log_answer(reply.status, bytes, started);
        }
        self.account.answer(reply.as_ref().map_or(0, |reply| reply.status));
        match reply {
            Ok(reply) => self.judge(&reply, judge(&reply)),
            Err(error) => (Outcome::new(Verdict::Retry, error), false),
        }
    }

    async fn exchange(&mut self, headers: &str, body: &[&[u8]]) -> Result<Reply, String> {
        let request =
            Request { method: "POST", target: &self.url.target, headers, body: Some(body) };
        let response = match net::timeout(self.timeout, self.client.send(&request)).await {
            Ok(response) => response.map_err(|error| error.after(self.account.destination()))?,
            Err(net::Elapsed) => {
                return Err(format!("no answer within {} s", self.timeout.as_secs_f64()));
            }
        };
        let header = |name| response.header(name).map(str::to_owned);
        let now_s = clock::unix_ms() / 1000;
        let mut reply = Reply {
            status: response.status(),
            wait: response.header("retry-after").and_then(|text| retry_after(text, now_s)),
            content_type: header("content-type"),
            body: Vec::new(),
            date: header("date"),
            error_type: header("x-amzn-errortype"),
        };
        let limit = self.timeout.min(ANSWER_BODY_MAX);
        let _ = net::timeout(limit, read_body(response, &mut reply.body)).await;
        self.secrets.hide(&mut reply.body);
        if let Some(signer) = &self.signer {
            signer.hide(&mut reply.body);
        }
        Ok(reply)
    }

    /// What a refusal means where requests are signed; true if it is mended.
    fn judge(&self, reply: &Reply, mut outcome: Outcome) -> (Outcome, bool) {
        outcome.wait = outcome.wait.or(reply.wait);
        let Some(signer) = &self.signer else { return (outcome, false) };
        let text = String::from_utf8_lossy(&reply.body);
        let refusal = Refusal {
            status: reply.status,
            date: reply.date.as_deref(),
            error_type: reply.error_type.as_deref(),
            body: &text,
        };
        let is_remedied = signer.observe(&refusal, clock::unix_ms()) != Advice::None;
        let is_client_error = matches!(outcome.verdict, Verdict::Refused | Verdict::BadData);
        if is_client_error && refusal.error().is_stale() {
            outcome.verdict = Verdict::Unauthorized;
        }
        outcome.answer = match outcome.verdict {
            Verdict::Unauthorized => signer.describe_denied(&refusal),
            _ => signer.redact(outcome.answer),
        };
        (outcome, is_remedied)
    }
}

/// Reads what is wanted of the body, and a short rest so that the connection can be used again.
async fn read_body(mut response: Response<'_>, body: &mut Vec<u8>) {
    let mut buffer = vec![0; READ_BYTES];
    while body.len() < ANSWER_BYTES_MAX {
        match response.read(&mut buffer).await {
            Ok(count @ 1..) => body.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    response.finish().await;
}
