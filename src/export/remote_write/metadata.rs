//! Which families' metadata the destination has been told lately.
//!
//! Metadata go along with the samples of their family: when first seen, when they change, and again
//! after [`RESEND`], because receivers forget. They are not items and not counted.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use crate::model::Family;

/// Receivers keep metadata for ten minutes (Mimir's default retention).
const RESEND: Duration = Duration::from_secs(300);

/// Families remembered, at 32 bytes each. Beyond it metadata of new families are sent each time.
const FAMILIES_MAX: usize = 8192;

#[derive(Default)]
pub struct MetadataSent {
    at: HashMap<u64, Instant, FixedState>,
}

impl MetadataSent {
    /// The family's fingerprint if its metadata are due.
    pub fn due(&self, family: &Family<'_>, now: Instant) -> Option<u64> {
        if family.name.is_empty() {
            return None;
        }
        let key = (family.name, family.metric_type as u8, family.unit, family.help);
        let fingerprint = FixedState::with_seed(0).hash_one(key);
        let fresh = self.at.get(&fingerprint).is_some_and(|at| now.duration_since(*at) < RESEND);
        (!fresh).then_some(fingerprint)
    }

    /// Forgets what the destination was told, since some of it may not have arrived.
    pub fn forget(&mut self) {
        self.at.clear();
    }

    /// Remembers what was published.
    pub fn sent(&mut self, fingerprints: &[u64], now: Instant) {
        for fingerprint in fingerprints {
            if self.at.len() >= FAMILIES_MAX {
                self.at.retain(|_, at| now.duration_since(*at) < RESEND);
            }
            if self.at.len() < FAMILIES_MAX {
                self.at.insert(*fingerprint, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetricType;

    #[test]
    fn told_once_until_changed_or_old() {
        let start = Instant::now();
        let mut sent = MetadataSent::default();
        let family = Family { name: "a", help: "A.", ..Family::default() };
        let fingerprint = sent.due(&family, start).unwrap();
        assert_eq!(sent.due(&family, start), Some(fingerprint));
        sent.sent(&[fingerprint], start);
        assert_eq!(sent.due(&family, start), None);
        let counter = Family { metric_type: MetricType::Counter, ..family };
        assert!(sent.due(&counter, start).is_some());
        assert!(sent.due(&Family { help: "B.", ..family }, start).is_some());
        assert_eq!(sent.due(&family, start + RESEND), Some(fingerprint));
        assert_eq!(sent.due(&Family::default(), start), None);
        sent.forget();
        assert_eq!(sent.due(&family, start), Some(fingerprint));
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut sent = MetadataSent::default();
        let many: Vec<u64> = (0..FAMILIES_MAX as u64 + 100).collect();
        sent.sent(&many, start);
        assert_eq!(sent.at.len(), FAMILIES_MAX);
        sent.sent(&[u64::MAX], start + RESEND);
        assert_eq!(sent.at.len(), 1);
    }
}
