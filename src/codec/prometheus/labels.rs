//! The labels of a sample line, read with the line before it at hand.
//!
//! Neighbours on a page are alike: the buckets of a histogram differ in `le`, the series of a
//! counter in a value or two. What a line has in common with the last one is compared eight bytes
//! at a time instead of being read again: labels that end in there stay, and where only a value
//! differs both lines are compared anew behind it. Which ones differed is known then for free.
//!
//! Invariant: the result is the one that reading the line from its start would give.

use std::mem;

use super::scan::Cursor;
use super::series::{is_taken, name_bit, LABELS_MAX, NOT_UNIQUE};
use super::Stop;
use crate::codec::same_start::same_start_bytes;
use crate::model::{recycle, Changes, Label, NAME_LABEL};

/// The last line is kept up to this many bytes behind its labels, so that all of them are compared
/// by eights.
const BEYOND_BYTES: usize = 8;

/// The labels of the line at hand, and behind them those of the last line not overwritten yet.
#[derive(Default)]
pub(super) struct Labels<'w> {
    list: Vec<Label<'w>>,
    /// Where the value of each one ends, its quote included, from the start of its line.
    ends: Vec<usize>,
    /// How many are of the line at hand.
    count: usize,
    /// Where the line at hand starts in the window.
    start: usize,
    /// How the line at hand differs from the last one so far: place 0 is the metric name, 1 the
    /// first label. All where there is no last line, and where names differ.
    changes: Changes,
    /// The [`name_bit`]s of the line at hand, once they are needed.
    seen: Option<u64>,
    /// The last line, up to a little behind its labels; empty before a window's first.
    last: &'w [u8],
    /// Its metric name, and where its labels begin; 0 where nothing can be taken over.
    name: &'w str,
    head_bytes: usize,
}

impl<'w> Labels<'w> {
    /// Empties it for another window; the buffers are kept.
    pub fn recycle<'b>(self) -> Labels<'b> {
        let (list, mut ends) = (recycle(self.list), self.ends);
        ends.clear();
        Labels { list, ends, ..Labels::default() }
    }

    /// Those of the line at hand.
    #[inline]
    pub fn list(&self) -> &[Label<'w>] {
        &self.list[..self.count]
    }

    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where the labels of the last line begin.
    #[inline]
    pub fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    /// Starts a line at the cursor, and takes over nothing.
    #[inline]
    pub fn begin(&mut self, cursor: &Cursor<'w>) {
        self.start = cursor.at;
        self.count = 0;
        self.changes = if self.last.is_empty() { Changes::ALL } else { Changes::NONE };
        self.changes.add(0);
        self.seen = None;
    }

    /// Goes past the metric name and the brace if the last line starts with them too, and follows
    /// it. Returns the name; none, and nothing read, if not even that is common.
    #[inline]
    pub fn resume<const STRICT: bool>(
        &mut self,
        cursor: &mut Cursor<'w>,
        escaped: &mut bool,
    ) -> Result<Option<&'w str>, Stop> {
        let same_to = same_start_bytes(self.last, cursor.rest());
        if self.head_bytes == 0 || same_to < self.head_bytes {
            return Ok(None);
        }
        cursor.at += self.head_bytes;
        self.changes = Changes::NONE;
        self.follow::<STRICT>(cursor, same_to, escaped)?;
        Ok(Some(self.name))
    }

    /// Follows the last line from its first label on, the cursor behind another name and brace.
    pub fn join<const STRICT: bool>(
        &mut self,
        cursor: &mut Cursor<'w>,
        escaped: &mut bool,
    ) -> Result<(), Stop> {
        let labels = self.last.get(self.head_bytes..).unwrap_or_default();
        if self.head_bytes == 0 || labels.is_empty() {
            return Ok(());
        }
        let same_to = self.head_bytes + same_start_bytes(labels, cursor.rest());
        self.follow::<STRICT>(cursor, same_to, escaped)
    }

    /// Reads each label whose name stands where the last line has it, and the same texts before it.
    /// Both lines are at their first label, and the same up to `same_to` of the last one.
    #[inline]
    fn follow<const STRICT: bool>(
        &mut self,
        cursor: &mut Cursor<'w>,
        mut same_to: usize,
        escaped: &mut bool,
    ) -> Result<(), Stop> {
        // Up to where the last line has been followed.
        let mut from = self.head_bytes;
        loop {
            let shift = (cursor.at - self.start).wrapping_sub(from);
            while let Some(end) = self.ends.get_mut(self.count).filter(|end| **end <= same_to) {
                from = *end;
                *end = from.wrapping_add(shift);
                self.count += 1;
            }
            cursor.at = self.start + from.wrapping_add(shift);
            let place = self.list.get_mut(self.count).zip(self.ends.get_mut(self.count));
            let Some((label, end)) = place else { break };
            // No value of the last line holds escapes, or it would not be followed.
            let quote = *end - label.value.len() - 2;
            if same_to <= quote {
                break;
            }
            cursor.at = self.start + quote.wrapping_add(shift);
            let value = cursor.take_quoted::<STRICT>()?;
            *escaped |= value.escaped;
            label.value = value.text;
            from = mem::replace(end, cursor.at - self.start);
            self.count += 1;
            self.changes.add(self.count);
            if self.count == self.ends.len() {
                break;
            }
            let rest = self.last.get(from..).unwrap_or_default();
            same_to = from + same_start_bytes(rest, cursor.rest());
        }
        Ok(())
    }

    /// Adds a label whose value ends at `end` of the window.
    pub fn add(&mut self, label: Label<'w>, end: usize) -> Result<(), &'static str> {
        let last = self.list.get(self.count).filter(|_| !self.changes.is_all());
        if last.is_none_or(|last| last.name != label.name) {
            return self.add_other(label, end - self.start);
        }
        // Its names are unique, or that line would have been refused.
        let place = self.list.get_mut(self.count).zip(self.ends.get_mut(self.count));
        if let Some((last, its_end)) = place {
            (*last, *its_end) = (label, end - self.start);
            self.count += 1;
            self.changes.add(self.count);
        }
        Ok(())
    }

    /// Adds a label of which the last line says nothing.
    fn add_other(&mut self, label: Label<'w>, end: usize) -> Result<(), &'static str> {
        self.changes = Changes::ALL;
        self.list.truncate(self.count);
        self.ends.truncate(self.count);
        let bits = |seen, label: &Label<'_>| seen | name_bit(label.name);
        let seen = self.seen.unwrap_or_else(|| self.list.iter().fold(name_bit(NAME_LABEL), bits));
        let bit = name_bit(label.name);
        if seen & bit != 0 && is_taken(&self.list, label.name) {
            return Err(NOT_UNIQUE);
        }
        if self.count == LABELS_MAX {
            return Err("too many labels");
        }
        self.seen = Some(seen | bit);
        self.list.push(label);
        self.ends.push(end);
        self.count += 1;
        Ok(())
    }

    /// Ends the labels of a line, the cursor behind them. `head_bytes` lead to the first one; 0
    /// where the next line is not to take anything over. Returns how the line differs from the
    /// last one.
    #[inline]
    pub fn end(&mut self, cursor: &Cursor<'w>, name: &'w str, head_bytes: usize) -> Changes {
        if self.count < self.list.len() {
            self.changes = Changes::ALL;
        }
        self.list.truncate(self.count);
        self.ends.truncate(self.count);
        self.last = cursor.slice(self.start, cursor.at + BEYOND_BYTES);
        self.name = name;
        self.head_bytes = head_bytes;
        self.changes
    }
}
