//! The TCP side: an SDK's sampling requests, signed and passed on to X-Ray
//! (`GetSamplingRules`, `SamplingTargets`, and any other POST of the X-Ray API).
//!
//! Nothing is read into a request: path, query, body and headers pass. Hop-by-hop headers (RFC 9110
//! §7.6.1) and a client's own signature are removed before signing. Whatever goes wrong is answered
//! 502 or 503 with JSON, within [`EXCHANGE_MAX`]: an SDK that waits would sample nothing meanwhile.
//! Both bodies are bounded and held in the memory budget; one that finds no room there is answered
//! 503.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::Config;
use crate::aws::{region, signable, Advice, Aws, Refusal, SigV4Config, Signer};
use crate::codec::json::push_escaped;
use crate::net::dns::Resolver;
use crate::net::http1::{Answer, Client, Incoming, Request, RequestHead, Response};
use crate::net::{self, clock, ClientConfig, Notify, Url};
use crate::observe::{Budget, Counter, Registry, Reservation};

/// Longest body of a request.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Longest answer passed back.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// From the request's last byte to the answer; credentials and connecting included.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);

/// Connections kept to X-Ray.
const CLIENTS_MAX: usize = 2;

/// They are closed when nobody has used them for so long.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// Bytes read of an answer at once, and between two yields.
const READ_BYTES: usize = 8 * 1024;
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Not passed on: hop by hop, written by the client of this proxy, or about the client's own
/// signature. Compression is left off because answers pass as they are.
const DROPPED: [&str; 19] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
    "user-agent",
    "accept-encoding",
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "forwarded",
];

/// Headers of the answer that are passed back.
const RETURNED: [&str; 4] = ["Content-Type", "x-amzn-RequestId", "x-amzn-ErrorType", "Retry-After"];

const NO_ROOM: &str = "the memory limit leaves no room; try again later";

/// Tells a signer nothing about the region.
const NOWHERE: &str = "https://xray.amazonaws.com/";

/// Passes requests on.
pub struct Proxy {
    aws: Rc<Aws>,
    resolver: Rc<Resolver>,
    upstream: Option<Url>,
    /// The error says why nothing can be signed.
    signer: Result<Signer, String>,
    clients: RefCell<Vec<Client>>,
    /// A connection is kept where perhaps none was.
    kept: Notify,
    budget: Rc<Budget>,
    /// [`EXCHANGE_MAX`]; tests wait less.
    pub(super) exchange_max: Duration,
    requests: Counter,
    failures: Counter,
}

/// An answer of X-Ray, read.
struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    date: Option<String>,
    error_type: Option<String>,
}

/// Why there is none: a status and a line for the client.
type Failure = (u16, String);

impl Proxy {
    pub fn new(
        config: &Config,
        aws: &Rc<Aws>,
        resolver: &Rc<Resolver>,
        registry: &Registry,
        budget: &Rc<Budget>,
    ) -> Proxy {
        let sigv4 = SigV4Config { region: config.region.clone(), ..SigV4Config::default() };
        let place = match &config.upstream {
            Some(upstream) => Ok(upstream.clone()),
            None => Url::parse(NOWHERE),
        };
        let signer = place.and_then(|url| Signer::new(aws, &sigv4, &url, Some("xray")));
        if let Err(why) = &signer {
            log::warn!("xray: sampling requests are answered 503: {why}");
        }
        Proxy {
            aws: Rc::clone(aws),
            resolver: Rc::clone(resolver),
            upstream: config.upstream.clone(),
            signer,
            clients: RefCell::default(),
            kept: Notify::default(),
            budget: Rc::clone(budget),
            exchange_max: EXCHANGE_MAX,
            requests: registry.counter("otlet_xray_proxy_requests_total", &[]),
            failures: registry.counter("otlet_xray_proxy_failures_total", &[]),
        }
    }

    /// Answers one request.
    pub async fn answer(&self, incoming: &mut Incoming<'_>) -> Answer {
        self.requests.increment();
        if incoming.head().method != "POST" {
            return Answer::method_not_allowed("POST");
        }
        let (mut body, mut held) = (Vec::new(), self.budget.reservation());
        if let Err(refusal) = self.read_request(incoming, &mut body, &mut held).await {
            return refusal;
        }
        let passing = self.pass(incoming.head(), &body, &mut held);
        let passed = net::timeout(self.exchange_max, passing).await;
        let late = || Err((502, format!("no answer within {} s", self.exchange_max.as_secs_f32())));
        match passed.unwrap_or_else(|_| late()) {
            Ok(reply) => Answer {
                status: reply.status,
                headers: reply.headers,
                body: reply.body,
                ..Answer::default()
            },
            Err((status, why)) => self.fail(status, &why),
        }
    }

    /// Reads the body as far as there is room for it.
    async fn read_request(
        &self,
        incoming: &mut Incoming<'_>,
        body: &mut Vec<u8>,
        held: &mut Reservation,
    ) -> Result<(), Answer> {
        let declared = incoming.declared_length().unwrap_or(0);
        let mut is_more = true;
        loop {
            let bytes = declared.max(body.len() as u64);
            if bytes > REQUEST_BYTES_MAX as u64 {
                return Err(Answer::text(413, format!("longer than {REQUEST_BYTES_MAX} bytes")));
            }
            if !held.try_resize(bytes) {
                return Err(self.fail(503, NO_ROOM));
            }
            if !is_more {
                return Ok(());
            }
            body.reserve_exact(declared as usize - body.len().min(declared as usize));
            is_more = incoming.read_part(body).await?;
        }
    }

