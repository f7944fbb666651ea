//! Snappy blocks built piece by piece (Snappy compressed format description, "Raw format").
//!
//! A block is `uvarint(uncompressed length)` followed by elements; encoders work on independent
//! pieces of 64 KiB, so the elements of several pieces concatenate under one new length. That is
//! what [`Compressor::push`] does: compressed data grows while only one piece is ever held plain,
//! and finished blocks can be joined without unpacking.

/// The piece size of the format's reference encoder; larger gains nothing.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Longest length prefix: 2^32 − 1 in groups of seven bits.
pub const PREFIX_BYTES_MAX: usize = 5;

/// Compresses pieces, keeping its table and scratch space between them (about 110 KiB).
pub struct Compressor {
    encoder: snap::raw::Encoder,
    scratch: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor { encoder: snap::raw::Encoder::new(), scratch: Vec::new() }
    }
}

impl Compressor {
    pub fn new() -> Compressor {
        Compressor::default()
    }

    /// Appends the elements of `piece` to `elements`, without a length prefix.
    pub fn push(&mut self, piece: &[u8], elements: &mut Vec<u8>) {
        for piece in piece.chunks(PIECE_BYTES_MAX) {
            self.scratch.resize(snap::raw::max_compress_len(PIECE_BYTES_MAX), 0);
            // Fails only for inputs over 4 GiB or too small a buffer: neither can be here.
            let written = self.encoder.compress(piece, &mut self.scratch).unwrap_or(0);
            let prefix = prefix_bytes(piece.len() as u64);
            elements.extend_from_slice(self.scratch.get(prefix..written).unwrap_or(&[]));
        }
    }
}

/// The length prefix of a block: its bytes and how many of them count.
pub fn prefix(uncompressed_bytes: u64) -> ([u8; PREFIX_BYTES_MAX], usize) {
    let mut bytes = [0; PREFIX_BYTES_MAX];
    let mut rest = uncompressed_bytes;
    let length = prefix_bytes(uncompressed_bytes).min(PREFIX_BYTES_MAX);
    for (at, byte) in bytes[..length].iter_mut().enumerate() {
        let more = if at + 1 < length { 0x80 } else { 0 };
        *byte = (rest & 0x7f) as u8 | more;
        rest >>= 7;
    }
    (bytes, length)
}

fn prefix_bytes(uncompressed_bytes: u64) -> usize {
    (70 - (uncompressed_bytes | 1).leading_zeros() as usize) / 7
}

/// Unpacks a whole block of `uncompressed_bytes` from its elements.
pub fn decompress(elements: &[u8], uncompressed_bytes: u64) -> Result<Vec<u8>, String> {
    let (bytes, length) = prefix(uncompressed_bytes);
    let block = [&bytes[..length], elements].concat();
    snap::raw::Decoder::new().decompress_vec(&block).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_concatenate_to_one_block() {
        let text: Vec<u8> = (0..300_000_u32).map(|at| (at % 251 * (at / 1000)) as u8).collect();
        let mut compressor = Compressor::new();
        for cut in [0, 1, 65_535, 65_536, 65_537, 200_000, 300_000] {
            let mut elements = Vec::new();
            compressor.push(&text[..cut], &mut elements);
            compressor.push(&text[cut..], &mut elements);
            assert_eq!(decompress(&elements, 300_000).unwrap(), text, "{cut}");
            assert!(elements.len() < text.len());
        }
    }

    #[test]
    fn prefixes() {
        let shown = |value| {
            let (bytes, length) = prefix(value);
            bytes[..length].to_vec()
        };
        assert_eq!(shown(0), [0]);
        assert_eq!(shown(127), [0x7f]);
        assert_eq!(shown(64), [0x40]);
        assert_eq!(shown(2_097_150), [0xfe, 0xff, 0x7f]);
        assert_eq!(shown(u64::from(u32::MAX)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn nothing_is_a_block_too() {
        let mut elements = Vec::new();
        Compressor::new().push(&[], &mut elements);
        assert_eq!(elements, []);
        assert_eq!(decompress(&[], 0).unwrap(), []);
        assert!(decompress(&[0xff], 1).is_err());
    }
}
