//! Which series a scrape target has: who is new, who came twice, who vanished.
//!
//! Follows Prometheus' staleness rules: a series missing from a successful scrape ends with a
//! marker; after a failed one those end that its body had not mentioned so far. Series with
//! explicit timestamps never get a marker. The table knows hashes only: what a series is called is
//! in [`SeriesLog`](super::series_log::SeriesLog).
//!
//! A series is one `u64`, 61 bits of hash and three flags. These stand in the order in which the
//! series came first, which is that of the page, and nearly always of the next: the series after
//! the one just met is looked at first, in memory that the processor has fetched ahead. The others
//! are found by an index of row numbers: open addressing with linear probing from the hash scaled
//! to the capacity, so that any capacity will do. A series that is gone leaves its row behind,
//! which equals none, until a sixteenth of them are such. Growing by a third keeps the index's load
//! between 0.63 and 0.85, and rows have an eighth to spare: at most 16 bytes per series. Two series
//! whose 61 bits agree are taken for one: for 100,000 series that happens once in 10⁸ tables.
//!
//! A scrape that brings the same series as the last one commits in constant time and allocates
//! nothing. A new index is filled little by little: while the table grows the rows that are not
//! in it yet are found by the one before, and after a scrape [`SeriesTable::settle`] fills it in
//! steps.
//!
//! Invariants: between scrapes every row carries the table's generation and none is new; a row that
//! is entered in an index is reached from its hash's place without crossing an empty one.

use std::ops::Range;

/// Most series one target may have; see [`Seen::Full`].
pub const SERIES_MAX: usize = 1_000_000;

/// Places of the first index, and the fewest kept when series go away.
const INDEX_MIN: usize = 16;

/// Rows that move to a larger index with each series that is new. A third of what is moved comes in
/// until the next growth, but in small tables a sixth.
const MOVED_PER_ROW: usize = 8;

/// Rows entered into an index by one step of [`SeriesTable::settle`], some 0.1 ms. Compacting rows
/// before is one step, 0.2 ms for 100,000.
const MOVED_PER_STEP: usize = 8192;

/// A place of the index without a row.
const EMPTY: u32 = 0;

/// The row of a series that is gone.
const GONE: u64 = 0;

/// Equal to the table's own bit where the series was met in the scrape under way.
const GENERATION: u64 = 1;
/// First met in the scrape under way.
const NEW: u64 = 2;
/// Comes with explicit timestamps: no markers, and it may come several times in one page.
const TIMED: u64 = 4;
const FLAGS: u64 = GENERATION | NEW | TIMED;

/// The part of a series' hash the table and the log know it by; never zero, low three bits clear.
pub const fn series_key(hash: u64) -> u64 {
    let key = hash & !FLAGS;
    if key == 0 {
        FLAGS + 1
    } else {
        key
    }
}

/// What the table knew of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Had it before, or it comes with timestamps and may repeat.
    Known,
    /// Not in the last successful scrape.
    New,
    /// Already met in this scrape without timestamp: the first sample counts.
    Duplicate,
    /// [`SERIES_MAX`] reached: not taken in. The caller counts and drops its sample.
    Full,
}

/// The live series of one target.
#[derive(Debug, Default)]
pub struct SeriesTable {
    rows: Vec<u64>,
    index: Index,
    /// Rows that are not in the index yet.
    moving: Range<usize>,
    /// Where those are found meanwhile.
    outgrown: Index,
    /// Rows of series that are gone.
    gone: usize,
    /// The row that is expected next.
    next: usize,
    /// Series met in the scrape under way.
    met: usize,
    /// Those among them that are new.
    fresh: usize,
    generation: u64,
    is_scraping: bool,
}

impl SeriesTable {
    /// An empty table; it allocates with its first series.
    pub fn new() -> SeriesTable {
        SeriesTable::default()
    }

    pub fn len(&self) -> usize {
        self.rows.len() - self.gone
    }

    pub fn bytes(&self) -> usize {
        let places = self.index.0.capacity() + self.outgrown.0.capacity();
        self.rows.capacity() * size_of::<u64>() + places * size_of::<u32>()
    }

    /// Starts a scrape. One that was neither committed nor aborted is undone without markers.
    pub fn begin(&mut self) {
        if self.is_scraping {
            self.sweep(|row| row & NEW == 0);
        }
        while self.settle() {}
        self.generation ^= GENERATION;
        self.next = 0;
        self.met = 0;
        self.fresh = 0;
        self.is_scraping = true;
    }

    /// Notes a series of the scrape under way; `timed` where its sample has an explicit timestamp.
    #[inline]
    pub fn see(&mut self, hash: u64, timed: bool) -> Seen {
        let key = series_key(hash);
        if self.rows.get(self.next).is_some_and(|row| row & !FLAGS == key) {
            return self.meet(self.next, timed);
        }
        self.see_elsewhere(key, timed)
    }

    /// The same for a series that is not the expected one.
    fn see_elsewhere(&mut self, key: u64, timed: bool) -> Seen {
        if let Some(at) = self.find(key) {
            return self.meet(at, timed);
        }
        if self.len() >= SERIES_MAX {
            return Seen::Full;
        }
        let timed_flag = if timed { TIMED } else { 0 };
        self.add(key | NEW | timed_flag | self.generation);
        self.met += 1;
        self.fresh += 1;
        Seen::New
    }

