//! Tests of the series table against the plainest thing that could work.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A generator with a seed (Vigna's SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The hash of series `number`: spread as a real one.
fn hash(number: u64) -> u64 {
    Random(number).next()
}

#[derive(Clone, Copy)]
struct ModelEntry {
    timed: bool,
    met: bool,
    new: bool,
}

/// The same rules over a map.
#[derive(Default)]
struct Model(BTreeMap<u64, ModelEntry>);

impl Model {
    fn see(&mut self, key: u64, timed: bool) -> Seen {
        let Some(entry) = self.0.get_mut(&key) else {
            self.0.insert(key, ModelEntry { timed, met: true, new: true });
            return Seen::New;
        };
        if entry.met && !timed && !entry.timed {
            return Seen::Duplicate;
        }
        entry.timed = if entry.met { entry.timed && timed } else { timed };
        entry.met = true;
        Seen::Known
    }

    fn end(&mut self, succeeded: bool) -> BTreeSet<u64> {
        let mut vanished = BTreeSet::new();
        for (key, entry) in std::mem::take(&mut self.0) {
            let stays =
                if succeeded { entry.met } else { !entry.new && (entry.met || entry.timed) };
            if stays {
                self.0.insert(key, ModelEntry { timed: entry.timed, met: false, new: false });
            } else if !entry.new && !entry.timed {
                vanished.insert(key);
            }
        }
        vanished
    }
}

fn finish(table: &mut SeriesTable, succeeded: bool) -> BTreeSet<u64> {
    let mut vanished = BTreeSet::new();
    let mut note = |key| assert!(vanished.insert(key), "reported twice");
    if succeeded {
        table.commit(&mut note);
    } else {
        table.abort(&mut note);
    }
    while table.settle() {}
    vanished
}

fn scrape(table: &mut SeriesTable, numbers: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    table.begin();
    numbers.into_iter().map(|number| table.see(hash(number), false)).collect()
}

fn keys(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().map(|&number| series_key(hash(number))).collect()
}

#[test]
fn behaves_as_the_model() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (mut table, mut model) = (SeriesTable::new(), Model::default());
        let universe = 1 + random.below(400);
        for _ in 0..30 {
            table.begin();
            for _ in 0..random.below(universe * 2) {
                let key = series_key(hash(random.below(universe)));
                let timed = random.below(10) == 0;
                assert_eq!(table.see(key, timed), model.see(key, timed), "seed {seed}");
            }
            let succeeded = random.below(3) > 0;
            assert_eq!(finish(&mut table, succeeded), model.end(succeeded), "seed {seed}");
            assert_eq!(table.len(), model.0.len(), "seed {seed}");
            for number in 0..universe {
                let known = model.0.contains_key(&series_key(hash(number)));
                assert_eq!(table.contains(hash(number)), known, "seed {seed}");
            }
        }
    }
}

/// Hashes that agree in their upper bits, at both ends of the range, make clusters that wrap.
#[test]
fn clusters_that_wrap_behave_as_the_model() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (mut table, mut model) = (SeriesTable::new(), Model::default());
        for _ in 0..30 {
            table.begin();
            for _ in 0..random.below(40) {
                let low = random.below(20) << 3;
                let key = series_key(if random.below(2) == 0 { low } else { !low });
                assert_eq!(table.see(key, false), model.see(key, false), "seed {seed}");
            }
            let succeeded = random.below(3) > 0;
            assert_eq!(finish(&mut table, succeeded), model.end(succeeded), "seed {seed}");
            assert!(model.0.keys().all(|&key| table.contains(key)), "seed {seed}");
        }
    }
}

#[test]
fn a_series_that_is_missing_vanishes_once() {
    let mut table = SeriesTable::new();
    assert_eq!(scrape(&mut table, [1, 2, 3]), [Seen::New; 3]);
    assert_eq!(finish(&mut table, true), keys(&[]));
    assert_eq!(scrape(&mut table, [1, 3, 1]), [Seen::Known, Seen::Known, Seen::Duplicate]);
    assert_eq!(finish(&mut table, true), keys(&[2]));
    assert_eq!(scrape(&mut table, []), []);
    assert_eq!(finish(&mut table, true), keys(&[1, 3]));
    assert_eq!(scrape(&mut table, [1]), [Seen::New]);
}

#[test]
fn a_failed_scrape_ends_what_it_did_not_mention() {
    let mut table = SeriesTable::new();
    scrape(&mut table, [1, 2]);
    finish(&mut table, true);
    scrape(&mut table, [1, 9]);
    assert_eq!(finish(&mut table, false), keys(&[2]));
    assert_eq!(scrape(&mut table, [9, 1]), [Seen::New, Seen::Known]);
    assert_eq!(finish(&mut table, false), keys(&[]));
    scrape(&mut table, []);
    assert_eq!(finish(&mut table, false), keys(&[1]));
    scrape(&mut table, []);
    assert_eq!(finish(&mut table, false), keys(&[]));
}

