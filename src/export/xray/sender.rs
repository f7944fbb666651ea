//! The loop that sends: one request in flight, retries in place, everything settled exactly once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::bodies::Bodies;
use super::rejected::rejected;
use super::{Xray, OWN_HEADERS};
use crate::aws::{signable, Advice, Aws, Refusal, Signer};
use crate::export::queue::Block;
use crate::export::retry::{classify, retry_after, Backoff, Verdict};
use crate::net::dns::Resolver;
use crate::net::http1::{Client, Request};
use crate::net::{self, clock, Notify, Url};
use crate::observe::log::shorten;

/// The operation's path (AWS X-Ray API Reference, PutTraceSegments).
const PATH: &str = "/TraceSegments";

const CONTENT_TYPE: &str = "Content-Type: application/json\r\n";

/// What stands before and after the documents of a request.
const BEFORE: &[u8] = b"{\"TraceSegmentDocuments\":[";
const AFTER: &[u8] = b"]}";

/// How much of an answer is read: fifty segments that were not taken, with their reasons.
const ANSWER_BYTES_MAX: usize = 32 * 1024;

/// How much of it is shown.
const SHOWN_BYTES_MAX: usize = 512;

/// Load balancers close idle connections after 60 s; ours go first.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// How often a request is sent again at once because what was refused is mended: the clock, and
/// the credentials.
const REMEDIES_MAX: usize = 2;

/// Sends one destination's queue.
pub struct Sender {
    exporter: Rc<Xray>,
    client: Client,
    headers: String,
    url: Url,
    signer: Signer,
    backoff: Backoff,
    failing: bool,
}

/// How one attempt ended.
struct Outcome {
    verdict: Verdict,
    wait: Option<Duration>,
    /// For the log: status and the server's words, or what went wrong.
    answer: String,
    /// The body of an answer that accepts.
    accepted: String,
    /// What was refused is mended: the same may be sent again at once.
    is_remedied: bool,
}

impl Outcome {
    fn new(verdict: Verdict, answer: String) -> Outcome {
        Outcome { verdict, wait: None, answer, accepted: String::new(), is_remedied: false }
    }
}

/// A response, read.
struct Reply {
    status: u16,
    wait: Option<Duration>,
    date: Option<String>,
    error_type: Option<String>,
    text: String,
}