    /// Closes connections that are not used, for ever; sleeps while there are none.
    pub async fn close_idle(self: Rc<Self>) {
        loop {
            self.kept.notified().await;
            while !self.clients.borrow().is_empty() {
                net::sleep(IDLE_MAX).await;
                let mut clients = self.clients.borrow_mut();
                clients.iter_mut().for_each(|client| client.close_if_idle(IDLE_MAX));
                clients.retain(Client::is_idle_connection);
            }
        }
    }

    fn fail(&self, status: u16, why: &str) -> Answer {
        self.failures.increment();
        log::warn!("xray: sampling request: {why}");
        let mut body = "{\"message\":\"".to_owned();
        push_escaped(&mut body, why);
        body.push_str("\"}");
        let content_type = "application/json";
        Answer { status, content_type, body: body.into_bytes(), ..Answer::default() }
    }

    /// Signs and sends; once more where a refusal taught something.
    async fn pass(
        &self,
        head: &RequestHead,
        body: &[u8],
        held: &mut Reservation,
    ) -> Result<Reply, Failure> {
        let signer = self.signer.as_ref().map_err(|why| (503, why.clone()))?;
        let url = self.url(signer, &head.target).await.map_err(|why| (503, why))?;
        let reply = self.exchange(signer, &url, head, body, held).await?;
        let text = String::from_utf8_lossy(&reply.body);
        let refusal = Refusal {
            status: reply.status,
            date: reply.date.as_deref(),
            error_type: reply.error_type.as_deref(),
            body: &text,
        };
        match signer.observe(&refusal, clock::unix_ms()) {
            Advice::None => Ok(reply),
            _ => self.exchange(signer, &url, head, body, held).await,
        }
    }

    /// Where the request goes: the endpoint with the request's own path and query.
    async fn url(&self, signer: &Signer, target: &str) -> Result<Url, String> {
        let endpoint = match &self.upstream {
            Some(upstream) => upstream.clone(),
            None => region::endpoint("xray", &signer.region().await?, self.aws.environment())?,
        };
        Ok(signable(Url { target: target.to_owned(), ..endpoint }))
    }

    async fn exchange(
        &self,
        signer: &Signer,
        url: &Url,
        head: &RequestHead,
        body: &[u8],
        held: &mut Reservation,
    ) -> Result<Reply, Failure> {
        let mut headers = passed_headers(head);
        let pieces = [body];
        let signed = signer.sign("POST", url, &mut headers, &pieces, clock::unix_ms()).await;
        signed.map_err(|why| (503, signer.redact(why)))?;
        let mut client = self.client(url).map_err(|why| (502, why))?;
        let request =
            Request { method: "POST", target: &url.target, headers: &headers, body: Some(&pieces) };
        let response = client.send(&request).await.map_err(|error| (502, error.to_string()))?;
        let reply = read(response, body.len(), held).await?;
        let mut clients = self.clients.borrow_mut();
        if clients.len() < CLIENTS_MAX {
            clients.push(client);
            self.kept.notify();
        }
        Ok(reply)
    }

    /// A client that is free, with its connection, or another.
    fn client(&self, url: &Url) -> Result<Client, String> {
        match self.clients.borrow_mut().pop() {
            Some(client) => Ok(client),
            None => Client::new(url, &ClientConfig::default(), Rc::clone(&self.resolver)),
        }
    }
}

/// The header lines that are passed on.
fn passed_headers(head: &RequestHead) -> String {
    let mut lines = String::new();
    for (name, value) in head.fields.iter() {
        let is_dropped = DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped));
        if !is_dropped && !head.fields.has_token("connection", name) {
            lines.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    lines
}

/// Reads an answer; `others` is what is held beside it.
async fn read(
    mut response: Response<'_>,
    others: usize,
    held: &mut Reservation,
) -> Result<Reply, Failure> {
    let mut headers = String::new();
    for name in RETURNED {
        if let Some(value) = response.header(name) {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let own = |name| response.header(name).map(str::to_owned);
    let (date, error_type) = (own("date"), own("x-amzn-errortype"));
    let status = response.status();
    let (mut body, mut buffer, mut turn_bytes) = (Vec::new(), vec![0; READ_BYTES], 0);
    loop {
        let count = response.read(&mut buffer).await.map_err(|error| (502, error.to_string()))?;
        if count == 0 {
            return Ok(Reply { status, headers, body, date, error_type });
        }
        let bytes = body.len() + count;
        if bytes > ANSWER_BYTES_MAX {
            return Err((502, format!("answer longer than {ANSWER_BYTES_MAX} bytes")));
        }
        if !held.try_resize((others + bytes) as u64) {
            return Err((503, NO_ROOM.to_owned()));
        }
        body.extend_from_slice(&buffer[..count]);
        turn_bytes += count;
        if turn_bytes >= TURN_BYTES_MAX {
            turn_bytes = 0;
            net::yield_now().await;
        }
    }
}
