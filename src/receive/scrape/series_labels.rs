//! A series' label set as a hash, and as bytes to get it back from.
//!
//! The bytes are private to one process: for each label a LEB128 length and the name, then the same
//! for the value. Invariant: equal label sets hash alike, and no two different ones feed the same
//! bytes to the hasher.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::model::Label;

use super::series_table::series_key;

/// Any number will do; the same series must hash alike for as long as the process lives.
const SEED: u64 = 0x6f74_6c65_7421;

const STATE: FixedState = FixedState::with_seed(SEED);

/// The hash of a label set's names, in the order of the set.
pub fn hash_names<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = STATE.build_hasher();
    names.for_each(|name| hasher.write(name.as_bytes()));
    hasher.finish()
}

/// The [`series_key`] of a sorted label set whose [`hash_names`] is known.
///
/// foldhash mixes each text's length in, which keeps texts apart that run together.
#[inline]
pub fn hash_values(names_hash: u64, labels: &[Label<'_>]) -> u64 {
    let mut hasher = STATE.build_hasher();
    labels.iter().for_each(|label| hasher.write(label.value.as_bytes()));
    hasher.write_u64(names_hash);
    series_key(hasher.finish())
}

/// The [`series_key`] of a sorted label set.
pub fn hash_labels(labels: &[Label<'_>]) -> u64 {
    hash_values(hash_names(labels.iter().map(|label| label.name)), labels)
}

/// Appends the labels to `out`.
pub fn encode_labels(labels: &[Label<'_>], out: &mut Vec<u8>) {
    for label in labels {
        push_text(label.name, out);
        push_text(label.value, out);
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    push_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Appends the labels in `record` to `labels`; false, and no label added, where it is malformed.
pub fn decode_labels<'a>(mut record: &'a [u8], labels: &mut Vec<Label<'a>>) -> bool {
    let start = labels.len();
    while !record.is_empty() {
        let (Some(name), Some(value)) = (take_text(&mut record), take_text(&mut record)) else {
            labels.truncate(start);
            return false;
        };
        labels.push(Label::new(name, value));
    }
    true
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(input)?).ok()
}

/// Takes a length and as many bytes off the front of `input`.
pub(super) fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(bytes)
}

/// Appends `value` seven bits a byte, low ones first, the top bit set on all but the last.
pub(super) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[Label<'_>] =
        &[Label::new("__name__", "up"), Label::new("path", "/é"), Label::new("z", "")];

    fn hash(pairs: &[(&str, &str)]) -> u64 {
        let labels: Vec<_> = pairs.iter().map(|(name, value)| Label::new(name, value)).collect();
        hash_labels(&labels)
    }

    #[test]
    fn texts_that_run_together_hash_apart() {
        let sets: &[&[(&str, &str)]] = &[
            &[],
            &[("", "")],
            &[("", ""), ("", "")],
            &[("a", "b")],
            &[("b", "a")],
            &[("ab", "")],
            &[("", "ab")],
            &[("a", "bc"), ("d", "e")],
            &[("a", "b"), ("cd", "e")],
            &[("a", "b"), ("d", "ce")],
            &[("a", "e"), ("d", "bc")],
            &[("a", "b"), ("d", "c\0")],
            &[("a", "bb")],
            &[("a", "bbb")],
        ];
        let mut hashes: Vec<_> = sets.iter().map(|set| hash(set)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), sets.len());
    }

    #[test]
    fn similar_sets_do_not_collide() {
        let mut hashes = Vec::new();
        for number in 0..100_000 {
            let value = format!("pod-{number}");
            hashes.push(hash(&[("__name__", "up"), ("pod", &value)]));
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 100_000);
    }

    #[test]
    fn labels_survive_the_round_trip() {
        let long = "v".repeat(70_000);
        for labels in [LABELS, &[], &[Label::new("long", &long)]] {
            let mut record = Vec::new();
            encode_labels(labels, &mut record);
            let mut decoded = vec![Label::new("kept", "")];
            assert!(decode_labels(&record, &mut decoded));
            assert_eq!(&decoded[1..], labels);
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        let mut record = Vec::new();
        encode_labels(LABELS, &mut record);
        let mut boundaries = 0;
        for end in 0..record.len() {
            let mut labels = Vec::new();
            if decode_labels(&record[..end], &mut labels) {
                boundaries += 1;
            } else {
                assert!(labels.is_empty());
            }
        }
        assert_eq!(boundaries, LABELS.len());
        for bad in [&[1, 0xff, 0][..], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]] {
            assert!(!decode_labels(bad, &mut Vec::new()));
        }
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
    fn speed() {
        let labels = [
            Label::new("__name__", "http_requests_total"),
            Label::new("code", "200"),
            Label::new("instance", "0123456789ab:8080"),
            Label::new("job", "checkout"),
            Label::new("method", "GET"),
            Label::new("path", "/api/v1/orders"),
        ];
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        for seed in 0..10_000_000 {
            sum = sum.wrapping_add(hash_labels(std::hint::black_box(&labels)) ^ seed);
        }
        println!("{:?} for ten million ({sum})", start.elapsed());
    }
}
