//! Wall time for samples that never goes back, whatever the system's clock does.
//!
//! A backward step below [`STAND_STILL_MS`] is absorbed by standing still. A longer one is
//! reported, so that the holder can end its series before it starts them again at the earlier time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Backward steps shorter than this are absorbed.
const STAND_STILL_MS: i64 = 1000;

/// Unix time in milliseconds, as the system has it.
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

/// One reading of a [`SampleClock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub unix_ms: i64,
    /// The clock was set back: times before this one's predecessor will be seen again.
    pub stepped_back: bool,
}

/// Guards the times of one target's samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleClock {
    last_ms: i64,
}

impl SampleClock {
    /// The time to use for a sample taken at `unix_ms`.
    pub fn tick(&mut self, unix_ms: i64) -> Tick {
        let back_ms = self.last_ms - unix_ms;
        let stepped_back = back_ms >= STAND_STILL_MS;
        if back_ms < 0 || stepped_back {
            self.last_ms = unix_ms;
        }
        Tick { unix_ms: self.last_ms, stepped_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_steps_stand_still_and_long_ones_are_told() {
        let mut clock = SampleClock::default();
        for (at, expected_ms, stepped_back) in [
            (10_000, 10_000, false),
            (9_001, 10_000, false),
            (10_001, 10_001, false),
            (9_001, 9_001, true),
            (9_002, 9_002, false),
        ] {
            assert_eq!(clock.tick(at), Tick { unix_ms: expected_ms, stepped_back });
        }
    }
}
