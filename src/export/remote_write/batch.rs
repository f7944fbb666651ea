//! Encoded series on their way into a block: compressed piece by piece as they come.
//!
//! A batch holds at most one piece of 64 KiB plain; the rest is compressed already, so what waits
//! costs about its wire size. Batches append to each other without unpacking.

use std::time::Instant;

use super::series::LastSeries;
use crate::codec::snappy::{Compressor, PIECE_BYTES_MAX};
use crate::export::queue::Block;

/// What the exporter keeps for all its batches: the compressor, and plain buffers to use again.
#[derive(Default)]
pub struct Workshop {
    pub compressor: Compressor,
    spare: Vec<Vec<u8>>,
}

/// Plain buffers kept for later transactions.
const SPARE_BUFFERS_MAX: usize = 2;

impl Workshop {
    /// An empty buffer, used before if possible.
    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > 0 && self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
    }

    /// Frees what is only kept for speed.
    pub fn trim(&mut self) {
        self.spare.clear();
    }
}

/// A block in the making.
#[derive(Debug, Default)]
pub struct Batch {
    /// Snappy elements of the pieces that are full.
    elements: Vec<u8>,
    elements_raw_bytes: u64,
    /// Encoded messages not yet compressed.
    plain: Vec<u8>,
    /// The last series in it.
    last: LastSeries,
    pub items: u64,
    /// When its first content came in.
    pub born: Option<Instant>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.elements.is_empty()
    }

    pub fn held_bytes(&self) -> u64 {
        (self.elements.capacity() + self.plain.capacity()) as u64
    }

    /// Appends what `encode` writes, which is given the last series that stands there.
    pub fn push(
        &mut self,
        workshop: &mut Workshop,
        items: u64,
        encode: impl FnOnce(&mut Vec<u8>, &mut LastSeries),
    ) {
        if self.plain.capacity() == 0 {
            self.plain = workshop.buffer();
        }
        encode(&mut self.plain, &mut self.last);
        self.items += items;
        if self.plain.len() >= PIECE_BYTES_MAX {
            // Whole pieces only: the odd end starts the next one.
            let piece = self.plain.len() / PIECE_BYTES_MAX * PIECE_BYTES_MAX;
            workshop.compressor.push(&self.plain[..piece], &mut self.elements);
            self.plain.drain(..piece);
            self.last.cut(piece);
            self.elements_raw_bytes += piece as u64;
        }
    }

    /// Appends `other`, which is newer.
    pub fn append(&mut self, workshop: &mut Workshop, mut other: Batch) {
        self.born = self.born.or(other.born);
        self.items += other.items;
        if !other.elements.is_empty() {
            self.compress(workshop);
            self.elements.extend_from_slice(&other.elements);
            self.elements_raw_bytes += other.elements_raw_bytes;
        }
        let plain = std::mem::take(&mut other.plain);
        if !plain.is_empty() {
            self.push(workshop, 0, |out, _| out.extend_from_slice(&plain));
        }
        workshop.give_back(plain);
    }

    /// Compresses what is still plain.
    fn compress(&mut self, workshop: &mut Workshop) {
        self.elements_raw_bytes += self.plain.len() as u64;
        workshop.compressor.push(&self.plain, &mut self.elements);
        self.plain.clear();
        self.last.forget();
    }

    /// Closes the batch; it is empty afterwards.
    pub fn seal(&mut self, workshop: &mut Workshop, now: Instant) -> Block {
        let mut batch = std::mem::take(self);
        batch.compress(workshop);
        workshop.give_back(std::mem::take(&mut batch.plain));
        let mut body = batch.elements;
        body.shrink_to_fit();
        Block {
            body,
            raw_bytes: batch.elements_raw_bytes,
            items: batch.items,
            born: batch.born.unwrap_or(now),
            pieces: Vec::new(),
        }
    }

    /// Gives the plain buffer back; what was in it is gone.
    pub fn discard(mut self, workshop: &mut Workshop) {
        workshop.give_back(std::mem::take(&mut self.plain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::snappy::decompress;

    /// A batch of `bytes` bytes counting up from `from`.
    fn batch(workshop: &mut Workshop, from: usize, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        for at in 0..bytes {
            batch.push(workshop, 1, |out, _| out.push((from + at) as u8));
        }
        batch
    }

    #[test]
    fn batches_append_in_order_whatever_their_size() {
        let mut workshop = Workshop::default();
        for sizes in [[0, 10], [10, 0], [10, 20], [70_000, 10], [10, 70_000], [140_000, 140_001]] {
            let mut first = batch(&mut workshop, 0, sizes[0]);
            let second = batch(&mut workshop, sizes[0], sizes[1]);
            first.append(&mut workshop, second);
            assert!(first.plain.len() < PIECE_BYTES_MAX);
            let total = sizes[0] + sizes[1];
            let block = first.seal(&mut workshop, Instant::now());
            assert!(first.is_empty() && block.items == total as u64);
            let expected: Vec<u8> = (0..total).map(|at| at as u8).collect();
            assert_eq!(decompress(&block.body, block.raw_bytes).unwrap(), expected);
        }
        assert!(workshop.spare.len() <= SPARE_BUFFERS_MAX);
    }

    #[test]
    fn what_is_held_is_about_wire_size() {
        let mut workshop = Workshop::default();
        let batch = batch(&mut workshop, 0, 1_000_000);
        assert!(batch.held_bytes() < 64 * 1024 * 4, "{}", batch.held_bytes());
    }
}
