//! Which names would have started the most series, had there been room.
//!
//! The space-saving counter (Metwally et al., 2005): a name that is not among those remembered
//! takes the place, and the count, of the least of them; what is frequent stays.

use crate::observe::log::shorten;

/// Names remembered.
const NAMES_MAX: usize = 32;

/// Names told at a time, and how much of each.
const SHOWN_MAX: usize = 5;
const SHOWN_CHARS_MAX: usize = 60;

#[derive(Debug, Default)]
pub struct Worst {
    names: Vec<(String, u64)>,
    total: u64,
}

impl Worst {
    pub fn note(&mut self, name: &str) {
        self.total += 1;
        if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| known == name) {
            *count += 1;
        } else if self.names.len() < NAMES_MAX {
            self.names.push((name.to_owned(), 1));
        } else if let Some((known, count)) = self.names.iter_mut().min_by_key(|(_, count)| *count) {
            known.clear();
            known.push_str(name);
            *count += 1;
        }
    }

    /// How many lines were noted and the most frequent names, for the log; then forgets them.
    pub fn take(&mut self) -> Option<(u64, String)> {
        if self.total == 0 {
            return None;
        }
        let Worst { mut names, total } = std::mem::take(self);
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let shown = |(name, count): &(String, u64)| {
            format!("{} {count}", shorten(name.as_bytes(), SHOWN_CHARS_MAX))
        };
        let names: Vec<_> = names.iter().take(SHOWN_MAX).map(shown).collect();
        Some((total, names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_stay_however_many_there_are() {
        let mut worst = Worst::default();
        assert_eq!(worst.take(), None);
        for round in 0..10_000 {
            worst.note("often");
            if round % 3 == 0 {
                worst.note("sometimes");
            }
            worst.note(&format!("rare{round}"));
        }
        assert_eq!(worst.names.len(), NAMES_MAX);
        let (total, names) = worst.take().unwrap();
        assert_eq!(total, 10_000 + 3334 + 10_000);
        assert!(names.starts_with("often 10000, sometimes 3"), "{names}");
        assert_eq!(worst.take(), None);
    }
}
