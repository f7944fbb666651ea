//! The loop against a courier that follows a script.

use std::cell::RefCell;

use super::*;
use crate::export::account::ExporterAccount;
use crate::export::queue::Queues;
use crate::net::run;
use crate::observe::{Budget, Registry};

/// What was sent, and the verdicts on it.
#[derive(Default)]
struct Script {
    sent: RefCell<Vec<Vec<Vec<u8>>>>,
    verdicts: RefCell<VecDeque<Verdict>>,
    gave_up: std::cell::Cell<u32>,
}

/// Blocks of one byte cannot be cut.
struct Scripted(Rc<Script>);

impl Courier for Scripted {
    fn attempt<'a>(&'a mut self, parcel: &'a Parcel) -> Attempt<'a> {
        let bodies = parcel.blocks.iter().map(|block| block.body.clone()).collect();
        self.0.sent.borrow_mut().push(bodies);
        let verdict = self.0.verdicts.borrow_mut().pop_front().unwrap_or(Verdict::Sent);
        let mut outcome = Outcome::new(verdict, "words");
        outcome.wait = Some(Duration::from_millis(1));
        outcome.rejected_items = u64::from(parcel.blocks[0].body == b"r");
        Box::pin(std::future::ready(outcome))
    }

    fn is_idle_connection(&self) -> bool {
        false
    }

    fn close_if_idle(&mut self, _longer_than: Duration) {}

    fn open_due(&self) -> Option<Instant> {
        None
    }

    fn seal_open(&self) {}

    fn has_room(&self, parcel: &Parcel, _block: &Block) -> bool {
        parcel.blocks.len() < 3
    }

    fn cut(&mut self, block: &Block, _verdict: Verdict, cuts: u8) -> Option<Vec<Block>> {
        let half = block.body.len() / 2;
        let halves = block.body.split_at(half);
        let part = |body: &[u8]| Block {
            body: body.to_vec(),
            raw_bytes: 0,
            items: body.len() as u64,
            born: block.born,
            pieces: Vec::new(),
        };
        (half > 0 && cuts < 2).then(|| vec![part(halves.0), part(halves.1)])
    }

    fn gave_up(&mut self) {
        self.0.gave_up.set(self.0.gave_up.get() + 1);
    }
}

/// Sends blocks of that age, an item for each byte; returns what was sent, and the sums of sent and
/// queued items and of held bytes.
fn deliver(
    bodies: &[&[u8]],
    age: Duration,
    retry_for: Duration,
    verdicts: &[Verdict],
) -> (Rc<Script>, u64, String) {
    let registry = Registry::new();
    let account = Rc::new(ExporterAccount::new(&registry, "otlp", "h", "logs"));
    let queue = Queues::new(Budget::new(1 << 20)).open(1 << 20, Rc::clone(&account));
    let outbox = Outbox::new(queue, account);
    for body in bodies {
        let items = body.len() as u64;
        outbox.account.queue(items);
        let born = Instant::now().checked_sub(age).expect("the machine is up for long enough");
        let (body, pieces) = (body.to_vec(), Vec::new());
        outbox.queue.push(Block { body, raw_bytes: 0, items, born, pieces });
    }
    let script = Rc::new(Script::default());
    script.verdicts.borrow_mut().extend(verdicts);
    let courier = Box::new(Scripted(Rc::clone(&script)));
    let delivery = Delivery::new(Rc::clone(&outbox), courier, ("otlp", "records"), retry_for);
    outbox.stop();
    // How long a wait is concerns the back-off's own tests; here each ends at once.
    let impatience = async {
        loop {
            outbox.hurry.notify();
            net::yield_now().await;
        }
    };
    let delivered = net::either(delivery.run(), impatience);
    run(net::timeout(Duration::from_secs(10), delivered)).expect("it ends");
    let mut page = String::new();
    registry.render(&mut page);
    assert_eq!(outbox.account.queued_items(), 0, "{page}");
    assert!(page.contains("queue_bytes{exporter=\"otlp\",destination=\"h\"} 0"), "{page}");
    (script, outbox.account.sent_items(), page)
}

