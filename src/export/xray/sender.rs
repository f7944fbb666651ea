//! Batches of documents to PutTraceSegments, and what the answers mean.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::bodies::Bodies;
use super::rejected::rejected;
use super::{Xray, OWN_HEADERS};
use crate::aws::Aws;
use crate::export::delivery::{Attempt, Courier, Delivery, Outcome, Parcel};
use crate::export::post::{Post, Reply};
use crate::export::queue::{Block, Piece};
use crate::export::retry::{classify, Verdict};
use crate::net::dns::Resolver;
use crate::net::{self, Url};
use crate::observe::log::shorten;

/// The operation's path (AWS X-Ray API Reference, PutTraceSegments).
const PATH: &str = "/TraceSegments";

const CONTENT_TYPE: &str = "Content-Type: application/json\r\n";

/// What stands before and after the documents of a request.
const BEFORE: &[u8] = b"{\"TraceSegmentDocuments\":[";
const AFTER: &[u8] = b"]}";

/// How much of a reason is shown.
const SHOWN_BYTES_MAX: usize = 512;

/// Sends one destination's documents.
pub struct Sender {
    exporter: Rc<Xray>,
    post: Post,
}

impl Sender {
    /// Fails where the client keys do not make sense, or no region can be known.
    pub fn new(
        exporter: Rc<Xray>,
        resolver: &Rc<Resolver>,
        aws: &Rc<Aws>,
    ) -> Result<Sender, String> {
        let config = &exporter.config;
        let url = Url { target: PATH.to_owned(), ..config.endpoint.clone() };
        let headers = format!("{CONTENT_TYPE}{}", config.client.render_headers(&OWN_HEADERS)?);
        let signing = Some((&config.sigv4, Some("xray")));
        let (around, account) = ((resolver, aws), &exporter.outbox.account);
        let post = Post::new(&url, headers, &config.client, signing, around, account)?;
        Ok(Sender { exporter, post })
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(self) {
        // Ends with this one, whichever way that ends.
        let _translation = net::spawn(Bodies::translate(Rc::clone(&self.exporter)));
        let (outbox, retry_for) =
            (Rc::clone(&self.exporter.outbox), self.exporter.config.pace.retry_for);
        Delivery::new(outbox, Box::new(self), ("xray", "spans"), retry_for).run().await;
    }

    /// Sends a request without documents; the text says what the destination answered.
    pub async fn check(&mut self) -> Result<String, String> {
        let outcome = self.send(b"").await;
        match outcome.verdict {
            Verdict::Sent => Ok(outcome.answer),
            _ => Err(outcome.answer),
        }
    }

    /// Whose credentials sign.
    pub async fn check_credentials(&self) -> Option<Result<String, String>> {
        self.post.check_credentials().await
    }

    async fn send(&mut self, strings: &[u8]) -> Outcome {
        let answer = RefCell::new(Vec::new());
        let judge = |reply: &Reply| {
            let mut verdict = classify(reply.status);
            // Throttling may come as a client's error.
            if reply.status == 400 && reply.error().code.starts_with("Throttl") {
                verdict = Verdict::Retry;
            }
            *answer.borrow_mut() = reply.body.clone();
            Outcome::new(verdict, reply.describe())
        };
        let mut outcome = self.post.send(&[BEFORE, strings, AFTER], &judge).await;
        if outcome.verdict == Verdict::Sent {
            let (answer, strings) = (answer.into_inner(), std::str::from_utf8(strings));
            let answer = String::from_utf8_lossy(&answer);
            if let Some((spans, why)) = rejected(&answer, strings.unwrap_or_default()).await {
                outcome.rejected_items = spans;
                outcome.answer = shorten(why.as_bytes(), SHOWN_BYTES_MAX);
            }
        }
        outcome
    }
}

impl Courier for Sender {
    fn attempt<'a>(&'a mut self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(async {
            match parcel.blocks.first() {
                Some(block) => self.send(&block.body).await,
                None => Outcome::new(Verdict::Sent, ""),
            }
        })
    }

    fn is_idle_connection(&self) -> bool {
        self.post.is_idle_connection()
    }

    fn close_if_idle(&mut self, longer_than: Duration) {
        self.post.client().close_if_idle(longer_than);
    }

    fn open_due(&self) -> Option<Instant> {
        self.exporter.open_due()
    }

    fn seal_open(&self) {
        self.exporter.seal_open();
    }

    /// Halves, until the document that is bad is alone.
    fn cut(&mut self, block: &Block, _verdict: Verdict, _cuts: u8) -> Option<Vec<Block>> {
        let (first, second) = block.pieces.split_at(block.pieces.len() / 2);
        if first.is_empty() {
            return None;
        }
        let bytes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.raw_bytes as usize).sum();
        let (left, right) = block.body.split_at_checked(bytes(first))?;
        let part = |body: &[u8], pieces: &[Piece]| Block {
            body: body.to_vec(),
            raw_bytes: body.len() as u64,
            items: pieces.iter().map(|piece| u64::from(piece.items)).sum(),
            born: block.born,
            pieces: pieces.to_vec(),
        };
        // The comma between the halves belongs to neither.
        let mut second = second.to_vec();
        second.first_mut()?.raw_bytes -= 1;
        Some(vec![part(left, first), part(right.strip_prefix(b",")?, &second)])
    }

    fn is_drained(&self) -> bool {
        self.exporter.bodies.is_empty()
    }
}
