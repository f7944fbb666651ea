//! Requests on their way into a larger one, compressed piece by piece as they come.
//!
//! The bodies of OTLP requests concatenate (every one has only the repeated field 1), so a batch
//! grows by appending. At most one piece is plain; the rest is a gzip member (RFC 1952) that is
//! still open. Where the pieces of single senders end is remembered, so that a batch that is
//! refused can be sent in the parts it was made of.

use std::time::Instant;

use crate::codec::crc32::crc32;
use crate::codec::deflate_fast::{FastDeflate, END, PIECE_BYTES_MAX};
use crate::codec::gzip::Inflater;
use crate::export::queue::{Block, Piece};

/// A batch of so many plain bytes takes nothing more. Below the 4 MiB that gRPC servers accept by
/// default, and the 5 MB of AWS's OTLP endpoints.
pub const BATCH_RAW_BYTES_MAX: u64 = 1 << 20;

/// The same for items: what OpenTelemetry's Collector sends at once; AWS takes 10,000 spans.
pub const BATCH_ITEMS_MAX: u64 = 8192;

/// Plain buffers kept for later batches.
const SPARE_BUFFERS_MAX: usize = 2;

/// Magic, deflate, no flags, no time, unknown system (RFC 1952 §2.3).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// What a destination keeps for all its batches.
#[derive(Default)]
pub struct Workshop {
    gzip: bool,
    deflate: FastDeflate,
    spare: Vec<Vec<u8>>,
}

impl Workshop {
    pub fn new(gzip: bool) -> Workshop {
        Workshop { gzip, ..Workshop::default() }
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
        self.deflate.trim();
    }
}

/// A block in the making.
#[derive(Debug, Default)]
pub struct Batch {
    /// The gzip member so far.
    packed: Vec<u8>,
    crc: u32,
    /// What is not compressed yet; without compression all there is.
    plain: Vec<u8>,
    raw_bytes: u64,
    /// Of that, what belongs to pieces that have ended.
    ended_bytes: u64,
    pub items: u64,
    pieces: Vec<Piece>,
    /// When its first content came in.
    pub born: Option<Instant>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.raw_bytes == 0
    }

    pub fn held_bytes(&self) -> u64 {
        let pieces_bytes = self.pieces.capacity() * size_of::<Piece>();
        (self.packed.capacity() + self.plain.capacity() + pieces_bytes) as u64
    }

    /// Whether nothing more is taken.
    pub fn is_full(&self) -> bool {
        self.raw_bytes >= BATCH_RAW_BYTES_MAX || self.items >= BATCH_ITEMS_MAX
    }

    /// Whether `other` may be appended: it must fit, and be plain still.
    pub fn has_room(&self, other: &Batch) -> bool {
        other.packed.is_empty() && self.has_room_for(other.raw_bytes, other.items)
    }

    /// Whether so much more fits.
    pub fn has_room_for(&self, raw_bytes: u64, items: u64) -> bool {
        self.raw_bytes + raw_bytes <= BATCH_RAW_BYTES_MAX && self.items + items <= BATCH_ITEMS_MAX
    }

    /// Appends to the piece that is open.
    pub fn push(&mut self, workshop: &mut Workshop, bytes: &[u8]) {
        self.born.get_or_insert_with(Instant::now);
        if self.plain.capacity() == 0 {
            self.plain = workshop.spare.pop().unwrap_or_default();
        }
        self.plain.extend_from_slice(bytes);
        self.raw_bytes += bytes.len() as u64;
        if workshop.gzip && self.plain.len() >= PIECE_BYTES_MAX {
            // Whole pieces only: the odd end starts the next one.
            let whole = self.plain.len() / PIECE_BYTES_MAX * PIECE_BYTES_MAX;
            self.compress(workshop, whole);
        }
    }

    /// Ends the open piece, which has `items`.
    pub fn end_piece(&mut self, items: u64) {
        let raw_bytes = self.raw_bytes - self.ended_bytes;
        self.items += items;
        self.ended_bytes = self.raw_bytes;
        self.pieces.push(Piece {
            raw_bytes: u32::try_from(raw_bytes).unwrap_or(u32::MAX),
            items: u32::try_from(items).unwrap_or(u32::MAX),
        });
    }

    /// Appends `other`, which is newer and for which there is room.
    pub fn append(&mut self, workshop: &mut Workshop, mut other: Batch) {
        self.born = self.born.or(other.born);
        self.items += other.items;
        self.pieces.extend_from_slice(&other.pieces);
        let plain = std::mem::take(&mut other.plain);
        self.push(workshop, &plain);
        self.ended_bytes = self.raw_bytes;
        workshop.give_back(plain);
    }

    /// Compresses the first `bytes` that are plain.
    fn compress(&mut self, workshop: &mut Workshop, bytes: usize) {
        if self.packed.is_empty() {
            self.packed.extend_from_slice(&GZIP_HEADER);
        }
        self.crc = crc32(self.crc, &self.plain[..bytes]);
        workshop.deflate.push(&self.plain[..bytes], &mut self.packed);
        self.plain.drain(..bytes);
    }

    /// Closes the batch; it is empty afterwards.
    pub fn seal(&mut self, workshop: &mut Workshop) -> Block {
        let mut batch = std::mem::take(self);
        let mut body = if workshop.gzip {
            batch.compress(workshop, batch.plain.len());
            workshop.give_back(std::mem::take(&mut batch.plain));
            batch.packed.extend_from_slice(&END);
            batch.packed.extend_from_slice(&batch.crc.to_le_bytes());
            // The length modulo 2³² (RFC 1952 §2.3.1).
            batch.packed.extend_from_slice(&(batch.raw_bytes as u32).to_le_bytes());
            batch.packed
        } else {
            batch.plain
        };
        body.shrink_to_fit();
        batch.pieces.shrink_to_fit();
        Block {
            body,
            raw_bytes: batch.raw_bytes,
            items: batch.items,
            born: batch.born.unwrap_or_else(Instant::now),
            pieces: batch.pieces,
        }
    }

    /// Gives the plain buffer back; what was in it is gone.
    pub fn discard(mut self, workshop: &mut Workshop) {
        workshop.give_back(std::mem::take(&mut self.plain));
    }
}

