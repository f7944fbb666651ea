//! A series' label set as a hash, and as bytes to get it back from.
//!
//! The bytes are private to one process: for each label a LEB128 length and the name, then the same
//! for the value. Invariant: equal label sets hash alike, and no two different ones feed the same
//! bytes to the hasher.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::model::{Changes, Label};

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

/// Hashes one label set after the other, and of each only the values in which it differs.
///
/// A set's hash is the sum of one for its names and one for each value at its place.
#[derive(Debug, Default)]
pub struct SetHasher {
    values: Vec<u64>,
    sum: u64,
}

impl SetHasher {
    /// The [`series_key`] of a sorted label set. `names_hash` is its [`hash_names`]; `changes` says
    /// how it differs from the set hashed before it.
    #[inline]
    pub fn hash(&mut self, names_hash: u64, labels: &[Label<'_>], changes: Changes) -> u64 {
        if changes.is_all() || self.values.len() != labels.len() {
            self.hash_all(labels);
        } else {
            for place in changes.places() {
                // The lengths are the same, so both are there.
                if let (Some(hash), Some(label)) = (self.values.get_mut(place), labels.get(place)) {
                    let value = hash_value(place, label.value);
                    self.sum = self.sum.wrapping_add(value).wrapping_sub(*hash);
                    *hash = value;
                }
            }
        }
        series_key(self.sum.wrapping_add(names_hash))
    }

    #[inline(never)]
    fn hash_all(&mut self, labels: &[Label<'_>]) {
        let values = labels.iter().enumerate().map(|(place, label)| hash_value(place, label.value));
        self.values.clear();
        self.values.extend(values);
        self.sum = self.values.iter().fold(0, |sum, value| sum.wrapping_add(*value));
    }
}

/// foldhash mixes a text's length in.
#[inline]
fn hash_value(place: usize, value: &str) -> u64 {
    let mut hasher = STATE.build_hasher();
    hasher.write(value.as_bytes());
    hasher.write_u64(place as u64);
    hasher.finish()
}

/// The [`series_key`] of a sorted label set.
pub fn hash_labels(labels: &[Label<'_>]) -> u64 {
    let names_hash = hash_names(labels.iter().map(|label| label.name));
    SetHasher::default().hash(names_hash, labels, Changes::ALL)
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

    /// However sets follow each other, each hashes as if it came alone.
    #[test]
    fn what_changed_is_enough_to_hash() {
        let mut hasher = SetHasher::default();
        let mut values = ["up", "1", "é"].map(str::to_owned);
        let mut hashed = |values: &[String], changes| {
            let labels: Vec<_> = values.iter().map(|value| Label::new("n", value)).collect();
            let names_hash = hash_names(labels.iter().map(|label| label.name));
            let alone = hash_labels(&labels);
            assert_eq!(hasher.hash(names_hash, &labels, changes), alone, "{values:?}");
            alone
        };
        let mut hashes = vec![hashed(&values, Changes::ALL)];
        for step in 0..200_usize {
            let mut changes = Changes::NONE;
            for place in (0..3).filter(|place| step >> place & 1 == 1) {
                values[place] = format!("{}", step * 7);
                changes.add(place);
            }
            hashes.push(hashed(&values, changes));
        }
        hashed(&values[..2], Changes::ALL);
        hashed(&values, Changes::ALL);
        hashes.sort_unstable();
        hashes.dedup();
        // One step in eight changes nothing.
        assert_eq!(hashes.len(), 201 - 25);
    }

    /// Those too that stand where no change can say so.
    #[test]
    fn all_values_are_hashed_anew_where_all_may_differ() {
        let (mut hasher, mut labels) = (SetHasher::default(), vec![Label::new("n", "x"); 70]);
        let names_hash = hash_names(labels.iter().map(|label| label.name));
        for (place, value) in [(69, "1"), (69, "2"), (64, "3"), (0, "4")] {
            labels[place].value = value;
            let alone = hash_labels(&labels);
            assert_eq!(hasher.hash(names_hash, &labels, Changes::ALL), alone, "{place}");
        }
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
