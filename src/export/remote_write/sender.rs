//! Blocks to requests, and what the answers mean (Remote-Write 1.0, "Protocol").

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::split::halve;
use super::{RemoteWrite, OWN_HEADERS};
use crate::aws::Aws;
use crate::codec::snappy;
use crate::export::delivery::{Attempt, Courier, Delivery, Outcome, Parcel};
use crate::export::post::{Post, Reply};
use crate::export::queue::Block;
use crate::export::retry::{classify, Verdict};
use crate::net::dns::Resolver;

/// Headers of every request (Remote-Write 1.0, "Protocol").
const HEADERS: &str = concat!(
    "Content-Encoding: snappy\r\n",
    "Content-Type: application/x-protobuf\r\n",
    "X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
);

/// Bounds of a joined request.
const JOINED_BYTES_MAX: u64 = 1_000_000;
const JOINED_RAW_BYTES_MAX: u64 = 8 << 20;

/// The service that is signed for where neither a setting nor the host tells another.
const SERVICE: &str = "aps";

/// Sends one destination's blocks.
pub struct Sender {
    exporter: Rc<RemoteWrite>,
    post: Post,
}

impl Sender {
    /// Fails where the client keys do not make sense (certificates that cannot be read).
    pub fn new(
        exporter: Rc<RemoteWrite>,
        resolver: &Rc<Resolver>,
        aws: &Rc<Aws>,
    ) -> Result<Sender, String> {
        let config = &exporter.config;
        let headers = format!("{HEADERS}{}", config.client.render_headers(&OWN_HEADERS)?);
        let signing = config.sigv4.as_ref().map(|sigv4| (sigv4, Some(SERVICE)));
        let (around, account) = ((resolver, aws), &exporter.outbox.account);
        let post = Post::new(&config.url, headers, &config.client, signing, around, account)?;
        Ok(Sender { exporter, post })
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(self) {
        let (outbox, retry_for) =
            (Rc::clone(&self.exporter.outbox), self.exporter.config.pace.retry_for);
        Delivery::new(outbox, Box::new(self), ("remote write", "samples"), retry_for).run().await;
    }

    /// Sends one empty request; the text says what the destination answered.
    pub async fn check(&mut self) -> Result<String, String> {
        let outcome = self.post.send(&[&[0]], &judge).await;
        match outcome.verdict {
            Verdict::Sent => Ok(outcome.answer),
            _ => Err(outcome.answer),
        }
    }

    /// Whose credentials sign, if any do.
    pub async fn check_credentials(&self) -> Option<Result<String, String>> {
        self.post.check_credentials().await
    }
}

impl Courier for Sender {
    fn attempt<'a>(&'a mut self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(async {
            let (prefix, prefix_bytes) = snappy::prefix(parcel.raw_bytes());
            let mut body: Vec<&[u8]> = vec![&prefix[..prefix_bytes]];
            body.extend(parcel.blocks.iter().map(|block| block.body.as_slice()));
            self.post.send(&body, &judge).await
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

    fn has_room(&self, parcel: &Parcel, block: &Block) -> bool {
        let bytes: usize = parcel.blocks.iter().map(|block| block.body.len()).sum();
        (bytes + block.body.len()) as u64 <= JOINED_BYTES_MAX
            && parcel.raw_bytes() + block.raw_bytes <= JOINED_RAW_BYTES_MAX
    }

    /// Halves, once.
    fn cut(&mut self, block: &Block, verdict: Verdict, cuts: u8) -> Option<Vec<Block>> {
        if verdict != Verdict::TooLarge || cuts > 0 {
            return None;
        }
        halve(block, &mut self.exporter.workshop.borrow_mut().compressor).map(Vec::from)
    }

    fn gave_up(&mut self) {
        // Metadata may have been in it.
        self.exporter.metadata.borrow_mut().forget();
    }
}

fn judge(reply: &Reply) -> Outcome {
    Outcome::new(classify(reply.status), reply.describe())
}
