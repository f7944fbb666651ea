//! Segments in progress, held back until they come again with an end, and no longer than a bound.
//!
//! Without this each of them would be two spans with one id, of which OTLP knows no way to say that
//! the second replaces the first. Pure: time comes in as an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Documents held at once; the oldest gives way.
pub const HELD_DOCUMENTS_MAX: usize = 1_000;

/// Bytes of documents held at once; the oldest gives way.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long one is held: longer than most requests take, shorter than anybody watches a trace for.
pub const HELD_AGE_MAX: Duration = Duration::from_secs(30);

/// Which segment it is.
pub type Key = ([u8; 16], [u8; 8]);

/// One document.
pub struct Held {
    pub document: Vec<u8>,
    pub spans: u64,
    key: Key,
    since: Instant,
}

/// The documents, in the order they came.
#[derive(Default)]
pub struct Holding {
    by_number: BTreeMap<u64, Held>,
    numbers: HashMap<Key, u64, foldhash::fast::RandomState>,
    next_number: u64,
    bytes: usize,
}

impl Holding {
    /// Takes a document in; returns the earlier one of the same segment, which it replaces.
    pub fn hold(&mut self, key: Key, document: &[u8], spans: u64, now: Instant) -> Option<Held> {
        let replaced = self.remove(key);
        let held = Held { document: document.to_vec(), spans, key, since: now };
        self.bytes += document.len();
        self.numbers.insert(key, self.next_number);
        self.by_number.insert(self.next_number, held);
        self.next_number += 1;
        replaced
    }

    /// Lets go of the document of a segment.
    pub fn remove(&mut self, key: Key) -> Option<Held> {
        if self.numbers.is_empty() {
            return None;
        }
        let held = self.by_number.remove(&self.numbers.remove(&key)?)?;
        self.bytes -= held.document.len();
        Some(held)
    }

    /// Lets go of the oldest document if it is over a bound, and says of which. `bytes_max` is what
    /// the memory budget leaves.
    pub fn pop_due(&mut self, now: Instant, bytes_max: usize) -> Option<(Held, &'static str)> {
        let (_, oldest) = self.by_number.first_key_value()?;
        let reason = if self.by_number.len() > HELD_DOCUMENTS_MAX {
            "count"
        } else if self.bytes > HELD_BYTES_MAX {
            "bytes"
        } else if self.bytes > bytes_max {
            "memory"
        } else if now.saturating_duration_since(oldest.since) >= HELD_AGE_MAX {
            "age"
        } else {
            return None;
        };
        let key = oldest.key;
        Some((self.remove(key)?, reason))
    }

    /// Lets go of the oldest document.
    pub fn pop(&mut self) -> Option<Held> {
        let key = self.by_number.first_key_value()?.1.key;
        self.remove(key)
    }

    /// When the oldest document is to go.
    pub fn due(&self) -> Option<Instant> {
        Some(self.by_number.first_key_value()?.1.since + HELD_AGE_MAX)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn count(&self) -> usize {
        self.by_number.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        ([1; 16], number.to_be_bytes())
    }

    #[test]
    fn a_segment_that_comes_again_replaces_itself() {
        let (mut holding, now) = (Holding::default(), Instant::now());
        assert!(holding.remove(key(1)).is_none());
        assert!(holding.hold(key(1), b"one", 1, now).is_none());
        assert!(holding.hold(key(2), b"two", 2, now).is_none());
        assert_eq!(holding.hold(key(1), b"again", 3, now).map(|held| held.spans), Some(1));
        assert_eq!(holding.bytes(), 8);
        assert_eq!(holding.remove(key(1)).map(|held| held.document), Some(b"again".to_vec()));
        assert_eq!(holding.pop().map(|held| held.document), Some(b"two".to_vec()));
        assert!(holding.pop().is_none());
        assert_eq!((holding.bytes(), holding.due()), (0, None));
    }

    #[test]
    fn age_is_bounded() {
        let (mut holding, now) = (Holding::default(), Instant::now());
        holding.hold(key(1), b"one", 1, now);
        assert_eq!(holding.due(), Some(now + HELD_AGE_MAX));
        let early = now + HELD_AGE_MAX - Duration::from_millis(1);
        assert!(holding.pop_due(early, usize::MAX).is_none());
        let (_, reason) = holding.pop_due(now + HELD_AGE_MAX, usize::MAX).unwrap();
        assert_eq!(reason, "age");
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let (mut holding, now) = (Holding::default(), Instant::now());
        for number in 0..HELD_DOCUMENTS_MAX as u64 {
            holding.hold(key(number), b"{}", number, now);
        }
        let pop = |holding: &mut Holding, bytes_max| {
            holding.pop_due(now, bytes_max).map(|(held, reason)| (held.key, reason))
        };
        assert_eq!(pop(&mut holding, usize::MAX), None);
        assert_eq!(pop(&mut holding, 2 * HELD_DOCUMENTS_MAX - 1), Some((key(0), "memory")));
        holding.hold(key(u64::MAX), b"{}", 0, now);
        holding.hold(key(u64::MAX - 1), b"{}", 0, now);
        assert_eq!(pop(&mut holding, usize::MAX), Some((key(1), "count")));
        assert_eq!(pop(&mut holding, usize::MAX), None);
        holding.remove(key(2));
        holding.hold(key(1), &vec![b' '; HELD_BYTES_MAX], 0, now);
        assert_eq!(pop(&mut holding, usize::MAX), Some((key(3), "bytes")));
        while pop(&mut holding, usize::MAX).is_some() {}
        assert!(holding.bytes() <= HELD_BYTES_MAX && holding.count() == 1);
    }
}
