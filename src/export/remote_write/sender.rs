//! The loop that sends: one request in flight, retries in place, everything settled exactly once.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::split::halve;
use super::{RemoteWrite, OWN_HEADERS};
use crate::aws::{signable, Advice, Aws, Refusal, Signer};
use crate::codec::snappy;
use crate::export::queue::Block;
use crate::export::retry::{classify, retry_after, Backoff, Verdict};
use crate::net::dns::Resolver;
use crate::net::http1::{Client, Request};
use crate::net::{self, clock, Url};
use crate::observe::log::shorten;

/// Headers of every request (Remote-Write 1.0, "Protocol").
const HEADERS: &str = concat!(
    "Content-Encoding: snappy\r\n",
    "Content-Type: application/x-protobuf\r\n",
    "X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
);

/// Blocks that waited longer than this are joined, so that a backlog needs fewer requests.
const CATCHING_UP: Duration = Duration::from_secs(15);

/// Bounds of a joined request.
const JOINED_BYTES_MAX: u64 = 1_000_000;
const JOINED_RAW_BYTES_MAX: u64 = 8 << 20;

/// How much of an error answer is read: enough for AWS's, which end with what they computed.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// How much of it is shown.
const ANSWER_BYTES_MAX: usize = 512;

/// Load balancers close idle connections after 60 s; ours go first.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// How often a request is sent again at once because what was refused is mended: the clock, and
/// the credentials.
const REMEDIES_MAX: usize = 2;

/// The service that is signed for where neither a setting nor the host tells another.
const SERVICE: &str = "aps";

/// Sends one destination's queue.
pub struct Sender {
    exporter: Rc<RemoteWrite>,
    client: Client,
    headers: String,
    url: Url,
    signer: Option<Signer>,
    backoff: Backoff,
    failing: bool,
}

/// Blocks that travel in one request, oldest first.
struct Parcel {
    blocks: Vec<Block>,
    items: u64,
    held_bytes: u64,
}

impl Parcel {
    fn new(block: Block) -> Parcel {
        let (items, held_bytes) = (block.items, block.held_bytes());
        Parcel { blocks: vec![block], items, held_bytes }
    }

    fn add(&mut self, block: Block) {
        self.items += block.items;
        self.held_bytes += block.held_bytes();
        self.blocks.push(block);
    }

    fn has_room(&self, block: &Block) -> bool {
        let bytes: usize = self.blocks.iter().map(|block| block.body.len()).sum();
        (bytes + block.body.len()) as u64 <= JOINED_BYTES_MAX
            && self.raw_bytes() + block.raw_bytes <= JOINED_RAW_BYTES_MAX
    }

    fn raw_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.raw_bytes).sum()
    }
}

/// How one attempt ended.
struct Outcome {
    verdict: Verdict,
    wait: Option<Duration>,
    /// For the log: status and the server's words, or what went wrong.
    answer: String,
    /// What was refused is mended: the same may be sent again at once.
    is_remedied: bool,
}

impl Outcome {
    fn new(verdict: Verdict, answer: String) -> Outcome {
        Outcome { verdict, wait: None, answer, is_remedied: false }
    }
}

/// A response, read.
#[derive(Default)]
struct Reply {
    status: u16,
    wait: Option<Duration>,
    date: Option<String>,
    error_type: Option<String>,
    text: String,
}

