//! What came in as OTLP: validated once, given to each exporter in the shape it takes.
//!
//! An exporter of bytes gets the body as it is, with the task's identity and `--label` as resource
//! attributes where they are absent; an exporter of samples gets the points translated by its own
//! settings. Everything is staged first and published at the end without a pause in between, so
//! that a sender who goes away midway leaves nothing half taken.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::{
    Added, Exporter, Intake, Pipeline, ReceiverAccount, Relay, Transaction, RELAY_BYTES_MAX,
};
use crate::codec::otlp::{
    splice_resource, spliced_bytes, Conversion, Counts, Refusal, Signal, Stop, Validation,
};
use crate::codec::utf8::repair;
use crate::net::yield_now;
use crate::observe::{Counter, Reservation};
use crate::translate::{Out, Report, Translator, Walk};

/// Bytes of a body that are checked without a pause: a quarter of a millisecond.
const VALIDATED_BYTES_MAX: usize = 256 * 1024;

/// Bytes of JSON that are converted without a pause, as long as that.
const CONVERTED_BYTES_MAX: usize = 64 * 1024;

/// What a body may grow by when its resources get attributes, if it is not larger itself: six
/// thousand resources under a usual identity. A resource may be two bytes long and an identity half
/// a KiB, so that a body of 16 MiB would come to 4 GiB.
const ADDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why nothing of a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    Bad(Refusal),
    /// The memory budget has no room now for what the body has to be turned into.
    NoRoom,
    /// Nor would it have if it were empty.
    TooLarge,
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> NotTaken {
        NotTaken::Bad(refusal)
    }
}

/// An exporter of samples and what turns points into them, one body at a time.
struct ToSamples {
    exporter: Rc<dyn Exporter>,
    translator: RefCell<Translator>,
    is_busy: Cell<bool>,
}

/// The way in for OTLP requests of one receiver.
pub struct OtlpIntake {
    pipeline: Rc<Pipeline>,
    accounts: [Rc<ReceiverAccount>; 3],
    repaired_strings: Counter,
    to_samples: Vec<ToSamples>,
    started: Instant,
}

impl OtlpIntake {
    /// `receiver` names it in metrics; `seed` is random.
    pub fn new(pipeline: &Rc<Pipeline>, receiver: &'static str, seed: u64) -> OtlpIntake {
        let account = |signal| pipeline.account(receiver, signal);
        let to_samples = pipeline.exporters.iter().filter_map(|exporter| {
            let Intake::Samples(config) = exporter.takes(Signal::Metrics) else { return None };
            let translator = RefCell::new(Translator::new(&config, seed));
            Some(ToSamples { exporter: Rc::clone(exporter), translator, is_busy: Cell::new(false) })
        });
        let labels = [("receiver", receiver)];
        OtlpIntake {
            accounts: [account("metrics"), account("traces"), account("logs")],
            repaired_strings: pipeline
                .registry
                .counter("otlet_receiver_repaired_strings_total", &labels),
            to_samples: to_samples.collect(),
            pipeline: Rc::clone(pipeline),
            started: Instant::now(),
        }
    }

    /// Whether some exporter takes this signal.
    pub fn takes(&self, signal: Signal) -> bool {
        let takes =
            |exporter: &Rc<dyn Exporter>| !matches!(exporter.takes(signal), Intake::Nothing);
        self.pipeline.exporters.iter().any(takes)
    }

    /// Takes one request, decompressed; `held` holds its memory, and what it is turned into beside.
    /// May be dropped at any time: then nothing was taken.
    pub async fn take(
        &self,
        signal: Signal,
        is_json: bool,
        mut body: Vec<u8>,
        held: &mut Reservation,
    ) -> Result<(), NotTaken> {
        let account = &self.accounts[signal as usize];
        let counts = match is_json {
            true => convert(signal, &mut body, held).await,
            false => validate(signal, &mut body).await.map_err(NotTaken::Bad),
        };
        // How many items a body has that cannot be read is not known: the request counts as one.
        let counts = counts.inspect_err(|why| match why {
            NotTaken::Bad(_) => account.refuse(1, "malformed"),
            NotTaken::NoRoom | NotTaken::TooLarge => {}
        })?;
        let added = self.pipeline.added();
        let Some(added_bytes) = self.added_bytes(signal, &body, &added, counts) else {
            account.refuse(counts.items, "resources");
            let reason = "more resources than this collector gives its attributes to";
            return Err(NotTaken::Bad(Refusal { reason, offset: 0 }));
        };
        // Before a translator remembers points: they come again where there is no room.
        let bytes_before = held.bytes();
        if added_bytes > 0 {
            make_room(held, bytes_before, body.len() + added_bytes)?;
        }
        let mut staged = Vec::new();
        if signal == Signal::Metrics {
            for way in &self.to_samples {
                staged.push(self.translate(way, account, &body).await);
            }
        }
        if added_bytes > 0 {
            let mut spliced = Vec::with_capacity(body.len() + added_bytes);
            splice_resource(&body, &added.attributes, &mut spliced);
            replace(&mut body, spliced, held, bytes_before);
        }
        let relayed = self.relay(signal, &body, counts).await;
        account.accept(counts.items);
        self.repaired_strings.add(counts.repaired_strings);
        for (exporter, relay) in relayed {
            match relay {
                Some(relay) => relay.commit(&body[staged_bytes(&body)..], counts.items),
                None => exporter.relay(signal, &body, counts.items),
            }
        }
        for (transaction, report) in staged {
            // Only now: of a sender who went away before nothing was taken, and nothing lost.
            for (reason, points) in report.dropped() {
                account.drop_in_pipeline(points, reason);
            }
            transaction.publish();
        }
        Ok(())
    }