/// The plain body of a block.
pub fn unpack(block: &Block, gzip: bool) -> Option<Vec<u8>> {
    if !gzip {
        return Some(block.body.clone());
    }
    let mut raw = vec![0; usize::try_from(block.raw_bytes).ok()?];
    let progress = Inflater::new().inflate(&block.body, &mut raw).ok()?;
    (progress.done && progress.produced == raw.len()).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of one piece of `bytes` bytes counting up from `from`.
    fn batch(workshop: &mut Workshop, from: usize, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        let content: Vec<u8> = (from..from + bytes).map(|at| (at / 3) as u8).collect();
        for piece in content.chunks(10_000) {
            batch.push(workshop, piece);
        }
        batch.end_piece(bytes as u64);
        batch
    }

    #[test]
    fn batches_append_in_order_and_are_valid_gzip() {
        for gzip in [true, false] {
            let mut workshop = Workshop::new(gzip);
            for sizes in [[0, 10], [10, 0], [10, 20], [60_000, 10_000], [64_511, 1]] {
                let mut first = batch(&mut workshop, 0, sizes[0]);
                let second = batch(&mut workshop, sizes[0], sizes[1]);
                assert_eq!(first.has_room(&second), sizes[0] + sizes[1] <= 8192);
                first.append(&mut workshop, second);
                let total = sizes[0] + sizes[1];
                let block = first.seal(&mut workshop);
                assert!(first.is_empty() && block.items == total as u64);
                let expected: Vec<u8> = (0..total).map(|at| (at / 3) as u8).collect();
                assert_eq!(unpack(&block, gzip).unwrap(), expected);
                let lengths: Vec<_> = block.pieces.iter().map(|p| p.raw_bytes as usize).collect();
                assert_eq!(lengths, sizes);
            }
            assert!(workshop.spare.len() <= SPARE_BUFFERS_MAX);
        }
    }

    #[test]
    fn what_is_large_goes_alone() {
        let mut workshop = Workshop::new(true);
        let mut large = batch(&mut workshop, 0, 1 << 21);
        assert!(large.held_bytes() < 1 << 19, "{}", large.held_bytes());
        assert!(!Batch::default().has_room(&large));
        let block = large.seal(&mut workshop);
        assert_eq!(unpack(&block, true).unwrap().len(), 1 << 21);
        let cut = Block { raw_bytes: block.raw_bytes - 1, ..block };
        assert!(unpack(&cut, true).is_none());
    }
}
