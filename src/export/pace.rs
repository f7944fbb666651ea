//! How long a destination's data is gathered, how much of it may wait, and for how long.

use std::time::Duration;

/// What every sender of batches is told, checked; the flag table holds the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a batch stays open; never zero.
    pub batch: Duration,
    /// Bytes that may wait; none is an equal share of the memory limit.
    pub queue: Option<u64>,
    /// Age at which a request that keeps failing is given up; zero sends once.
    pub retry_for: Duration,
}

impl Pace {
    /// The flag table's defaults but for `batch`, for tests and benchmarks.
    pub fn of_batch_s(seconds: u64) -> Pace {
        let (batch, retry_for) = (Duration::from_secs(seconds), Duration::from_secs(3600));
        Pace { batch, queue: None, retry_for }
    }
}