#[test]
fn a_scrape_that_never_ended_leaves_no_trace() {
    let mut table = SeriesTable::new();
    scrape(&mut table, [1, 2]);
    finish(&mut table, true);
    for abandoned in [&[][..], &[1, 7], &[1, 2, 7, 8]] {
        scrape(&mut table, abandoned.iter().copied());
    }
    assert_eq!(scrape(&mut table, [1, 7]), [Seen::Known, Seen::New]);
    assert_eq!(finish(&mut table, true), keys(&[2]));
    assert_eq!((finish(&mut table, true), table.len()), (keys(&[]), 2));
}

#[test]
fn timed_series_repeat_and_end_without_marker() {
    let mut table = SeriesTable::new();
    table.begin();
    assert_eq!(table.see(hash(1), true), Seen::New);
    assert_eq!(table.see(hash(1), true), Seen::Known);
    finish(&mut table, true);
    scrape(&mut table, []);
    assert_eq!((finish(&mut table, false), table.len()), (keys(&[]), 1));
    scrape(&mut table, []);
    assert_eq!((finish(&mut table, true), table.len()), (keys(&[]), 0));
    // One sample without timestamp and the series is tracked.
    table.begin();
    assert_eq!(table.see(hash(2), true), Seen::New);
    assert_eq!(table.see(hash(2), false), Seen::Known);
    assert_eq!(table.see(hash(2), false), Seen::Duplicate);
    finish(&mut table, true);
    scrape(&mut table, []);
    assert_eq!(finish(&mut table, true), keys(&[2]));
}

#[test]
fn at_most_16_bytes_per_series() {
    for count in [1_000, 2_345, 10_000, 100_000] {
        let mut table = SeriesTable::new();
        scrape(&mut table, 0..count);
        finish(&mut table, true);
        assert_eq!(table.len() as u64, count);
        assert!(table.bytes() <= 16 * count as usize, "{} bytes for {count}", table.bytes());
        // All replaced, as after a deployment: twice the series for a moment, not for good.
        scrape(&mut table, count..count * 2);
        assert_eq!(finish(&mut table, true).len() as u64, count);
        assert!(table.bytes() <= 16 * count as usize, "{} bytes for {count}", table.bytes());
    }
    let mut table = SeriesTable::new();
    assert_eq!(table.bytes(), 0);
    scrape(&mut table, 0..1_000);
    scrape(&mut table, []);
    finish(&mut table, false);
    scrape(&mut table, [1]);
    finish(&mut table, true);
    assert!(table.bytes() <= 1_000 * 16);
}

#[test]
fn series_that_come_and_go_leave_nothing_behind() {
    let mut table = SeriesTable::new();
    for round in 0..3_000 {
        // One is new, one is gone.
        scrape(&mut table, round..round + 1_000);
        finish(&mut table, true);
        assert_eq!(table.len(), 1_000);
        assert!(table.bytes() <= 16 * 1_000, "{} bytes in round {round}", table.bytes());
    }
}

#[test]
fn what_is_left_to_settle_can_wait_for_the_next_scrape() {
    let count = 3 * MOVED_PER_STEP as u64;
    for steps in 0..4 {
        let mut table = SeriesTable::new();
        scrape(&mut table, 0..count);
        finish(&mut table, true);
        let kept = count / 4..count;
        scrape(&mut table, kept.clone());
        table.commit(&mut |_| ());
        assert!(kept.clone().all(|number| table.contains(hash(number))));
        let left: Vec<_> = (0..steps).map(|_| table.settle()).collect();
        assert_eq!(left, [true, true, false, false][..steps]);
        // From the other end, so that none is the expected one.
        let seen = scrape(&mut table, kept.rev());
        assert!(seen.iter().all(|seen| *seen == Seen::Known));
        assert_eq!(finish(&mut table, true), keys(&[]));
    }
}

#[test]
fn a_full_table_takes_no_more() {
    let mut table = SeriesTable::new();
    table.begin();
    for number in 0..SERIES_MAX as u64 {
        table.see(hash(number), false);
    }
    assert_eq!((table.len(), table.see(hash(u64::MAX), false)), (SERIES_MAX, Seen::Full));
    assert_eq!(table.see(hash(5), false), Seen::Duplicate);
    assert!(!table.contains(hash(u64::MAX)));
    assert_eq!(finish(&mut table, true).len(), 0);
    assert!(table.bytes() <= 16 * SERIES_MAX, "{} bytes", table.bytes());
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
fn speed() {
    for count in [100_000_u64, 1_000_000] {
        let mut table = SeriesTable::new();
        table.begin();
        let mut longest = std::time::Duration::ZERO;
        for number in 0..count {
            let start = std::time::Instant::now();
            table.see(hash(number), false);
            longest = longest.max(start.elapsed());
        }
        println!("{count}: longest see {longest:?}");
        for lost in [0, 0, 1, count / 2] {
            let start = std::time::Instant::now();
            scrape(&mut table, lost..count);
            let seen = start.elapsed();
            table.commit(&mut |_| ());
            while table.settle() {}
            println!("lost {lost}: all seen {seen:?}, commit {:?}", start.elapsed() - seen);
        }
    }
}
