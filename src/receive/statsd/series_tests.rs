//! Looking lines up: which series they meet, which are refused, and what the table costs.

use super::*;
use crate::receive::statsd::BUCKETS_MAX;

pub fn table(config: impl FnOnce(&mut Config)) -> Table {
    let mut all = Config {
        listeners: Vec::new(),
        interval: std::time::Duration::from_secs(10),
        timers: Timers::Histogram,
        buckets: vec![0.1, 1.0],
        idle: std::time::Duration::ZERO,
        series_max: 10_000,
        prefix: String::new(),
        rcvbuf_bytes: 1,
    };
    config(&mut all);
    Table::new(&all, 1)
}

/// Takes lines in; returns how many were taken, and the reasons of the others.
fn take(table: &mut Table, lines: &str) -> (u64, Vec<&'static str>) {
    let mut reasons = Vec::new();
    let taken = table.take(lines.as_bytes(), |_, reason| reasons.push(reason));
    (taken, reasons)
}

#[track_caller]
fn refused(lines: &str, reason: &'static str) {
    assert_eq!(take(&mut table(|_| {}), lines).1, [reason], "{lines}");
}

#[test]
fn every_spelling_meets_the_same_series() {
    let mut table = table(|_| {});
    let lines = "a.b:1|c|#x:1,y:2\na_b:1|c|#y:2,x:1\na.b,x=1,y=2:1|c\na.b#y=2,x=1:1|c\n\
        a.[x=1,y=2]b:1|c|@0.5\na.b:1|c|#x:0,x:1,y:2|c:id\na.b:1:2|c|#x:1,y:2\n";
    for _ in 0..3 {
        assert_eq!(take(&mut table, lines), (7, vec![]));
    }
    assert_eq!(table.len(), 1, "{:?}", table.families);
    assert!(matches!(table.series[0].state, State::Counter(total) if total == 3.0 * 10.0));
    assert_eq!(take(&mut table, "a.b:1|c\na.b:1|c|#x:1\nb:1|c|#x:1,y:2\n").0, 3);
    assert_eq!((table.len(), table.families.len()), (4, 2));
}

#[test]
fn what_is_refused_and_what_is_mended() {
    refused("a", "no_name");
    refused("a:1|x", "unknown_type");
    refused("a:x|c", "bad_value");
    refused("a:-1|c", "negative_counter");
    refused("a:1e308|c|@0.001", "bad_value");
    refused("a,k=v:1|c|#x:y", "mixed_tags");
    refused("[k=v]:1|c", "no_name");
    refused("_e{1,1}:a|b", "event");
    refused("_e{9,1}:a|b", "bad_event");
    refused("_sc|a|9", "bad_check");
    refused("a:1|c\na:1|ms\na.total:1|g", "type_conflict");
    refused("a:1|h\na:1|g", "type_conflict");
    refused("a:1|h\na.sum:1|g", "type_conflict");
    refused("a.count:1|g\na:1|h", "type_conflict");
    let mut table = table(|_| {});
    let mended = "a:1:x|c\na:1|c|@7\na:1|c|T0\na:1|c|zzz\na:1|c|#:x\na:1|c:x|ms\n\n\r\n";
    assert_eq!(take(&mut table, mended), (6, vec![]));
    let faults = table.take_faults();
    let expected = Faults { bad_value: 2, bad_rate: 1, bad_time: 1, unknown_section: 1, ..faults };
    assert_eq!((faults, faults.bad_tag), (expected, 1));
    assert_eq!(table.take_faults(), Faults::default());
}

#[test]
fn a_full_table_keeps_what_it_has() {
    let mut table = table(|config| config.series_max = 100);
    for number in 0..1000 {
        let line = format!("a:1|c|#user:{number}\nb:1|g\n");
        let expected = if number < 99 { 2 } else { 1 };
        assert_eq!(take(&mut table, &line).0, expected);
    }
    assert_eq!(take(&mut table, "a:1|c|#user:5\nc:1|c"), (1, vec!["series_max"]));
    assert_eq!(table.len(), 100);
    assert_eq!(table.families.len(), 2, "a name without series takes no room either");
    let expected = (902, "a_total 901, c_total 1".to_owned());
    assert_eq!(table.take_overflow(), Some(expected));
    assert_eq!(table.take_overflow(), None);
}

#[test]
fn service_checks_become_one_gauge() {
    let mut table = table(|config| config.prefix = "app_".to_owned());
    let lines = "_sc|redis|0|#env:prod\n_sc|redis|2|m:down|#env:prod\n_sc|redis|2|#env:prod|m:x";
    assert_eq!(take(&mut table, lines), (3, vec![]));
    assert_eq!((table.len(), &*table.families[0].name), (2, "statsd_service_check"));
}

#[test]
fn series_are_small() {
    /// What an allocator may add to a block.
    const OVERHEAD: usize = 16;
    for (lines, form, limit) in [("c", Timers::Histogram, 200), ("ms", Timers::Histogram, 1024)]
        .into_iter()
        .chain([("ms", Timers::Summary, 1024), ("h", Timers::Exponential, 1024)])
    {
        // Just after every table has grown, when most of it is empty.
        for count in [4000, 7200, 10_000] {
            let mut table = table(|config| {
                config.timers = form;
                config.buckets = (0..BUCKETS_MAX as u32).map(f64::from).collect();
            });
            for number in 0..count {
                let line = format!(
                    "checkout.requests.{}:1|{lines}|#env:production,route:/api/v1/{:04}",
                    number % 50,
                    number
                );
                take(&mut table, &line);
            }
            assert_eq!(table.len(), count);
            let blocks = if lines == "c" { 1 } else { 3 };
            let each = table.bytes() / count + blocks * OVERHEAD;
            println!("{lines} {form:?}: {each} bytes of {limit} at {count} series");
            assert!(each <= limit, "{lines} {form:?}: {each} bytes at {count} series");
        }
    }
}

#[test]
fn random_lines_keep_the_table_sound() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut table = table(|config| config.series_max = 300);
    let (names, types) = (["a", "b.c", "d,k=v", "a[x=y]"], ["c", "g", "ms", "h", "s", "c|@0.5"]);
    for round in 0..300 {
        table.set_age(round);
        for _ in 0..50 {
            let (name, kind) = (names[random.usize(..4)], types[random.usize(..6)]);
            let line = format!("{name}:{}|{kind}|#t:{}", random.i8(..), random.u8(..));
            take(&mut table, &line);
        }
        let now_ms = i64::from(round) * 1000;
        let mut flush = crate::receive::statsd::Flush::new(now_ms, now_ms - 1000, round, 3);
        while !table.flush(&mut flush, &mut |_| {}) {}
        let mut listed = 0;
        for (id, family) in table.families.iter().enumerate() {
            let (mut at, mut previous) = (family.first, NONE);
            assert_eq!(family.name.is_empty(), family.first == NONE);
            while at != NONE {
                let series = &table.series[at as usize];
                assert_eq!((series.family as usize, series.previous), (id, previous));
                (at, previous, listed) = (series.next, at, listed + 1);
            }
        }
        assert_eq!((listed, table.ids.len()), (table.len(), table.len()));
        assert!(table.len() <= 300);
    }
}
