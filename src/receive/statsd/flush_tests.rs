//! What a flush writes: names, labels, values, times, beginnings and ends.

use super::super::series::tests::table;
use super::super::{Config, Timers};
use super::*;

/// A table on a clock that the test moves: one flush every ten seconds from 100 s on.
struct Bench {
    table: Table,
    now_s: u32,
    idle_s: u32,
}

impl Bench {
    fn new(config: impl FnOnce(&mut Config)) -> Bench {
        Bench { table: table(config), now_s: 100, idle_s: 0 }
    }

    fn write(&mut self, mut flush: Flush) -> Vec<String> {
        let mut written = Vec::new();
        let mut out = |out: Out<'_>| match out {
            Out::EndFamily(family) => {
                written.push(format!("end {} {:?}", family.name, family.metric_type));
            }
            Out::Sample(sample) => {
                let names: Vec<_> = sample.labels.iter().map(|label| label.name).collect();
                assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
                let labels = sample.labels.iter().filter(|label| label.name != NAME_LABEL);
                let pairs: Vec<_> = labels.map(|l| format!("{}={}", l.name, l.value)).collect();
                let stale = sample.is_stale_marker();
                let value = if stale { "stale".to_owned() } else { sample.value.to_string() };
                let time = sample.timestamp_ms as f64 / 1000.0;
                let (name, pairs) = (sample.name(), pairs.join(","));
                written.push(format!("{name}{{{pairs}}} {value} @{time}"));
            }
        };
        while !self.table.flush(&mut flush, &mut out) {}
        written
    }

    /// Takes lines in and flushes ten seconds later; returns the samples.
    #[track_caller]
    fn flush(&mut self, lines: &str) -> Vec<String> {
        let all = self.flush_all(lines);
        all.into_iter().filter(|line| !line.starts_with("end ")).collect()
    }

    #[track_caller]
    fn flush_all(&mut self, lines: &str) -> Vec<String> {
        self.table.set_age(self.now_s);
        self.table.take(lines.as_bytes(), |line, reason| {
            panic!("{}: {reason}", line.escape_ascii());
        });
        let previous_ms = i64::from(self.now_s) * 1000;
        self.now_s += 10;
        self.write(Flush::new(previous_ms + 10_000, previous_ms, self.now_s, self.idle_s))
    }

    fn end(&mut self) -> Vec<String> {
        self.write(Flush::end(i64::from(self.now_s) * 1000 + 1))
    }
}

#[test]
fn counters_begin_with_zero_and_go_on() {
    let mut bench = Bench::new(|config| config.prefix = "app_".to_owned());
    let first = bench.flush_all("hits:1|c|@0.4|#b:x,a:y\nhits:2|c|#a:y,b:x");
    assert_eq!(
        first,
        [
            "app_hits_total{a=y,b=x} 0 @100",
            "app_hits_total{a=y,b=x} 4.5 @110",
            "end app_hits_total Counter"
        ]
    );
    assert_eq!(bench.flush(""), ["app_hits_total{a=y,b=x} 4.5 @120"]);
    assert_eq!(bench.flush("hits:1|c|#a:y,b:x"), ["app_hits_total{a=y,b=x} 5.5 @130"]);
    let end = bench.end();
    assert_eq!(end[0], "app_hits_total{a=y,b=x} stale @130.001");
}

#[test]
fn gauges_stay_and_sets_begin_again() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.flush("g:5|g\ng:-7|g"), ["g{} -2 @110"]);
    assert_eq!(bench.flush("g:+1|g"), ["g{} -1 @120"]);
    assert_eq!(bench.flush("u:a|s\nu:b|s\nu:a|s\ng:0|g"), ["g{} 0 @130", "u{} 2 @130"]);
    assert_eq!(bench.flush(""), ["g{} 0 @140", "u{} 0 @140"]);
    assert_eq!(bench.flush(""), ["g{} 0 @150"]);
    assert_eq!(bench.end().len(), 4);
}

