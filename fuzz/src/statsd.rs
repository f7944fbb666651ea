//! StatsD: every line of a datagram read to its last tag, and the table that lines end up in.

use otlet::codec::statsd::{lines, parse, Dialect, Line, Metric, Name, Tags};
use otlet::receive::statsd::{Config, Flush, Out, Table, Timers};

/// The grammar alone.
pub fn statsd_lines(data: &[u8]) {
    for line in lines(data) {
        if let Ok(Line::Metric(metric)) = parse(line) {
            read(metric);
        }
    }
}

fn read(mut metric: Metric<'_>) {
    loop {
        assert!(metric.weight.is_finite() && metric.weight >= 1.0);
        metric.values().for_each(drop);
        Tags::new(Name::split(metric.name).tags, Dialect::InName).for_each(drop);
        Tags::new(metric.tags, Dialect::DogStatsd).for_each(drop);
        match metric.next() {
            Some(Ok(next)) => metric = next,
            _ => return,
        }
    }
}

/// DogStatsD events: what follows `_e{`.
pub fn statsd_event(data: &[u8]) {
    statsd_lines(&[b"_e{", data].concat());
}

/// DogStatsD service checks: what follows `_sc|`.
pub fn statsd_service_check(data: &[u8]) {
    statsd_lines(&[b"_sc|", data].concat());
}

/// Tags within names, as Influx, SignalFx and Librato have them: the part before the value.
pub fn statsd_names(data: &[u8]) {
    let name = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    statsd_lines(&[name, b":1|c"].concat());
}

/// Lines into series and series into samples: bounded, sorted, finite. The first byte says what
/// timers become.
pub fn statsd_table(data: &[u8]) {
    const SERIES_MAX: usize = 50;
    let Some((first, data)) = data.split_first() else { return };
    let timers = [Timers::Histogram, Timers::Summary, Timers::Exponential, Timers::Gauge];
    let config = Config {
        listeners: Vec::new(),
        interval: std::time::Duration::from_secs(10),
        timers: timers[usize::from(first % 4)],
        buckets: vec![0.1, 1.0, 10.0],
        idle: std::time::Duration::ZERO,
        series_max: SERIES_MAX,
        prefix: String::new(),
        rcvbuf_bytes: 0,
    };
    let mut table = Table::new(&config, 1);
    for (round, half) in data.chunks(data.len() / 2 + 1).enumerate() {
        let mut refused = 0;
        let taken = table.take(half, |_, _| refused += 1);
        assert!(taken + refused <= half.len() as u64 && table.len() <= SERIES_MAX);
        let now_ms = (round as i64 + 1) * 10_000;
        let mut flush = Flush::new(now_ms, now_ms - 10_000, round as u32 * 10, 10);
        while !table.flush(&mut flush, &mut |out| {
            if let Out::Sample(sample) = out {
                let sorted = sample.labels.windows(2).all(|pair| pair[0].name < pair[1].name);
                assert!(sorted && !sample.value.is_infinite(), "{sample:?}");
                assert!(sample.labels.iter().all(|label| !label.value.is_empty()));
            }
        }) {}
    }
}
