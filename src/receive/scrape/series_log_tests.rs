//! Tests of the series log.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A record as a scrape would write it.
fn record(number: u64) -> Vec<u8> {
    let (pod, code) = (number / 20, number % 20);
    format!(
        "__name__ http_request_duration_seconds_bucket code {} instance 0123456789abcdef:8080 \
         job checkout le {code}.5 path /api/v1/orders/{pod} zone eu-central-1a",
        200 + code
    )
    .into_bytes()
}

/// A key with the low bits clear, as `series_key` makes them.
fn key(number: u64) -> u64 {
    (number + 1) << 3
}

fn keys(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    numbers.into_iter().map(key).collect()
}

fn filled(numbers: impl IntoIterator<Item = u64>, scratch: &mut Scratch) -> SeriesLog {
    let mut log = SeriesLog::new();
    for number in numbers {
        assert!(log.append(key(number), &record(number), scratch));
    }
    log
}

fn find(log: &SeriesLog, wanted: &[u64], scratch: &mut Scratch) -> BTreeMap<u64, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut search = log.search(wanted);
    let mut note = |key, record: &[u8]| {
        assert!(all.insert(key, record.to_vec()).is_none(), "{key} reported twice");
    };
    while search.step(scratch, &mut note) {}
    let missing = search.missing();
    assert_eq!(all.len() + missing, wanted.len());
    all
}

fn compact(log: &mut SeriesLog, scratch: &mut Scratch, keep: impl Fn(u64) -> bool) {
    while log.compact_step(scratch, &keep) {}
}

#[test]
fn records_are_found_in_blocks_and_tail() {
    let mut scratch = Scratch::default();
    let log = filled(0..2_000, &mut scratch);
    assert!(log.blocks.len() > 3 && !log.tail.is_empty());
    let found = find(&log, &keys([0, 1, 999, 1_999, 2_000]), &mut scratch);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), keys([0, 1, 999, 1_999]));
    assert!(found.iter().all(|(&key, found)| *found == record((key >> 3) - 1)));
    assert!(find(&log, &[], &mut scratch).is_empty());
    assert!(find(&SeriesLog::new(), &[1], &mut scratch).is_empty());
}

#[test]
fn a_series_that_is_there_twice_is_reported_once() {
    let mut scratch = Scratch::default();
    let log = filled((0..1_000).chain(0..1_000).chain([5, 5]), &mut scratch);
    assert_eq!(find(&log, &keys([4, 5, 6]), &mut scratch).len(), 3);
}

#[test]
fn records_of_any_length_up_to_the_limit() {
    let mut scratch = Scratch::default();
    let mut log = SeriesLog::new();
    let lengths = [0, 1, 127, 128, 32_756, 32_757, 32_758, 40_000, RECORD_BYTES_MAX];
    for (key, len) in lengths.into_iter().enumerate() {
        assert!(log.append(key as u64, &vec![key as u8; len], &mut scratch));
    }
    assert!(!log.append(99, &[0; RECORD_BYTES_MAX + 1], &mut scratch));
    let keys: Vec<_> = (0..lengths.len() as u64).collect();
    for (key, found) in find(&log, &keys, &mut scratch) {
        assert_eq!(found, vec![key as u8; lengths[key as usize]]);
    }
    assert_eq!(log.records(), lengths.len());
    log.seal(&mut scratch);
    assert!(log.bytes() < 2_000, "{}", log.bytes());
}

#[test]
fn between_scrapes_a_series_costs_few_bytes() {
    let mut scratch = Scratch::default();
    let mut log = filled(0..20_000, &mut scratch);
    log.seal(&mut scratch);
    // Real keys are noise: 8 bytes each that do not deflate.
    assert!(log.bytes() < 20_000 * 20, "{}", log.bytes());
    let before = log.bytes();
    log.seal(&mut scratch);
    assert_eq!(log.bytes(), before);
    // A short tail stays as it is.
    log.append(key(20_000), b"short", &mut scratch);
    log.seal(&mut scratch);
    assert!(log.tail.len() == 14 && log.bytes() < before + 64);
    assert_eq!(find(&log, &keys([0, 20_000]), &mut scratch).len(), 2);
}

#[test]
fn compaction_keeps_one_record_of_each_live_series() {
    let mut scratch = Scratch::default();
    const LATE: u64 = 9_001 << 3;
    let mut log = filled((0..3_000).chain(2_000..3_000), &mut scratch);
    assert!(!log.needs_compaction(1_500) && log.needs_compaction(1_499));
    let is_live = |key: u64| key % 3 == 0;
    assert!(log.compact_step(&mut scratch, is_live));
    // A scrape between two steps.
    assert!(log.needs_compaction(1_000_000));
    assert!(log.append(key(9_000), b"late", &mut scratch));
    compact(&mut log, &mut scratch, is_live);
    let live: BTreeSet<_> = keys((0..3_000).chain([9_000]))
        .into_iter()
        .filter(|&key| is_live(key) || key == LATE)
        .collect();
    assert_eq!(log.records(), 1_001);
    let found: BTreeSet<_> = find(&log, &keys(0..10_000), &mut scratch).into_keys().collect();
    assert_eq!(found, live);
    compact(&mut log, &mut scratch, |_| false);
    assert_eq!((log.records(), log.blocks_bytes, log.blocks.len()), (0, 0, 0));
    compact(&mut log, &mut scratch, |_| true);
    assert!(!log.needs_compaction(0));
}

/// Series come and go for a long time; the log stays in proportion to those that live.
#[test]
fn churn_does_not_make_it_grow() {
    let mut scratch = Scratch::default();
    let mut log = SeriesLog::new();
    let mut bytes_max = 0;
    for round in 0..300 {
        let live = round * 50..round * 50 + 200;
        for number in live.clone() {
            log.append(key(number), &record(number), &mut scratch);
        }
        log.seal(&mut scratch);
        if log.needs_compaction(200) {
            compact(&mut log, &mut scratch, |key| live.contains(&((key >> 3) - 1)));
            assert_eq!(log.records(), 200);
        }
        bytes_max = bytes_max.max(log.bytes());
    }
    assert!(bytes_max < 64 * 1024, "{bytes_max}");
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
fn speed() {
    let mut scratch = Scratch::default();
    let start = std::time::Instant::now();
    let mut log = SeriesLog::new();
    // Multiplied, the keys look like hashes.
    let key = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 3;
    for number in 0..100_000 {
        log.append(key(number), &record(number), &mut scratch);
    }
    log.seal(&mut scratch);
    println!("append {:?}, {} bytes, {} blocks", start.elapsed(), log.bytes(), log.blocks.len());
    let start = std::time::Instant::now();
    let mut wanted = [key(0), key(1)];
    wanted.sort_unstable();
    find(&log, &wanted, &mut scratch);
    println!("find {:?}", start.elapsed());
    let start = std::time::Instant::now();
    compact(&mut log, &mut scratch, |_| true);
    println!("compact {:?}", start.elapsed());
    println!("record {} bytes", record(77_777).len());
}