#[test]
fn timers_in_every_form() {
    let lines = "t:50|ms|@0.5\nt:500|ms\nh:0.5|h";
    let form = |timers: Timers| {
        let mut bench = Bench::new(|config| config.timers = timers);
        let all = bench.flush_all(lines);
        let zeros = all.iter().filter(|line| line.ends_with(" 0 @100")).count();
        (zeros, all.into_iter().filter(|line| !line.ends_with(" 0 @100")).collect::<Vec<_>>())
    };
    let (zeros, written) = form(Timers::Histogram);
    assert_eq!(zeros, 10);
    assert_eq!(
        written[..6],
        [
            "t_seconds_bucket{le=0.1} 2 @110",
            "t_seconds_bucket{le=1.0} 3 @110",
            "t_seconds_bucket{le=+Inf} 3 @110",
            "t_seconds_sum{} 0.6 @110",
            "t_seconds_count{} 3 @110",
            "end t_seconds Histogram"
        ]
    );
    assert_eq!(written[6], "h_bucket{le=0.1} 0 @110");
    let (zeros, written) = form(Timers::Summary);
    assert_eq!(zeros, 4);
    assert!(written[0].starts_with("t_seconds{quantile=0.5} 0.0"), "{written:?}");
    assert_eq!(
        written[3..6],
        ["t_seconds_sum{} 0.6 @110", "t_seconds_count{} 3 @110", "end t_seconds Summary"]
    );
    let (zeros, written) = form(Timers::Gauge);
    assert_eq!((zeros, written[0].as_str()), (0, "t_seconds{} 0.5 @110"));
    let (_, written) = form(Timers::Exponential);
    let bucket = written.iter().position(|line| line == "t_seconds_bucket{le=+Inf} 3 @110");
    assert!(bucket.is_some_and(|at| at > 20), "{written:?}");
}

#[test]
fn buckets_that_are_no_more_get_markers() {
    let mut bench = Bench::new(|config| config.timers = Timers::Exponential);
    bench.flush("h:1|h\nh:2|h");
    let written = bench.flush("h:1e9|h");
    let gone: Vec<_> = written.iter().filter(|line| line.contains(" stale ")).collect();
    assert!(gone.contains(&&"h_bucket{le=1.09050773} stale @120".to_owned()), "{written:?}");
    assert!(written.contains(&"h_bucket{le=1.0} 1 @120".to_owned()), "{written:?}");
    assert!(!bench.flush("").iter().any(|line| line.contains("stale")));
}

#[test]
fn silent_series_end_and_may_begin_again() {
    let mut bench = Bench::new(|_| {});
    bench.idle_s = 15;
    bench.flush("a:1|c\nb:1|g");
    let written = bench.flush_all("b:2|g");
    assert_eq!(written[..2], ["a_total{} stale @120", "end a_total Counter"]);
    assert_eq!((bench.table.len(), bench.table.families[0].name.is_empty()), (1, true));
    // It ended at 120: its zero comes right behind.
    let written = bench.flush("b:2|g\na:3|c\nc:1|c");
    assert_eq!(written[..2], ["a_total{} 0 @120.001", "a_total{} 3 @130"]);
    assert!(written.contains(&"c_total{} 0 @120".to_owned()), "{written:?}");
    // A series shorter than its silence may be is still sent once.
    bench.idle_s = 1;
    assert!(bench.flush("d:1|c").contains(&"d_total{} 1 @140".to_owned()));
    assert_eq!(bench.flush(""), ["d_total{} stale @150"]);
    assert!(bench.table.is_empty() && bench.end().is_empty());
}

#[test]
fn times_of_lines_are_kept_where_they_can_be() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.flush("a:1|g|T105"), ["a{} 1 @105"]);
    assert_eq!(
        bench.flush("a:2|g|T104\nb:1|c|T115"),
        ["a{} 2 @120", "b_total{} 0 @110", "b_total{} 1 @115"]
    );
    assert_eq!(bench.table.take_faults().late, 1);
    assert_eq!(bench.flush("a:3|g|T999\nb:1|c|T116"), ["a{} 3 @130", "b_total{} 2 @116"]);
    assert_eq!(bench.flush("c:1|c|T130\na:4|g")[..2], ["a{} 4 @140", "b_total{} 2 @140"]);
    assert_eq!(bench.table.take_faults().late, 2);
}

#[test]
fn a_long_flush_comes_in_pieces_and_lines_in_between() {
    let mut bench = Bench::new(|_| {});
    let lines: String = (0..2000).map(|at| format!("a:1|c|#n:{at}\nb:1|g|#n:{at}\n")).collect();
    bench.table.take(lines.as_bytes(), |_, _| {});
    let (mut pieces, mut samples, mut ends) = (1, 0, Vec::new());
    let mut flush = Flush::new(110_000, 100_000, 10, 0);
    let mut out = |out: Out<'_>| match out {
        Out::Sample(_) => samples += 1,
        Out::EndFamily(family) => ends.push(family.name.to_owned()),
    };
    while !bench.table.flush(&mut flush, &mut out) {
        pieces += 1;
        bench.table.take(format!("a:1|c|#m:{pieces}").as_bytes(), |_, _| {});
    }
    assert!(pieces >= 6, "{pieces}");
    assert_eq!((samples, ends), (6000, vec!["a_total".to_owned(), "b".to_owned()]));
}