    /// Notes the series of row `at` as met.
    #[inline]
    fn meet(&mut self, at: usize, timed: bool) -> Seen {
        let row = &mut self.rows[at];
        self.next = at + 1;
        let is_first = *row & GENERATION != self.generation;
        if is_first {
            *row ^= GENERATION;
            self.met += 1;
        } else if !timed && *row & TIMED == 0 {
            return Seen::Duplicate;
        }
        // One sample without timestamp is enough for the series to be tracked.
        match (timed, is_first) {
            (true, true) => *row |= TIMED,
            (true, false) => {}
            (false, _) => *row &= !TIMED,
        }
        Seen::Known
    }

    pub fn contains(&self, hash: u64) -> bool {
        self.find(series_key(hash)).is_some()
    }

    /// Ends a scrape that succeeded: what was not met is gone, and `vanished` is told the
    /// [`series_key`] of each that must get a marker.
    pub fn commit(&mut self, vanished: &mut impl FnMut(u64)) {
        let generation = self.generation;
        self.end(|row| {
            let is_met = row & GENERATION == generation;
            if !is_met && row & TIMED == 0 {
                vanished(row & !FLAGS);
            }
            is_met
        });
    }

    /// Ends a scrape that failed, its samples taken back: new series are forgotten, known ones that
    /// were met stay, and the others are gone as in [`commit`](Self::commit). Timed ones stay.
    pub fn abort(&mut self, vanished: &mut impl FnMut(u64)) {
        let generation = self.generation;
        self.end(|row| {
            let stays = row & NEW == 0 && (row & GENERATION == generation || row & TIMED != 0);
            if !stays && row & NEW == 0 {
                vanished(row & !FLAGS);
            }
            stays
        });
    }

    fn end(&mut self, keep: impl FnMut(u64) -> bool) {
        if self.is_scraping && (self.met < self.len() || self.fresh > 0) {
            self.sweep(keep);
        }
        self.is_scraping = false;
    }

    /// Tidies up after a scrape, a step at a time; true while there is more to do. Nothing must be
    /// looked up before it is done. The next scrape does what is left.
    pub fn settle(&mut self) -> bool {
        if self.gone * 16 > self.rows.len() {
            self.compact();
        }
        self.move_rows(MOVED_PER_STEP);
        !self.moving.is_empty()
    }

    /// Keeps the rows that `keep` accepts, all met and none new.
    fn sweep(&mut self, mut keep: impl FnMut(u64) -> bool) {
        for row in &mut self.rows {
            if *row == GONE {
                continue;
            }
            if keep(*row) {
                *row = *row & !(GENERATION | NEW) | self.generation;
            } else {
                *row = GONE;
                self.gone += 1;
            }
        }
    }

    /// Drops the rows of series that are gone, and gives memory back where less than half of it is
    /// in use then. All that stay have to be entered again.
    fn compact(&mut self) {
        self.rows.retain(|row| *row != GONE);
        self.gone = 0;
        if self.rows.capacity() > self.rows.len() * 2 {
            self.rows.shrink_to(self.rows.len() + self.rows.len() / 8);
        }
        let capacity = self.index.0.len();
        if capacity > INDEX_MIN && capacity > self.rows.len() * 2 {
            self.index = Index::new((self.rows.len() * 4 / 3 + 1).max(INDEX_MIN));
        } else {
            self.index.0.fill(EMPTY);
        }
        self.outgrown = Index::default();
        self.moving = 0..self.rows.len();
    }

    /// The row that holds `key`.
    fn find(&self, key: u64) -> Option<usize> {
        match self.index.find(&self.rows, key) {
            None if !self.moving.is_empty() => self.outgrown.find(&self.rows, key),
            found => found,
        }
    }

    /// Adds a row whose key is absent, growing what is full.
    fn add(&mut self, row: u64) {
        self.move_rows(MOVED_PER_ROW);
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(self.rows.len() / 8 + 8);
        }
        if (self.rows.len() + 1) * 20 > self.index.0.len() * 17 {
            debug_assert!(self.moving.is_empty(), "the last move is over before the next");
            let larger = Index::new((self.index.0.len() / 3 * 4).max(INDEX_MIN));
            self.outgrown = std::mem::replace(&mut self.index, larger);
            self.moving = 0..self.rows.len();
        }
        self.rows.push(row);
        self.index.enter(&self.rows, self.rows.len() - 1);
    }

    /// Enters rows that are not in the index yet.
    fn move_rows(&mut self, count_max: usize) {
        for at in self.moving.by_ref().take(count_max) {
            if self.rows[at] != GONE {
                self.index.enter(&self.rows, at);
            }
        }
        if self.moving.is_empty() {
            self.outgrown = Index::default();
        }
    }
}

/// Row numbers, counted from one, each near the place that its key asks for.
#[derive(Debug, Default)]
struct Index(Vec<u32>);

impl Index {
    fn new(capacity: usize) -> Index {
        Index(vec![EMPTY; capacity])
    }

    fn find(&self, rows: &[u64], key: u64) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let place = self.place(key, |number| rows[number as usize - 1] & !FLAGS == key);
        (self.0[place] as usize).checked_sub(1)
    }

    /// Enters row `at`, which equals none that is entered already.
    fn enter(&mut self, rows: &[u64], at: usize) {
        let place = self.place(rows[at] & !FLAGS, |_| false);
        self.0[place] = at as u32 + 1;
    }

    /// The first place from that of `key` on which is empty or whose row `is_it`. Needs an empty
    /// place.
    #[inline]
    fn place(&self, key: u64, is_it: impl Fn(u32) -> bool) -> usize {
        let capacity = self.0.len();
        let mut at = ((u128::from(key) * capacity as u128) >> 64) as usize;
        while self.0[at] != EMPTY && !is_it(self.0[at]) {
            at += 1;
            if at == capacity {
                at = 0;
            }
        }
        at
    }
}

#[cfg(test)]
#[path = "series_table_tests.rs"]
mod tests;
