//! Since when each cumulative series counts: what it says itself (`_created`), else when it was
//! first seen, or last seen before it fell (OTLP metrics data model, "Cumulative streams: handling
//! unknown start time").

use std::collections::HashMap;

use foldhash::quality::FixedState;

use super::group::Group;

/// Silence after which a series may be forgotten, when there is no room.
const STALE_MS: i64 = 600_000;

#[derive(Debug)]
struct Series {
    start_ms: i64,
    last_ms: i64,
    last: f64,
}

#[derive(Debug)]
pub struct Starts {
    series: HashMap<u64, Series, FixedState>,
    series_max: usize,
    seed: u64,
    /// Nothing is stale before this time; spares looking in vain.
    full_until_ms: i64,
}

impl Starts {
    /// `seed` is random.
    pub fn new(series_max: usize, seed: u64) -> Starts {
        let series = HashMap::with_hasher(FixedState::with_seed(seed));
        Starts { series, series_max, seed, full_until_ms: i64::MIN }
    }

    /// Memory held, about.
    pub fn bytes(&self) -> u64 {
        // A hash table has a byte of its own for each place.
        (self.series.capacity() * (size_of::<(u64, Series)>() + 1)) as u64
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The start of that group's series; 0 where there is no room to know it.
    pub(super) fn of(&mut self, group: &Group) -> i64 {
        if group.is_stale {
            let series = self.series.remove(&group.series);
            return series.map_or(0, |series| series.start_ms);
        }
        let (now_ms, value) = (group.time_ms, group.total());
        if let Some(created_ms) = group.created_ms {
            return created_ms;
        }
        if let Some(series) = self.series.get_mut(&group.series) {
            if value < series.last {
                series.start_ms = series.last_ms;
            }
            (series.last_ms, series.last) = (now_ms, value);
            return series.start_ms;
        }
        if self.series.len() >= self.series_max && now_ms >= self.full_until_ms {
            self.series.retain(|_, series| now_ms.saturating_sub(series.last_ms) < STALE_MS);
            let oldest_ms = self.series.values().map(|series| series.last_ms).min();
            self.full_until_ms = oldest_ms.unwrap_or(now_ms).saturating_add(STALE_MS);
        }
        if self.series.len() >= self.series_max {
            return 0;
        }
        self.series.insert(group.series, Series { start_ms: now_ms, last_ms: now_ms, last: value });
        now_ms
    }
}