    /// What a body grows by at most for those who take it as it is, in bytes; None where that is
    /// out of proportion.
    fn added_bytes(
        &self,
        signal: Signal,
        body: &[u8],
        added: &Added,
        counts: Counts,
    ) -> Option<usize> {
        match counts.items > 0 && self.takers_of_bytes(signal).next().is_some() {
            true => spliced_bytes(body, &added.attributes, body.len().max(ADDED_BYTES_MAX)),
            false => Some(0),
        }
    }

    /// The exporters that take bodies of this signal as they are.
    fn takers_of_bytes(&self, signal: Signal) -> impl Iterator<Item = &Rc<dyn Exporter>> {
        let takes_bytes =
            move |exporter: &&Rc<dyn Exporter>| matches!(exporter.takes(signal), Intake::Bytes);
        self.pipeline.exporters.iter().filter(takes_bytes)
    }

    /// Stages a body, but for what a commit takes, at all who take it as it is.
    async fn relay(
        &self,
        signal: Signal,
        body: &[u8],
        counts: Counts,
    ) -> Vec<(&Rc<dyn Exporter>, Option<Box<dyn Relay>>)> {
        if counts.items == 0 {
            return Vec::new();
        }
        let takers = self.takers_of_bytes(signal);
        let mut relayed: Vec<_> =
            takers.map(|own| (own, Rc::clone(own).begin_relay(signal))).collect();
        for piece in body[..staged_bytes(body)].chunks(RELAY_BYTES_MAX) {
            for (_, relay) in &mut relayed {
                if let Some(relay) = relay {
                    relay.push(piece);
                }
            }
            yield_now().await;
        }
        relayed
    }

    /// Points to samples for one exporter, staged.
    async fn translate(
        &self,
        way: &ToSamples,
        account: &Rc<ReceiverAccount>,
        body: &[u8],
    ) -> (Transaction, Report) {
        let _turn = Turn::of(&way.is_busy).await;
        let now_s = u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX);
        let added = self.pipeline.added();
        let mut transaction = Transaction::to(
            Rc::clone(&self.pipeline),
            Rc::clone(account),
            Rc::clone(&added),
            vec![Rc::clone(&way.exporter).begin(&added)],
        );
        let mut walk = Walk::new(body);
        loop {
            let is_done =
                way.translator.borrow_mut().piece(&mut walk, now_s, &mut |out| match out {
                    Out::Sample(sample) => transaction.sample(sample),
                    Out::EndFamily(family) => transaction.end_family(family),
                });
            if is_done {
                break;
            }
            yield_now().await;
        }
        if walk.report.found_shared_resource {
            log::warn!(
                "otlp: several senders share one resource, so that their series collide; give each \
                 process its own service.instance.id"
            );
        }
        (transaction, walk.report)
    }
}

/// How much of a body is staged: all but its last piece.
fn staged_bytes(body: &[u8]) -> usize {
    body.len().saturating_sub(1) / RELAY_BYTES_MAX * RELAY_BYTES_MAX
}

/// Turns JSON into protobuf, with pauses if it is long.
async fn convert(
    signal: Signal,
    body: &mut Vec<u8>,
    held: &mut Reservation,
) -> Result<Counts, NotTaken> {
    let repaired_strings = repair(body);
    let bytes_before = held.bytes();
    let mut room_bytes = Conversion::room_usual(body);
    let protobuf = loop {
        make_room(held, bytes_before, room_bytes)?;
        match convert_within(signal, body, room_bytes).await {
            Ok(protobuf) => break protobuf,
            Err(Stop::Bad(refusal)) => return Err(NotTaken::Bad(refusal)),
            // Many numbers of one digit. Begun anew: nothing is larger than what is held.
            Err(Stop::NoRoom) => room_bytes *= 2,
        }
    };
    replace(body, protobuf, held, bytes_before);
    let mut counts = validate(signal, body).await?;
    counts.repaired_strings += repaired_strings;
    Ok(counts)
}

async fn convert_within(signal: Signal, body: &[u8], room_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut conversion = Conversion::new(signal, body, room_bytes)?;
    while !conversion.piece(CONVERTED_BYTES_MAX)? {
        yield_now().await;
    }
    Ok(conversion.finish())
}

/// Holds so many bytes more than `bytes_before`.
fn make_room(held: &mut Reservation, bytes_before: u64, more: usize) -> Result<(), NotTaken> {
    let bytes = bytes_before + more as u64;
    match held.try_resize(bytes) {
        true => Ok(()),
        false if held.could_hold(bytes) => Err(NotTaken::NoRoom),
        false => Err(NotTaken::TooLarge),
    }
}

/// Puts another body in the place of this one, which alone was held in `bytes_before`.
fn replace(body: &mut Vec<u8>, other: Vec<u8>, held: &mut Reservation, bytes_before: u64) {
    let beside = bytes_before.saturating_sub(body.capacity() as u64);
    *body = other;
    held.resize(beside + body.capacity() as u64);
}

/// Checks a body, with pauses if it is long.
async fn validate(signal: Signal, body: &mut [u8]) -> Result<Counts, Refusal> {
    let mut validation = Validation::new(signal, body);
    while !validation.piece(body, VALIDATED_BYTES_MAX)? {
        yield_now().await;
    }
    Ok(validation.counts())
}

/// Held by whoever works with a translator; another waits its turn by yielding.
struct Turn<'a>(&'a Cell<bool>);

impl Turn<'_> {
    async fn of(is_busy: &Cell<bool>) -> Turn<'_> {
        while is_busy.replace(true) {
            yield_now().await;
        }
        Turn(is_busy)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
