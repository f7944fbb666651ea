//! What a label set has in common with the one before it.
//!
//! Neighbours on a page differ in a label or two. Whoever reads them knows in which; who hashes or
//! encodes them then needs to look at nothing else.

use std::iter;
use std::ops::{BitOr, BitOrAssign};

/// The places in a label set whose values may differ from those of the set before it. Both have the
/// same names in the same order, and everywhere else the same values; only [`Changes::ALL`] says
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u64);

impl Changes {
    pub const NONE: Changes = Changes(0);
    pub const ALL: Changes = Changes(u64::MAX);

    /// Adds a place; it becomes [`Changes::ALL`] with the 64th or one behind it.
    #[inline]
    pub fn add(&mut self, place: usize) {
        self.0 |= if place < 63 { 1 << place } else { u64::MAX };
    }

    #[inline]
    pub fn is_all(self) -> bool {
        self == Changes::ALL
    }

    #[inline]
    pub fn has(self, place: usize) -> bool {
        self.0 >> place.min(63) & 1 == 1
    }

    /// The places in their order; those of [`Changes::ALL`] mean nothing.
    #[inline]
    pub fn places(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        iter::from_fn(move || {
            let place = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (place < 64).then_some(place)
        })
    }
}

impl BitOr for Changes {
    type Output = Changes;

    #[inline]
    fn bitor(self, other: Changes) -> Changes {
        Changes(self.0 | other.0)
    }
}

impl BitOrAssign for Changes {
    #[inline]
    fn bitor_assign(&mut self, other: Changes) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_in_order() {
        let mut changes = Changes::NONE;
        for place in [62, 0, 7, 7] {
            changes.add(place);
        }
        assert_eq!(changes.places().collect::<Vec<_>>(), [0, 7, 62]);
        assert!(changes.has(62) && !changes.has(61) && !changes.has(63) && !changes.has(500));
        assert!(!changes.is_all() && Changes::NONE.places().next().is_none());
        let mut others = Changes::NONE;
        others.add(3);
        assert_eq!((changes | others).places().collect::<Vec<_>>(), [0, 3, 7, 62]);
        (0..63).for_each(|place| others.add(place));
        assert!(!others.is_all());
    }

    #[test]
    fn places_beyond_the_last_bit_are_all() {
        for place in [63, 64, 500] {
            let mut changes = Changes::NONE;
            changes.add(place);
            assert!(changes.has(place) && changes.is_all() && (changes | Changes::NONE).is_all());
        }
    }
}
