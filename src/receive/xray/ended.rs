//! Segments that have ended lately, remembered by a hash of their ids.
//!
//! Datagrams may change places on their way: a document in progress that comes after its own end
//! tells nothing any more, and as a span it would be a second one with the same id.

use std::hash::BuildHasher;

use super::held::Key;

/// Segments remembered, 8 bytes each: at 20,000 segments a second those of the last 200 ms.
pub const ENDED_MAX: usize = 4_096;

/// A table in which each segment has one place, and takes it from whichever had it before.
#[derive(Default)]
pub struct Ended {
    /// Empty until the first segment ends.
    hashes: Vec<u64>,
    random: foldhash::fast::RandomState,
}

impl Ended {
    pub fn add(&mut self, key: Key) {
        let hash = self.hash(key);
        self.hashes.resize(ENDED_MAX, 0);
        self.hashes[place(hash)] = hash;
    }

    pub fn has(&self, key: Key) -> bool {
        let hash = self.hash(key);
        self.hashes.get(place(hash)) == Some(&hash)
    }

    /// Never zero, which is an empty place.
    fn hash(&self, key: Key) -> u64 {
        self.random.hash_one(key) | 1
    }
}

fn place(hash: u64) -> usize {
    (hash >> 32) as usize % ENDED_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_up_to_the_bound() {
        let key = |number: u64| ([1; 16], number.to_be_bytes());
        let mut ended = Ended::default();
        assert!(!ended.has(key(0)));
        let last = 10 * ENDED_MAX as u64;
        for number in 0..last {
            ended.add(key(number));
            assert!(ended.has(key(number)));
        }
        let known = (0..last).filter(|&number| ended.has(key(number))).count();
        assert!(known > ENDED_MAX / 2 && known <= ENDED_MAX, "{known}");
        assert_eq!(ended.hashes.len(), ENDED_MAX);
        assert!((last..2 * last).all(|number| !ended.has(key(number))), "never came");
        let late = (last - 100..last).filter(|&number| ended.has(key(number))).count();
        assert!(late > 90, "{late} of the last hundred");
    }
}