impl Sender {
    /// Fails where the client keys do not make sense, or no region can be known.
    pub fn new(
        exporter: Rc<Xray>,
        resolver: Rc<Resolver>,
        aws: &Rc<Aws>,
    ) -> Result<Sender, String> {
        let config = &exporter.config;
        let url = signable(Url { target: PATH.to_owned(), ..config.endpoint.clone() });
        let signer = Signer::new(aws, &config.sigv4, &url, Some("xray"))?;
        let client = Client::new(&url, &config.client, resolver)?;
        let headers = format!("{CONTENT_TYPE}{}", config.client.render_headers(&OWN_HEADERS)?);
        let backoff = Backoff::default();
        Ok(Sender { exporter, client, headers, url, signer, backoff, failing: false })
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(mut self) {
        // Ends with this one, whichever way that ends.
        let _translation = net::spawn(Bodies::translate(Rc::clone(&self.exporter)));
        while let Some(block) = self.next().await {
            self.deliver(block).await;
        }
    }

    /// Sends a request without documents; the text says what the destination answered.
    pub async fn check(&mut self) -> Result<String, String> {
        let outcome = self.attempt(b"").await;
        match outcome.verdict {
            Verdict::Sent => Ok(outcome.answer),
            _ => Err(outcome.answer),
        }
    }

    /// The next block, when there is one; None when all is sent and the exporter stops.
    async fn next(&mut self) -> Option<Block> {
        loop {
            let exporter = Rc::clone(&self.exporter);
            if let Some(block) = exporter.queue.take() {
                return Some(block);
            }
            let due = exporter.open_due();
            let is_ending = exporter.stopping.get() && exporter.bodies.is_empty();
            if due.is_some_and(|due| due <= Instant::now() || is_ending) {
                exporter.seal_open();
                continue;
            }
            if is_ending {
                return None;
            }
            self.client.close_if_idle(IDLE_MAX);
            let idle_check = self.client.is_idle_connection().then(|| Instant::now() + IDLE_MAX);
            let wake_at = [due, idle_check].into_iter().flatten().min();
            wait(&exporter.changed, wake_at).await;
        }
    }

    /// Sends a block until it is accepted, refused for good or too old, and settles it.
    async fn deliver(&mut self, block: Block) {
        let retry_for = self.exporter.config.retry_for;
        loop {
            let outcome = self.attempt(&block.body).await;
            let reason = match outcome.verdict {
                Verdict::Sent => return self.settle_sent(&block, &outcome).await,
                Verdict::Retry if block.born.elapsed() >= retry_for => "expired",
                Verdict::Retry => {
                    self.wait_to_retry(&outcome).await;
                    continue;
                }
                Verdict::TooLarge => "too_large",
                Verdict::Unauthorized => "unauthorized",
                Verdict::BadData | Verdict::Refused => "refused",
            };
            return self.settle_dropped(&block, reason, &outcome);
        }
    }

    async fn wait_to_retry(&mut self, outcome: &Outcome) {
        let wait_for = self.backoff.next(fastrand::f64(), outcome.wait);
        self.exporter.account.retry();
        self.failing = true;
        log::warn!(
            "xray at {}: {}; {} spans wait, next try in {:.1} s",
            self.client.authority(),
            outcome.answer,
            self.exporter.account.queued_items(),
            wait_for.as_secs_f64()
        );
        self.client.close_if_idle(Duration::ZERO);
        wait(&self.exporter.hurry, Some(Instant::now() + wait_for)).await;
    }

    async fn settle_sent(&mut self, block: &Block, outcome: &Outcome) {
        self.backoff.reset();
        let authority = self.client.authority();
        if std::mem::take(&mut self.failing) {
            log::info!("xray at {authority}: works again");
        }
        let account = &self.exporter.account;
        account.succeeded_at(clock::unix_ms());
        let strings = std::str::from_utf8(&block.body).unwrap_or_default();
        let mut rejected_items = 0;
        if let Some((spans, why)) = rejected(&outcome.accepted, strings).await {
            rejected_items = spans.min(block.items);
            account.dropped(rejected_items, "rejected");
            let why = shorten(why.as_bytes(), SHOWN_BYTES_MAX);
            log::warn!("xray at {authority}: {rejected_items} spans were not taken: {why}");
        }
        account.sent(block.items - rejected_items);
        self.exporter.queue.landed(block.held_bytes());
    }

    fn settle_dropped(&mut self, block: &Block, reason: &'static str, outcome: &Outcome) {
        log::warn!(
            "xray at {}: {}; dropped {} spans",
            self.client.authority(),
            outcome.answer,
            block.items
        );
        self.exporter.account.dropped(block.items, reason);
        self.exporter.queue.landed(block.held_bytes());
    }

    /// A request and its answer; again at once where a refusal taught something.
    async fn attempt(&mut self, strings: &[u8]) -> Outcome {
        let body = [BEFORE, strings, AFTER];
        let mut outcome = self.attempt_once(&body).await;
        for _ in 0..REMEDIES_MAX {
            if outcome.is_remedied {
                outcome = self.attempt_once(&body).await;
            }
        }
        outcome
    }

    async fn attempt_once(&mut self, body: &[&[u8]]) -> Outcome {
        let limit = self.exporter.config.client.timeout;
        let mut headers = self.headers.clone();
        let now_ms = clock::unix_ms();
        let signed = self.signer.sign("POST", &self.url, &mut headers, body, now_ms).await;
        if let Err(why) = signed {
            // Not an answer of the server: what waits stays.
            return Outcome::new(Verdict::Retry, self.signer.redact(why));
        }
        let exchange = exchange(&mut self.client, &self.url.target, &headers, body);
        let reply = match net::timeout(limit, exchange).await {
            Ok(reply) => reply,
            Err(net::Elapsed) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        };
        self.exporter.account.answer(reply.as_ref().map_or(0, |reply| reply.status));
        match reply {
            Ok(reply) => self.judge(reply),
            Err(error) => Outcome::new(Verdict::Retry, error),
        }
    }

    /// What a reply means.
    fn judge(&self, reply: Reply) -> Outcome {
        let status = reply.status;
        let refusal = Refusal {
            status,
            date: reply.date.as_deref(),
            error_type: reply.error_type.as_deref(),
            body: &reply.text,
        };
        let mut verdict = classify(status);
        // Throttling may come as a client's error.
        if status == 400 && refusal.error().code.starts_with("Throttl") {
            verdict = Verdict::Retry;
        }
        let words = shorten(reply.text.trim().as_bytes(), SHOWN_BYTES_MAX);
        let mut outcome = Outcome::new(verdict, format!("{status}: {words}"));
        outcome.wait = reply.wait;
        outcome.is_remedied = self.signer.observe(&refusal, clock::unix_ms()) != Advice::None;
        let verdict = &outcome.verdict;
        let is_denied = *verdict == Verdict::Unauthorized
            || (matches!(verdict, Verdict::BadData | Verdict::Refused)
                && refusal.error().is_stale());
        outcome.answer = match is_denied {
            true => self.signer.describe_denied(&refusal),
            false => self.signer.redact(outcome.answer),
        };
        outcome.accepted = reply.text;
        outcome
    }
}

/// Sends and reads.
async fn exchange(
    client: &mut Client,
    target: &str,
    headers: &str,
    body: &[&[u8]],
) -> Result<Reply, String> {
    let request = Request { method: "POST", target, headers, body: Some(body) };
    let mut response = client.send(&request).await.map_err(|error| error.to_string())?;
    let header = |name| response.header(name).map(str::to_owned);
    let (date, error_type) = (header("date"), header("x-amzn-errortype"));
    let now_s = clock::unix_ms() / 1000;
    let wait = response.header("retry-after").and_then(|text| retry_after(text, now_s));
    let status = response.status();
    let text = response.read_text(ANSWER_BYTES_MAX).await;
    response.finish().await;
    Ok(Reply { status, wait, date, error_type, text })
}

/// Waits for a notification, at most until `wake_at`.
async fn wait(notify: &Notify, wake_at: Option<Instant>) {
    match wake_at {
        Some(at) => net::timeout_at(at, notify.notified()).await.unwrap_or_default(),
        None => notify.notified().await,
    }
}
