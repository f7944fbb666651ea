//! When a target is scraped: a fixed phase within the interval, and a plain beat from there.
//!
//! The phase depends on the target and the host, so targets spread over the interval, the same
//! after a restart (Prometheus' target offset). A slow scrape loses beats, it does not queue them.

use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

/// Samples get the ideal time of their beat when the scrape began this close to it: equal distances
/// compress better. Prometheus uses the same two milliseconds.
const ALIGN_MS_MAX: u64 = 2;

/// The beat of one target.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    interval: Duration,
    first: Instant,
    first_unix_ms: i64,
}

impl Schedule {
    /// `seed` tells hosts apart, `target` targets.
    pub fn new(
        interval: Duration,
        target: &str,
        seed: &str,
        now: Instant,
        now_unix_ms: i64,
    ) -> Schedule {
        let phase = FixedState::default().hash_one((target, seed));
        let delay_ms = first_delay_ms(interval.as_millis() as u64, phase, now_unix_ms as u64);
        Schedule {
            interval,
            first: now + Duration::from_millis(delay_ms),
            first_unix_ms: now_unix_ms + delay_ms as i64,
        }
    }

    /// The first beat that has not begun at `now`.
    pub fn next(&self, now: Instant) -> Instant {
        let since = now.saturating_duration_since(self.first);
        if since.is_zero() && now <= self.first {
            return self.first;
        }
        let beats = since.as_nanos() / self.interval.as_nanos().max(1) + 1;
        self.first + self.interval * (beats as u32)
    }

    /// The time for samples of a scrape that began at `unix_ms`: the beat's own if it is close.
    pub fn align(&self, unix_ms: i64) -> i64 {
        let interval_ms = self.interval.as_millis() as i64;
        let tolerance_ms = ALIGN_MS_MAX.min(interval_ms as u64 / 100) as i64;
        let off_ms = (unix_ms - self.first_unix_ms).rem_euclid(interval_ms.max(1));
        if off_ms <= tolerance_ms {
            unix_ms - off_ms
        } else if interval_ms - off_ms <= tolerance_ms {
            unix_ms + interval_ms - off_ms
        } else {
            unix_ms
        }
    }
}

/// How long until the phase comes round; less than one interval.
fn first_delay_ms(interval_ms: u64, phase: u64, now_ms: u64) -> u64 {
    let interval_ms = interval_ms.max(1);
    (phase % interval_ms + interval_ms - now_ms % interval_ms) % interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_fixed_and_spread() {
        for (now_ms, expected_ms) in [(0, 7), (7, 0), (8, 9), (10, 7), (1_000_007, 0)] {
            assert_eq!(first_delay_ms(10, 17, now_ms), expected_ms, "{now_ms}");
        }
        let now = Instant::now();
        let phase = |target: &str| {
            let schedule = Schedule::new(Duration::from_secs(15), target, "host", now, 0);
            (schedule.first - now).as_millis()
        };
        assert_eq!(phase("a"), phase("a"));
        let spread: std::collections::HashSet<_> =
            (0..100).map(|at| phase(&at.to_string()) / 1500).collect();
        assert!(spread.len() >= 8, "{spread:?}");
    }

    #[test]
    fn slow_scrapes_lose_beats() {
        let now = Instant::now();
        let ms = Duration::from_millis;
        let schedule = Schedule { interval: ms(100), first: now + ms(30), first_unix_ms: 30 };
        for (at, expected) in [(0, 30), (30, 30), (31, 130), (129, 130), (130, 230), (377, 430)] {
            assert_eq!(schedule.next(now + ms(at)), now + ms(expected), "{at}");
        }
    }

    #[test]
    fn times_snap_to_the_beat() {
        let schedule = Schedule {
            interval: Duration::from_secs(1),
            first: Instant::now(),
            first_unix_ms: 10_030,
        };
        for (at, expected) in
            [(11_030, 11_030), (11_032, 11_030), (11_033, 11_033), (11_028, 11_030), (9_029, 9_030)]
        {
            assert_eq!(schedule.align(at), expected, "{at}");
        }
    }
}
