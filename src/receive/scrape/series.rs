//! Which series a target has: who is new, who came twice, who vanished and needs a marker.
//!
//! Two parts: a table of hashes, 16 bytes per live series at most, and a compressed log of the
//! label sets behind them, read only when a series vanishes. Both count under the memory budget.
//! What takes long is done block by block, yielding in between.

use crate::model::{Family, Label, Part, Sample, STALE_NAN_BITS};
use crate::net;
use crate::observe::Reservation;

use super::series_labels::{decode_labels, encode_labels, hash_labels};
use super::series_log::{Scratch, SeriesLog};
pub use super::series_table::Seen;
use super::series_table::SeriesTable;

/// The live series of one target.
pub struct Series {
    table: SeriesTable,
    log: SeriesLog,
    record: Vec<u8>,
    vanished: Vec<u64>,
    /// There while a scrape brings or takes series, 400 KB.
    scratch: Option<Box<Scratch>>,
    reservation: Reservation,
}

impl Series {
    pub fn new(reservation: Reservation) -> Series {
        Series {
            table: SeriesTable::new(),
            log: SeriesLog::new(),
            record: Vec::new(),
            vanished: Vec::new(),
            scratch: None,
            reservation,
        }
    }

    /// Starts a scrape.
    pub fn begin(&mut self) {
        self.table.begin();
    }

    /// Meets a series in the scrape under way. `timed` series (explicit timestamps) may repeat and
    /// never get markers.
    pub fn see(&mut self, labels: &[Label<'_>], timed: bool) -> Seen {
        self.see_key(hash_labels(labels), labels, timed)
    }

    /// The same for a series whose [`series_key`](super::series_table::series_key) is known.
    pub fn see_key(&mut self, key: u64, labels: &[Label<'_>], timed: bool) -> Seen {
        let seen = self.table.see(key, timed);
        if seen == Seen::New && !timed {
            self.record.clear();
            encode_labels(labels, &mut self.record);
            let scratch = self.scratch.get_or_insert_default();
            self.log.append(key, &self.record, scratch);
        }
        seen
    }

    /// Ends a successful scrape: hands a marker for each series that is gone to `emit`.
    pub async fn commit(&mut self, timestamp_ms: i64, emit: impl FnMut(&Sample<'_>)) {
        let vanished = &mut self.vanished;
        self.table.commit(&mut |key| vanished.push(key));
        self.end(timestamp_ms, emit).await;
    }

    /// Ends a failed scrape: only series known before and not met in it are gone; what the scrape
    /// met for the first time is forgotten.
    pub async fn abort(&mut self, timestamp_ms: i64, emit: impl FnMut(&Sample<'_>)) {
        let vanished = &mut self.vanished;
        self.table.abort(&mut |key| vanished.push(key));
        self.end(timestamp_ms, emit).await;
    }

    async fn end(&mut self, timestamp_ms: i64, mut emit: impl FnMut(&Sample<'_>)) {
        let mut vanished = std::mem::take(&mut self.vanished);
        if !vanished.is_empty() {
            vanished.sort_unstable();
            let scratch = self.scratch.get_or_insert_default();
            let mut search = self.log.search(&vanished);
            while search.step(scratch, &mut |_, record| mark(record, timestamp_ms, &mut emit)) {
                net::yield_now().await;
            }
        }
        while self.table.settle() {
            net::yield_now().await;
        }
        if self.log.needs_compaction(self.table.len()) {
            let (table, scratch) = (&self.table, self.scratch.get_or_insert_default());
            while self.log.compact_step(scratch, |key| table.contains(key)) {
                net::yield_now().await;
            }
        }
        if let Some(mut scratch) = self.scratch.take() {
            self.log.seal(&mut scratch);
        }
        self.record.shrink_to(1024);
        self.reservation.resize((self.table.bytes() + self.log.bytes()) as u64);
    }
}

/// Emits the marker of one logged series.
fn mark(record: &[u8], timestamp_ms: i64, emit: &mut impl FnMut(&Sample<'_>)) {
    let mut labels = Vec::new();
    // Written by encode_labels; what it does not restore cannot be ended by name.
    if decode_labels(record, &mut labels) {
        emit(&Sample {
            family: &Family::default(),
            part: Part::Value,
            labels: &labels,
            value: f64::from_bits(STALE_NAN_BITS),
            timestamp_ms,
            exemplar: None,
            histogram: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Budget;

    /// A scrape that brings the series of these numbers; how many markers it makes.
    async fn scrape(series: &mut Series, numbers: std::ops::Range<u32>) -> usize {
        series.begin();
        for number in numbers {
            let value = number.to_string();
            let labels = [Label::new("__name__", "up"), Label::new("n", &value)];
            assert_ne!(series.see(&labels, false), Seen::Full);
        }
        let mut markers = 0;
        series.commit(1, |_| markers += 1).await;
        markers
    }

    /// The table tidies up in several steps, and the log after it: of whatever lives it keeps the
    /// names.
    #[test]
    fn names_outlive_the_tidying_of_table_and_log() {
        net::run(async {
            let mut series = Series::new(Budget::new(64 << 20).reservation());
            let (mut first, count) = (0, 20_000);
            assert_eq!(scrape(&mut series, first..first + count).await, 0);
            for _ in 0..12 {
                first += 5000;
                assert_eq!(scrape(&mut series, first..first + count).await, 5000);
            }
            assert_eq!(scrape(&mut series, 0..0).await, count as usize);
        });
    }
}
