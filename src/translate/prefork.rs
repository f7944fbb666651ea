//! Senders that share a resource: workers that forked from one process and have no
//! `service.instance.id` of their own.
//!
//! Each counts for itself, from its own start time, and all write the same series, which then jumps
//! up and down. Their start times alternate; a restart brings a start time that nobody has seen.
//! Bounds: [`SERIES_MAX`] series watched, [`STARTS`] start times each.

use std::collections::HashMap;

use foldhash::quality::FixedState;

/// Series watched at 48 bytes each; when full, watching starts anew.
const SERIES_MAX: usize = 1024;

/// Start times remembered.
const STARTS: usize = 4;

/// How often a start time must come back.
const RETURNS: u32 = 3;

#[derive(Debug, Default)]
struct Watched {
    /// The latest first.
    starts_ns: [u64; STARTS],
    returns: u32,
}

#[derive(Debug)]
pub struct Prefork {
    series: HashMap<u64, Watched, FixedState>,
    detected: bool,
}

impl Prefork {
    pub fn new(seed: u64) -> Prefork {
        let series = HashMap::with_hasher(FixedState::with_seed(seed));
        Prefork { series, detected: false }
    }

    /// Looks at a cumulative point; true once, when it is clear that several senders share it.
    pub fn sees(&mut self, key: u64, start_ns: u64) -> bool {
        if self.detected || start_ns == 0 {
            return false;
        }
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&key) {
            self.series.clear();
        }
        let watched = self.series.entry(key).or_default();
        let place = watched.starts_ns.iter().position(|known| *known == start_ns);
        if place == Some(0) {
            return false;
        }
        watched.returns += u32::from(place.is_some());
        watched.starts_ns[..=place.unwrap_or(STARTS - 1)].rotate_right(1);
        watched.starts_ns[0] = start_ns;
        self.detected = watched.returns >= RETURNS;
        if self.detected {
            self.series = HashMap::with_hasher(self.series.hasher().clone());
        }
        self.detected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternation_is_told_once_and_restarts_are_not() {
        let mut prefork = Prefork::new(1);
        let mut seen = |starts: &[u64]| starts.iter().filter(|at| prefork.sees(1, **at)).count();
        assert_eq!(seen(&[1, 1, 2, 2, 3, 4, 5, 6]), 0);
        assert_eq!(seen(&[7, 8, 7, 8]), 0);
        assert_eq!(seen(&[7, 8, 7, 8, 7]), 1);
        let mut prefork = Prefork::new(1);
        let mut seen = |starts: &[u64]| starts.iter().filter(|at| prefork.sees(1, **at)).count();
        assert_eq!(seen(&[1, 2, 3, 4, 1, 2, 3]), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut prefork = Prefork::new(1);
        for key in 0..SERIES_MAX as u64 * 3 {
            assert!(!prefork.sees(key, 5));
            assert!(prefork.series.len() <= SERIES_MAX);
        }
    }
}