impl Sender {
    /// Fails where the client keys do not make sense (certificates that cannot be read).
    pub fn new(
        exporter: Rc<RemoteWrite>,
        resolver: Rc<Resolver>,
        aws: &Rc<Aws>,
    ) -> Result<Sender, String> {
        let config = &exporter.config;
        let (mut url, mut signer) = (config.url.clone(), None);
        if let Some(sigv4) = &config.sigv4 {
            url = signable(url);
            signer = Some(Signer::new(aws, sigv4, &url, Some(SERVICE))?);
        }
        let client = Client::new(&url, &config.client, resolver)?;
        let headers = format!("{HEADERS}{}", config.client.render_headers(&OWN_HEADERS)?);
        let backoff = Backoff::default();
        Ok(Sender { exporter, client, headers, url, signer, backoff, failing: false })
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(mut self) {
        while let Some(block) = self.next().await {
            let parcel = self.join(block);
            self.deliver(parcel).await;
        }
    }

    /// Sends one empty request; the text says what the destination answered.
    pub async fn check(&mut self) -> Result<String, String> {
        let body = [0_u8];
        let outcome = self.attempt(&[&body]).await;
        match outcome.verdict {
            Verdict::Sent => Ok(outcome.answer),
            _ => Err(outcome.answer),
        }
    }

    /// Whose credentials sign, if any do.
    pub async fn check_credentials(&self) -> Option<Result<String, String>> {
        Some(self.signer.as_ref()?.identify(clock::unix_ms()).await)
    }

    /// The next block, when there is one; None when all is sent and the exporter stops.
    async fn next(&mut self) -> Option<Block> {
        loop {
            let exporter = Rc::clone(&self.exporter);
            if let Some(block) = exporter.queue.take() {
                return Some(block);
            }
            let due = exporter.open_due();
            if due.is_some_and(|due| due <= Instant::now() || exporter.stopping.get()) {
                exporter.seal_open();
                continue;
            }
            if exporter.stopping.get() {
                return None;
            }
            self.client.close_if_idle(IDLE_MAX);
            let idle_check = self.client.is_idle_connection().then(|| Instant::now() + IDLE_MAX);
            let wake_at = [due, idle_check].into_iter().flatten().min();
            wait(&exporter.changed, wake_at).await;
        }
    }

    /// Adds waiting blocks to an old one.
    fn join(&self, block: Block) -> Parcel {
        let is_old = block.born.elapsed() > CATCHING_UP;
        let mut parcel = Parcel::new(block);
        if is_old {
            while let Some(next) = self.exporter.queue.take_if(|next| parcel.has_room(next)) {
                parcel.add(next);
            }
        }
        parcel
    }

    /// Sends a parcel until it is accepted, refused for good or too old, and settles it.
    async fn deliver(&mut self, mut parcel: Parcel) {
        let retry_for = self.exporter.config.retry_for;
        loop {
            self.expire(&mut parcel, retry_for);
            if parcel.blocks.is_empty() {
                return;
            }
            let outcome = self.attempt_parcel(&parcel).await;
            match outcome.verdict {
                Verdict::Sent => return self.settle_sent(&parcel),
                Verdict::Retry => self.wait_to_retry(&parcel, &outcome).await,
                Verdict::TooLarge => return self.deliver_halves(parcel, &outcome).await,
                Verdict::Unauthorized => {
                    return self.settle_dropped(&parcel, "unauthorized", &outcome)
                }
                Verdict::Refused => return self.settle_dropped(&parcel, "refused", &outcome),
            }
        }
    }

    /// Gives up the blocks at the front that were tried for too long.
    fn expire(&mut self, parcel: &mut Parcel, retry_for: Duration) {
        while parcel.blocks.first().is_some_and(|block| block.born.elapsed() > retry_for) {
            let old = Parcel::new(parcel.blocks.remove(0));
            parcel.items -= old.items;
            parcel.held_bytes -= old.held_bytes;
            let answer = format!("not accepted within {} s", retry_for.as_secs());
            let outcome = Outcome::new(Verdict::Refused, answer);
            self.settle_dropped(&old, "expired", &outcome);
        }
    }

    async fn wait_to_retry(&mut self, parcel: &Parcel, outcome: &Outcome) {
        let wait_for = self.backoff.next(fastrand::f64(), outcome.wait);
        self.exporter.account.retry();
        self.failing = true;
        log::warn!(
            "remote write to {}: {}; {} samples wait, next try in {:.1} s",
            self.client.authority(),
            outcome.answer,
            self.exporter.account.queued_items().max(parcel.items),
            wait_for.as_secs_f64()
        );
        if self.client.is_idle_connection() {
            self.client.close_if_idle(Duration::ZERO);
        }
        wait(&self.exporter.hurry, Some(Instant::now() + wait_for)).await;
    }

    /// A parcel that was too large is sent once more, in its blocks or in halves of its only one.
    async fn deliver_halves(&mut self, parcel: Parcel, outcome: &Outcome) {
        let held_bytes = parcel.held_bytes;
        let pieces = if parcel.blocks.len() > 1 {
            parcel.blocks
        } else {
            let halves = {
                let mut workshop = self.exporter.workshop.borrow_mut();
                parcel.blocks.first().and_then(|block| halve(block, &mut workshop.compressor))
            };
            match halves {
                Some(halves) => Vec::from(halves),
                None => return self.settle_dropped(&parcel, "too_large", outcome),
            }
        };
        let mut pieces: Vec<Parcel> = pieces.into_iter().map(Parcel::new).collect();
        let split = pieces.len();
        for (at, piece) in pieces.iter_mut().enumerate() {
            // The whole stays accounted as in flight until its last piece is settled.
            piece.held_bytes = if at + 1 == split { held_bytes } else { 0 };
            self.deliver_piece(piece).await;
        }
    }

    /// Like [`Sender::deliver`], without another split.
    async fn deliver_piece(&mut self, parcel: &Parcel) {
        loop {
            let outcome = self.attempt_parcel(parcel).await;
            let too_old = parcel
                .blocks
                .iter()
                .any(|block| block.born.elapsed() > self.exporter.config.retry_for);
            match outcome.verdict {
                Verdict::Sent => return self.settle_sent(parcel),
                Verdict::Retry if too_old => {
                    return self.settle_dropped(parcel, "expired", &outcome)
                }
                Verdict::Retry => self.wait_to_retry(parcel, &outcome).await,
                Verdict::TooLarge => return self.settle_dropped(parcel, "too_large", &outcome),
                Verdict::Unauthorized => {
                    return self.settle_dropped(parcel, "unauthorized", &outcome)
                }
                Verdict::Refused => return self.settle_dropped(parcel, "refused", &outcome),
            }
        }
    }

    fn settle_sent(&mut self, parcel: &Parcel) {
        self.backoff.reset();
        if std::mem::take(&mut self.failing) {
            log::info!("remote write to {}: works again", self.client.authority());
        }
        self.exporter.account.succeeded_at(clock::unix_ms());
        self.exporter.account.sent(parcel.items);
        self.exporter.queue.landed(parcel.held_bytes);
    }

    fn settle_dropped(&mut self, parcel: &Parcel, reason: &'static str, outcome: &Outcome) {
        log::warn!(
            "remote write to {}: {}; dropped {} samples",
            self.client.authority(),
            outcome.answer,
            parcel.items
        );
        self.exporter.account.dropped(parcel.items, reason);
        self.exporter.queue.landed(parcel.held_bytes);
    }

    async fn attempt_parcel(&mut self, parcel: &Parcel) -> Outcome {
        let (prefix, prefix_bytes) = snappy::prefix(parcel.raw_bytes());
        let mut body: Vec<&[u8]> = vec![&prefix[..prefix_bytes]];
        body.extend(parcel.blocks.iter().map(|block| block.body.as_slice()));
        self.attempt(&body).await
    }

    /// A request and its answer; again at once where a refusal taught something.
    async fn attempt(&mut self, body: &[&[u8]]) -> Outcome {
        let mut outcome = self.attempt_once(body).await;
        for _ in 0..REMEDIES_MAX {
            if outcome.is_remedied {
                outcome = self.attempt_once(body).await;
            }
        }
        outcome
    }

    async fn attempt_once(&mut self, body: &[&[u8]]) -> Outcome {
        let mut headers = Cow::Borrowed(&self.headers);
        if let Some(signer) = &self.signer {
            let now_ms = clock::unix_ms();
            let signed = signer.sign("POST", &self.url, headers.to_mut(), body, now_ms).await;
            if let Err(why) = signed {
                // Not an answer of the server: what waits stays.
                return Outcome::new(Verdict::Retry, signer.redact(why));
            }
        }
        let limit = self.exporter.config.client.timeout;
        let exchange = exchange(&mut self.client, &self.url.target, &headers, body);
        let reply = match net::timeout(limit, exchange).await {
            Ok(reply) => reply,
            Err(net::Elapsed) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        };
        self.exporter.account.answer(reply.as_ref().map_or(0, |reply| reply.status));
        match reply {
            Ok(reply) => self.judge(&reply),
            Err(error) => Outcome::new(Verdict::Retry, error),
        }
    }

    /// What a reply means.
    fn judge(&self, reply: &Reply) -> Outcome {
        let status = reply.status;
        let words = shorten(reply.text.trim().as_bytes(), ANSWER_BYTES_MAX);
        let separator = if words.is_empty() { "" } else { ": " };
        let mut outcome = Outcome::new(classify(status), format!("{status}{separator}{words}"));
        outcome.wait = reply.wait;
        let Some(signer) = &self.signer else { return outcome };
        let refusal = Refusal {
            status,
            date: reply.date.as_deref(),
            error_type: reply.error_type.as_deref(),
            body: &reply.text,
        };
        outcome.is_remedied = signer.observe(&refusal, clock::unix_ms()) != Advice::None;
        outcome.answer = match outcome.verdict {
            Verdict::Unauthorized => signer.describe_denied(&refusal),
            Verdict::Refused if refusal.error().is_stale() => signer.describe_denied(&refusal),
            _ => signer.redact(outcome.answer),
        };
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
    let wait =
        response.header("retry-after").and_then(|text| retry_after(text, clock::unix_ms() / 1000));
    let mut reply = Reply { status: response.status(), wait, date, error_type, ..Reply::default() };
    if classify(reply.status) != Verdict::Sent {
        reply.text = response.read_text(BODY_BYTES_MAX).await;
    }
    response.finish().await;
    Ok(reply)
}

/// Waits for a notification or a time, whichever comes first.
async fn wait(notify: &net::Notify, until: Option<Instant>) {
    match until {
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            let _ = net::timeout(left, notify.notified()).await;
        }
        None => notify.notified().await,
    }
}
