//! Which series a line means, by a hash of its name, tags and type exactly as sent.
//!
//! Most clients spell a series the same way each time; whoever is known here skips splitting,
//! cleaning and sorting of tags: 30 ns instead of 300. Open addressing with linear probing over 12
//! bytes a slot; it grows by half, so that a spelling takes 15 to 23 bytes.
//!
//! Nothing is lost where a spelling is not known, so that it may forget at any time: when series
//! end, and when there are more than [`SPELLINGS_PER_SERIES`] spellings to a series.

/// Slots of the smallest table.
const SLOTS_MIN: usize = 64;

/// Beyond that all are learnt anew: somebody sends a tag that otlet leaves out.
const SPELLINGS_PER_SERIES: usize = 2;

/// Marks a slot that is empty.
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub struct Spellings {
    keys: Vec<u64>,
    series: Vec<u32>,
    used: usize,
}

impl Spellings {
    #[inline]
    pub fn get(&self, key: u64) -> Option<u32> {
        if self.keys.is_empty() {
            return None;
        }
        let at = self.probe(key);
        (self.series[at] != NONE).then(|| self.series[at])
    }

    /// Remembers a spelling that is not known; `series_count` is how many series there are.
    pub fn insert(&mut self, key: u64, series: u32, series_count: usize) {
        if (self.used + 1) * 5 > self.keys.len() * 4 {
            if self.used > SLOTS_MIN.max(series_count * SPELLINGS_PER_SERIES) {
                self.forget();
            } else {
                self.grow();
            }
        }
        let at = self.probe(key);
        self.used += usize::from(self.series[at] == NONE);
        self.keys[at] = key;
        self.series[at] = series;
    }

    pub fn forget(&mut self) {
        self.series.fill(NONE);
        self.used = 0;
    }

    pub fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<u64>() + self.series.capacity() * size_of::<u32>()
    }

    /// The slot that holds `key`, else the empty one where it belongs. Needs an empty slot.
    #[inline]
    fn probe(&self, key: u64) -> usize {
        let slots = self.keys.len();
        let mut at = ((u128::from(key) * slots as u128) >> 64) as usize;
        while self.series[at] != NONE && self.keys[at] != key {
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
        at
    }

    fn grow(&mut self) {
        let slots = (self.keys.len() / 2 * 3).max(SLOTS_MIN);
        let keys = std::mem::replace(&mut self.keys, vec![0; slots]);
        let series = std::mem::replace(&mut self.series, vec![NONE; slots]);
        for (key, series) in keys.into_iter().zip(series).filter(|(_, series)| *series != NONE) {
            let at = self.probe(key);
            self.keys[at] = key;
            self.series[at] = series;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_knows_what_it_was_told_and_nothing_else() {
        let mut random = fastrand::Rng::with_seed(17);
        let (mut spellings, mut told) = (Spellings::default(), HashMap::new());
        assert_eq!(spellings.get(1), None);
        for series in 0..5000 {
            let key = random.u64(..);
            spellings.insert(key, series, 5000);
            told.insert(key, series);
        }
        assert!(told.iter().all(|(key, series)| spellings.get(*key) == Some(*series)));
        assert!((0..5000).all(|_| spellings.get(random.u64(..)).is_none()));
        spellings.forget();
        assert!(told.keys().all(|key| spellings.get(*key).is_none()));
    }

    #[test]
    fn spellings_without_end_take_no_room_without_end() {
        let mut random = fastrand::Rng::with_seed(19);
        let mut spellings = Spellings::default();
        (0..1_000_000).for_each(|_| spellings.insert(random.u64(..), 7, 100));
        assert!(spellings.bytes() < 500 * 12, "{}", spellings.bytes());
    }
}
