//! Series after series: each is compared with the bytes that it has alone.

use std::iter;
use std::time::Instant;

use fastrand::Rng;

use super::super::batch::{Batch, Workshop};
use super::*;
use crate::codec::snappy::decompress;
use crate::model::{Exemplar, Family, Label, NativeBuckets, NativeHistogram, Part};

const HISTOGRAM: NativeHistogram<'static> = NativeHistogram {
    count: 3,
    sum: 1.5,
    schema: 0,
    zero_threshold: 0.0,
    zero_count: 3,
    negative: NativeBuckets { spans: &[], deltas: &[] },
    positive: NativeBuckets { spans: &[], deltas: &[] },
};

/// Times of all lengths, and two of the same.
const TIMES_MS: [i64; 7] = [1_700_000_000_000, 1_700_000_000_001, 0, 127, 128, -1, i64::MAX];

/// Samples that differ from one to the next like those of a page, and wilder.
#[derive(Default)]
struct Walk {
    names: Vec<String>,
    values: Vec<String>,
    timestamp_ms: i64,
}

/// On both sides of the length from which on lengths take another byte, often.
fn text(random: &mut Rng, near: usize) -> String {
    let bytes = match random.u8(..8) {
        0..=3 => random.usize(..12),
        4 | 5 => random.usize(near - 10..near + 10),
        6 => 300 - random.usize(..40),
        _ => random.usize(..300),
    };
    iter::repeat_with(|| random.alphanumeric()).take(bytes).collect()
}

impl Walk {
    /// Goes on to the next label set; returns how it differs, and now and then more than that.
    fn step(&mut self, random: &mut Rng) -> Changes {
        if random.u8(..6) == 0 {
            self.timestamp_ms = TIMES_MS[random.usize(..TIMES_MS.len())];
        }
        if self.names.is_empty() || random.u8(..12) == 0 {
            let count = if random.u8(..8) == 0 { random.usize(55..70) } else { random.usize(1..9) };
            // As many names as before, now and then.
            let count = if random.bool() { self.names.len().max(1) } else { count };
            self.names = (0..count).map(|_| text(random, 127)).collect();
            self.values.resize_with(count, || text(random, 120));
            return Changes::ALL;
        }
        let mut changes = Changes::NONE;
        for _ in 0..random.usize(..4) {
            let place = random.usize(..self.values.len());
            let (name, value) = (&self.names[place], &mut self.values[place]);
            match random.u8(..8) {
                // A change that is none.
                0 => {}
                1..=3 => *value = value.chars().map(|_| random.alphanumeric()).collect(),
                _ => *value = text(random, 122_usize.saturating_sub(name.len()).max(10)),
            }
            changes.add(place);
        }
        if random.u8(..32) == 0 {
            Changes::ALL
        } else {
            changes
        }
    }

    fn with_sample(&self, random: &mut Rng, visit: impl FnOnce(&Sample<'_>)) {
        let pairs = self.names.iter().zip(&self.values);
        let labels: Vec<_> = pairs.map(|(name, value)| Label::new(name, value)).collect();
        let mut sample = Sample {
            family: &Family::default(),
            part: Part::Value,
            labels: &labels,
            value: f64::from_bits(random.u64(..)),
            timestamp_ms: self.timestamp_ms,
            exemplar: None,
            histogram: None,
        };
        let exemplar = Exemplar { labels: &labels, value: 0.5, timestamp_ms: None };
        match random.u8(..24) {
            0 => sample.exemplar = Some(exemplar),
            1 => sample.histogram = Some(&HISTOGRAM),
            _ => {}
        }
        visit(&sample);
    }
}

/// Other content behind the last series, and buffers that lose their start.
fn disturb(out: &mut Vec<u8>, last: &mut LastSeries, random: &mut Rng) {
    match random.u8(..16) {
        0 => out.extend_from_slice(b"\x1a\x05\x08\x02\x12\x01m"),
        1 => {
            let bytes = random.usize(..=out.len());
            out.drain(..bytes);
            last.cut(bytes);
        }
        2 => {
            // Up to the last series, of which all is left, or but a byte missing.
            let bytes = (last.head + random.usize(..2)).min(out.len());
            out.drain(..bytes);
            last.cut(bytes);
        }
        3 => {
            out.clear();
            last.forget();
        }
        _ => {}
    }
}

#[test]
fn a_series_has_the_bytes_it_has_alone() {
    let mut alike = 0;
    let own = [("a".to_owned(), "b".to_owned())];
    for seed in 0..150 {
        let mut random = Rng::with_seed(seed);
        let (mut walk, mut last, mut out) = (Walk::default(), LastSeries::default(), Vec::new());
        for step in 0..100 {
            let changes = walk.step(&mut random);
            let extra = if random.u8(..24) == 0 { &own[..] } else { &[] };
            walk.with_sample(&mut random, |sample| {
                let is_time_same = last.timestamp_ms == sample.timestamp_ms;
                let is_like = is_time_same && last.ends.len() == sample.labels.len();
                alike += usize::from(is_like && !changes.is_all());
                let (start, mut alone) = (out.len(), Vec::new());
                last.push(&mut out, sample, extra, changes);
                push_series(&mut alone, sample, extra);
                assert!(out[start..] == alone, "seed {seed}, step {step}: {sample:?}");
                assert!(last.ends.is_empty() || last.head == start);
            });
            disturb(&mut out, &mut last, &mut random);
        }
    }
    assert!(alike > 5000, "{alike}");
}

#[test]
fn a_batch_holds_the_same_wherever_its_pieces_end() {
    for seed in 0..20 {
        let mut random = Rng::with_seed(seed);
        let (mut workshop, mut batch) = (Workshop::default(), Batch::default());
        let (mut walk, mut expected) = (Walk::default(), Vec::new());
        for _ in 0..400 {
            let changes = walk.step(&mut random);
            walk.with_sample(&mut random, |sample| {
                push_series(&mut expected, sample, &[]);
                batch.push(&mut workshop, 1, |out, last| last.push(out, sample, &[], changes));
            });
            if random.u8(..100) == 0 {
                let other_bytes = vec![7; random.usize(..140_000)];
                let mut other = Batch::default();
                other.push(&mut workshop, 0, |out, _| out.extend_from_slice(&other_bytes));
                batch.append(&mut workshop, other);
                expected.extend_from_slice(&other_bytes);
            }
        }
        let block = batch.seal(&mut workshop, Instant::now());
        assert!(decompress(&block.body, block.raw_bytes).unwrap() == expected, "seed {seed}");
        assert!(block.items == 400 && expected.len() > 2 * 65_536);
    }
}
