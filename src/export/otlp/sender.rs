//! Blocks to requests over HTTP or gRPC, and blocks that were refused in their parts.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::answer::judge_http;
use super::batch::{unpack, Batch, Workshop};
use super::config::{Config, Protocol, OWN_HEADERS};
use super::grpc::Grpc;
use super::lane::Lane;
use crate::aws::Aws;
use crate::codec::otlp::{validate, Signal};
use crate::codec::protobuf::Fields;
use crate::export::delivery::{Attempt, Courier, Delivery, Outcome, Parcel};
use crate::export::post::Post;
use crate::export::queue::{Block, Piece};
use crate::export::retry::Verdict;
use crate::net::dns::Resolver;

enum Way {
    Http(Box<Post>),
    Grpc(Box<Grpc>),
}

/// Sends one lane's blocks.
pub struct Sender {
    lane: Rc<Lane>,
    way: Way,
    is_gzip: bool,
}

/// What the lane and its items are called in the log.
fn words(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Metrics => ("otlp metrics", "points"),
        Signal::Traces => ("otlp traces", "spans"),
        Signal::Logs => ("otlp logs", "log records"),
    }
}

impl Sender {
    /// Fails where the client keys do not make sense (certificates that cannot be read).
    pub fn new(
        config: &Config,
        lane: &Rc<Lane>,
        around: (&Rc<Resolver>, &Rc<Aws>),
    ) -> Result<Sender, String> {
        let (url, account) = (config.url_of(lane.signal), &lane.outbox.account);
        let way = match config.protocol {
            Protocol::Http => {
                let encoding = if config.gzip { "Content-Encoding: gzip\r\n" } else { "" };
                let given = config.client.render_headers(&OWN_HEADERS)?;
                let headers = format!("Content-Type: application/x-protobuf\r\n{encoding}{given}");
                let signing = config.sigv4.as_ref().map(|sigv4| (sigv4, None));
                let post = Post::new(&url, headers, &config.client, signing, around, account)?;
                Way::Http(Box::new(post))
            }
            Protocol::Grpc => {
                let what = (lane.signal, config.gzip);
                let grpc = Grpc::new(&url, &config.client, around.0, what, account)?;
                Way::Grpc(Box::new(grpc))
            }
        };
        Ok(Sender { lane: Rc::clone(lane), way, is_gzip: config.gzip })
    }

    /// Sends until the exporter is stopped and nothing is left.
    pub async fn run(self, retry_for: Duration) {
        let outbox = Rc::clone(&self.lane.outbox);
        let words = words(self.lane.signal);
        Delivery::new(outbox, Box::new(self), words, retry_for).run().await;
    }

    /// Sends one empty request; the text says what the destination answered.
    pub async fn check(&mut self) -> Result<String, String> {
        let mut workshop = Workshop::new(self.is_gzip);
        let empty = Batch::default().seal(&mut workshop);
        let outcome = self.send(&empty).await;
        match outcome.verdict {
            Verdict::Sent => Ok(outcome.answer),
            _ => Err(outcome.answer),
        }
    }

    /// Whose credentials sign, if any do.
    pub async fn check_credentials(&self) -> Option<Result<String, String>> {
        match &self.way {
            Way::Http(post) => post.check_credentials().await,
            Way::Grpc(_) => None,
        }
    }

    async fn send(&mut self, block: &Block) -> Outcome {
        match &mut self.way {
            Way::Http(post) => post.send(&[&block.body], &judge_http).await,
            Way::Grpc(grpc) => grpc.send(&block.body).await,
        }
    }

    /// Blocks of these parts of a body.
    fn pack(&self, born: Instant, raw: &[u8], pieces: &[Piece]) -> Vec<Block> {
        let mut workshop = Workshop::new(self.is_gzip);
        let mut rest = raw;
        let pack_one = |piece: &Piece| {
            let (body, after) = rest.split_at_checked(piece.raw_bytes as usize)?;
            rest = after;
            let mut batch = Batch::default();
            batch.born = Some(born);
            batch.push(&mut workshop, body);
            batch.end_piece(piece.items.into());
            Some(batch.seal(&mut workshop))
        };
        pieces.iter().map_while(pack_one).collect()
    }
}