fn dropped(page: &str, reason: &str) -> Option<u64> {
    let end = format!("reason=\"{reason}\"}} ");
    page.lines().find_map(|line| line.split_once(&end)?.1.parse().ok())
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_retry_is_the_same_again_and_the_order_holds() {
    let verdicts = [Verdict::Retry, Verdict::Retry];
    let (script, sent, page) = deliver(&[b"ab", b"c"], Duration::ZERO, HOUR, &verdicts);
    let first = vec![b"ab".to_vec()];
    let expected = [first.clone(), first.clone(), first, vec![b"c".to_vec()]];
    assert_eq!(script.sent.borrow()[..], expected);
    assert_eq!(sent, 3);
    assert!(page.contains("retries_total{exporter=\"otlp\",destination=\"h\"} 2"), "{page}");
}

#[test]
fn nothing_is_given_up_untried() {
    let (script, sent, page) = deliver(&[b"a", b"b"], HOUR, Duration::ZERO, &[Verdict::Retry]);
    assert_eq!(script.sent.borrow().len(), 1, "both were old and travelled together");
    assert_eq!((sent, dropped(&page, "expired"), script.gave_up.get()), (0, Some(2), 2));
    let (_, sent, page) = deliver(&[b"a", b"b"], HOUR, Duration::ZERO, &[]);
    assert_eq!((sent, dropped(&page, "expired")), (2, None));
}

#[test]
fn what_was_joined_is_sent_apart_when_it_is_refused() {
    for verdict in [Verdict::TooLarge, Verdict::BadData] {
        let verdicts = [verdict, Verdict::Sent, Verdict::Refused];
        let bodies: [&[u8]; 3] = [b"a", b"bb", b"c"];
        let (script, sent, page) = deliver(&bodies, HOUR / 2, HOUR, &verdicts);
        let alone = |body: &[u8]| vec![body.to_vec()];
        assert_eq!(script.sent.borrow()[1..], [alone(b"a"), alone(b"bb"), alone(b"c")]);
        assert_eq!((sent, dropped(&page, "refused")), (2, Some(2)));
    }
}

#[test]
fn a_block_is_cut_as_often_as_the_courier_says() {
    let verdicts = [Verdict::TooLarge; 4];
    let (script, sent, page) = deliver(&[b"abcdefgh"], Duration::ZERO, HOUR, &verdicts);
    let sent_bodies: Vec<_> = script.sent.borrow().iter().map(|bodies| bodies.concat()).collect();
    let expected = ["abcdefgh", "abcd", "ab", "cd", "efgh"].map(|body| body.as_bytes().to_vec());
    assert_eq!(sent_bodies, expected);
    assert_eq!((sent, dropped(&page, "too_large")), (4, Some(4)));
    // A part may be tried again, and expire.
    let verdicts = [Verdict::BadData, Verdict::Retry, Verdict::Sent];
    let (script, sent, page) = deliver(&[b"ab"], HOUR / 2, HOUR / 4, &verdicts);
    assert_eq!(script.sent.borrow().len(), 3);
    assert_eq!((sent, dropped(&page, "expired")), (1, Some(1)));
}

#[test]
fn a_refusal_costs_that_request_and_rejected_items_are_dropped() {
    let verdicts = [Verdict::Refused, Verdict::Unauthorized, Verdict::Sent];
    let bodies: [&[u8]; 3] = [b"a", b"b", b"r"];
    let (script, sent, page) = deliver(&bodies, Duration::ZERO, HOUR, &verdicts);
    assert_eq!((sent, script.gave_up.get()), (0, 2));
    for reason in ["refused", "unauthorized", "rejected"] {
        assert_eq!(dropped(&page, reason), Some(1), "{reason}");
    }
}

#[test]
fn whatever_a_destination_says_the_books_balance() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let all = [
        Verdict::Sent,
        Verdict::Retry,
        Verdict::TooLarge,
        Verdict::Unauthorized,
        Verdict::BadData,
        Verdict::Refused,
    ];
    for _ in 0..200 {
        let bodies: Vec<Vec<u8>> =
            (0..random.usize(0..6)).map(|_| vec![b'r'; random.usize(1..6)]).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let verdicts: Vec<_> = (0..random.usize(0..12)).map(|_| all[random.usize(0..6)]).collect();
        let [age, retry_for] = [0, 0].map(|_| HOUR / 2 * random.u32(0..3));
        // Nothing is queued or held at the end: so it says itself.
        let (_, sent, page) = deliver(&bodies, age, retry_for, &verdicts);
        let reasons = ["expired", "too_large", "unauthorized", "refused", "rejected"];
        let lost: u64 = reasons.iter().filter_map(|reason| dropped(&page, reason)).sum();
        let items: usize = bodies.iter().map(|body| body.len()).sum();
        assert_eq!(sent + lost, items as u64, "{page}");
    }
}