impl Courier for Sender {
    fn attempt<'a>(&'a mut self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(async {
            match parcel.blocks.first() {
                Some(block) => self.send(block).await,
                None => Outcome::new(Verdict::Sent, ""),
            }
        })
    }

    fn is_idle_connection(&self) -> bool {
        match &self.way {
            Way::Http(post) => post.is_idle_connection(),
            Way::Grpc(grpc) => grpc.client.is_idle_connection(),
        }
    }

    fn close_if_idle(&mut self, longer_than: Duration) {
        match &mut self.way {
            Way::Http(post) => post.client().close_if_idle(longer_than),
            Way::Grpc(grpc) => grpc.client.close_if_idle(longer_than),
        }
    }

    fn open_due(&self) -> Option<Instant> {
        self.lane.open_due()
    }

    fn seal_open(&self) {
        self.lane.seal_open();
    }

    /// The requests that a batch was made of; one that is too large in halves, at a resource.
    fn cut(&mut self, block: &Block, verdict: Verdict, _cuts: u8) -> Option<Vec<Block>> {
        let raw = unpack(block, self.is_gzip)?;
        let parts = match block.pieces.len() {
            0 | 1 if verdict == Verdict::TooLarge => {
                self.pack(block.born, &raw, &halves(self.lane.signal, &raw)?)
            }
            0 | 1 => return None,
            _ => self.pack(block.born, &raw, &block.pieces),
        };
        // All items or none: what cannot be taken apart is refused as a whole.
        let items: u64 = parts.iter().map(|part| part.items).sum();
        (items == block.items).then_some(parts)
    }
}

/// Two parts of a body, about halves, cut where a resource ends; None where it has only one.
fn halves(signal: Signal, raw: &[u8]) -> Option<[Piece; 2]> {
    let mut fields = Fields::new(raw);
    let (mut before, mut middle) = (0, 0);
    while middle < raw.len() / 2 || middle == 0 {
        fields.next()?;
        before = middle;
        middle = raw.len() - fields.rest().len();
    }
    if middle == raw.len() {
        // The last resource is more than half of all.
        middle = before;
    }
    let piece = |bytes: &[u8]| {
        let counts = validate(signal, &mut bytes.to_vec()).ok()?;
        let (raw_bytes, items) = (u32::try_from(bytes.len()), u32::try_from(counts.items));
        Some(Piece { raw_bytes: raw_bytes.ok()?, items: items.ok()? })
    };
    let (first, second) = raw.split_at(middle);
    (!first.is_empty()).then_some([piece(first)?, piece(second)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::push_message;

    #[test]
    fn halves_end_where_a_resource_does() {
        // Resources of so many spans, which have two bytes each.
        let cut = |resources: &[usize]| {
            let mut raw = Vec::new();
            for spans in resources {
                push_message(&mut raw, 1, |out| {
                    push_message(out, 2, |out| out.extend([0x12, 0].repeat(*spans)));
                });
            }
            let halves = halves(Signal::Traces, &raw)?;
            assert_eq!(halves.iter().map(|half| half.raw_bytes as usize).sum::<usize>(), raw.len());
            Some(halves.map(|half| half.items))
        };
        assert_eq!(cut(&[1, 1]), Some([1, 1]));
        assert_eq!(cut(&[5, 5, 5, 5]), Some([10, 10]));
        assert_eq!(cut(&[50, 1, 1]), Some([50, 2]));
        assert_eq!(cut(&[1, 1, 50]), Some([2, 50]));
        assert_eq!(cut(&[1, 500]), Some([1, 500]));
        assert_eq!((cut(&[7]), cut(&[])), (None, None));
    }
}
