//! DEFLATE (RFC 1951) written for speed: greedy matches, fixed codes, 16 KiB of memory.
//!
//! For telemetry on its way out, where the processor's time is dearer than bytes. On spans of
//! 285 bytes it writes 600 MB/s where miniz_oxide's fastest level writes 245, for 3 % more bytes;
//! against level 6 it is fifteen times as fast for 23 % more. Much of a span is random
//! identifiers, which no level makes smaller.
//!
//! Output is a run of blocks that are not final and ends on a byte, so runs concatenate;
//! [`END`] ends the stream. Leaves out lazy matching, codes fitted to the data, and matches between
//! two calls. Invariant: a run is never longer than [`bound`] says.

use super::same_start::same_start_bytes;

/// The final block: stored, empty.
pub const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// Bytes compressed at once: every place in a piece fits 16 bits.
pub const PIECE_BYTES_MAX: usize = 64_512;

/// How far back a match may reach (RFC 1951 §2).
const WINDOW_BYTES: usize = 32 * 1024;
/// A match is looked for by this many bytes; the format knows matches of three, which pay less.
const MATCH_BYTES_MIN: usize = 4;
const MATCH_BYTES_MAX: usize = 258;
/// Bytes at the end of a piece in which no match begins, so that eight can be read at once.
const TAIL_BYTES: usize = 8;

const TABLE_BITS: u32 = 13;
const TABLE_ENTRIES: usize = 1 << TABLE_BITS;

/// After this many misses the search skips bytes, ever more of them, as in data that is compressed
/// already (the same rule as in Snappy's reference encoder).
const MISSES_PER_SKIP_BITS: u32 = 5;

/// An empty stored block's header and lengths, which align the output to a byte.
const STORED_EMPTY: [u8; 4] = [0, 0, 0xff, 0xff];
const STORED_BYTES_MAX: usize = 65_535;

/// A code and its length in bits, ready to be written lowest bit first.
#[derive(Clone, Copy)]
struct Code {
    bits: u32,
    length: u8,
}

/// RFC 1951 §3.2.6: bytes below 144 have eight bits from 00110000, the others nine from 110010000.
static LITERALS: [Code; 256] = {
    let mut codes = [Code { bits: 0, length: 0 }; 256];
    let mut byte = 0;
    while byte < 256 {
        codes[byte] = match byte < 144 {
            true => Code { bits: reversed(0x30 + byte as u32, 8), length: 8 },
            false => Code { bits: reversed(0x190 + (byte as u32 - 144), 9), length: 9 },
        };
        byte += 1;
    }
    codes
};

/// RFC 1951 §3.2.5: the shortest match of each length code from 257, and its extra bits.
const LENGTH_BASES: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Match lengths from three, code and extra bits together.
static LENGTHS: [Code; 256] = {
    let mut codes = [Code { bits: 0, length: 0 }; 256];
    let mut length = 3;
    while length <= MATCH_BYTES_MAX {
        let mut at = LENGTH_BASES.len() - 1;
        while LENGTH_BASES[at] as usize > length {
            at -= 1;
        }
        let symbol = 257 + at as u32;
        let (code, bits) = match symbol < 280 {
            true => (reversed(symbol - 256, 7), 7),
            false => (reversed(0xc0 + (symbol - 280), 8), 8),
        };
        let extra = (length - LENGTH_BASES[at] as usize) as u32;
        codes[length - 3] =
            Code { bits: code | extra << bits, length: bits as u8 + LENGTH_EXTRA_BITS[at] };
        length += 1;
    }
    codes
};

/// Distance codes have five bits each.
static DISTANCES: [u8; 32] = {
    let mut codes = [0; 32];
    let mut code = 0;
    while code < 32 {
        codes[code] = reversed(code as u32, 5) as u8;
        code += 1;
    }
    codes
};

/// Huffman codes are written highest bit first, everything else lowest first.
const fn reversed(code: u32, length: u32) -> u32 {
    code.reverse_bits() >> (32 - length)
}

/// Most bytes that `input_bytes` become.
pub const fn bound(input_bytes: usize) -> usize {
    input_bytes + (input_bytes / PIECE_BYTES_MAX + 1) * 16
}

/// A compressor; keeps its table between calls.
#[derive(Default)]
pub struct FastDeflate {
    /// Where in the piece four bytes of this hash were seen last.
    places: Vec<u16>,
}

impl FastDeflate {
    /// Appends `input`, compressed.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for piece in input.chunks(PIECE_BYTES_MAX) {
            let start = out.len();
            self.push_piece(piece, out);
            if out.len() - start > piece.len() + STORED_EMPTY.len() {
                out.truncate(start);
                push_stored(piece, out);
            }
        }
    }

    /// Gives the memory back.
    pub fn trim(&mut self) {
        self.places = Vec::new();
    }

    fn push_piece(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.places.clear();
        self.places.resize(TABLE_ENTRIES, 0);
        let mut bits = Bits { out, pending: 0, count: 0 };
        bits.put(0b010, 3);
        let end = piece.len().saturating_sub(TAIL_BYTES);
        let (mut at, mut literals_from, mut misses) = (1, 0, 1_u32 << MISSES_PER_SKIP_BITS);
        while at < end {
            let before = self.swap_place(piece, at);
            let distance = at - before;
            let length = match distance <= WINDOW_BYTES {
                true => match_bytes(piece, before, at),
                false => 0,
            };
            if length < MATCH_BYTES_MIN {
                at += (misses >> MISSES_PER_SKIP_BITS) as usize;
                misses += 1;
                continue;
            }
            bits.put_literals(&piece[literals_from..at]);
            bits.put_match(length, distance);
            at += length;
            literals_from = at;
            misses = 1 << MISSES_PER_SKIP_BITS;
            if at < end {
                self.swap_place(piece, at - 1);
            }
        }
        bits.put_literals(&piece[literals_from..]);
        bits.finish();
    }

    /// Remembers the four bytes at `at` and returns where their like was before.
    #[inline(always)]
    fn swap_place(&mut self, piece: &[u8], at: usize) -> usize {
        let hash = word(piece, at).wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
        std::mem::replace(&mut self.places[hash as usize], at as u16).into()
    }
}

/// How many bytes agree at two places, at most what one match can say.
#[inline(always)]
fn match_bytes(piece: &[u8], before: usize, at: usize) -> usize {
    if word(piece, before) != word(piece, at) {
        return 0;
    }
    let max = (piece.len() - at).min(MATCH_BYTES_MAX);
    let rest = |from: usize| &piece[from + MATCH_BYTES_MIN..from + max];
    MATCH_BYTES_MIN + same_start_bytes(rest(before), rest(at))
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Appends a piece as it is: a stored block (RFC 1951 §3.2.4).
fn push_stored(piece: &[u8], out: &mut Vec<u8>) {
    for part in piece.chunks(STORED_BYTES_MAX) {
        let length = part.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

/// Bits on their way out, lowest first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    /// Bits in `pending`; below eight after a flush.
    count: u32,
}

impl Bits<'_> {
    /// At most 56 bits may be put between two flushes.
    #[inline(always)]
    fn put(&mut self, bits: u32, length: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += length;
    }

    #[inline(always)]
    fn put_code(&mut self, code: Code) {
        self.put(code.bits, code.length.into());
    }

    /// Writes the whole bytes: eight at once, of which those that count stay.
    #[inline(always)]
    fn flush(&mut self) {
        let bytes = self.count as usize / 8;
        let end = self.out.len() + bytes;
        self.out.extend_from_slice(&self.pending.to_le_bytes());
        self.out.truncate(end);
        self.pending = self.pending.checked_shr(bytes as u32 * 8).unwrap_or(0);
        self.count %= 8;
    }

    #[inline(always)]
    fn put_literals(&mut self, literals: &[u8]) {
        let mut fours = literals.chunks_exact(4);
        for four in &mut fours {
            for &byte in four {
                self.put_code(LITERALS[byte as usize]);
            }
            self.flush();
        }
        for &byte in fours.remainder() {
            self.put_code(LITERALS[byte as usize]);
        }
        self.flush();
    }

    /// A length code of at most 13 bits and a distance code of at most 18.
    #[inline(always)]
    fn put_match(&mut self, length: usize, distance: usize) {
        self.put_code(LENGTHS[length - 3]);
        let from_one = distance as u32 - 1;
        if from_one < 4 {
            self.put(DISTANCES[from_one as usize].into(), 5);
        } else {
            // Two codes for each power of two; the bits below its second highest are extra.
            let extra_bits = 30 - from_one.leading_zeros();
            let code = 2 * extra_bits + (from_one >> extra_bits);
            self.put(DISTANCES[code as usize].into(), 5);
            self.put(from_one & ((1 << extra_bits) - 1), extra_bits);
        }
        self.flush();
    }

    /// Ends the block and aligns to a byte with an empty stored one.
    fn finish(mut self) {
        self.put(0, 7 + 3);
        self.count = self.count.next_multiple_of(8);
        self.flush();
        self.out.extend_from_slice(&STORED_EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec;

    fn restored(mut stream: Vec<u8>) -> Vec<u8> {
        stream.extend_from_slice(&END);
        decompress_to_vec(&stream).unwrap()
    }

    fn compressed(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        FastDeflate::default().push(input, &mut out);
        assert!(out.len() <= bound(input.len()), "{} from {}", out.len(), input.len());
        out
    }

    fn noise(bytes: usize, seed: u64, values: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..bytes).map(|_| random.u64(0..values) as u8).collect()
    }

    #[test]
    fn golden_bytes() {
        // Too short to shrink: a stored block of one byte.
        assert_eq!(compressed(b"a"), [0, 1, 0, 0xfe, 0xff, b'a']);
        // Bits 010, then 10010001 for 'a', 0001001 and 0 for a match of eleven, 00000 for distance
        // one, 0000000 for the end, 000 and padding for the empty stored block.
        let run = [0x4a, 0x44, 0x02, 0x00, 0x00];
        assert_eq!(compressed(b"aaaaaaaaaaaa"), [&run[..], &STORED_EMPTY].concat());
        assert_eq!(restored(compressed(b"")), b"");
    }

    #[test]
    fn every_match_length_and_distance_survives() {
        for length in 1..=520 {
            for distance in [1, 2, 3, 4, 5, 8, 9, 255, 256, 257, 4096, 16_384, 32_768, 32_769] {
                let mut input = noise(distance, 1, 256);
                for at in 0..length {
                    input.push(input[at]);
                }
                input.extend_from_slice(b"...tail...");
                assert!(restored(compressed(&input)) == input, "{length} at {distance}");
                if distance > 100 && distance < 10_000 {
                    break;
                }
            }
        }
    }

    #[test]
    fn pieces_of_any_size_concatenate() {
        let mut compressor = FastDeflate::default();
        let line: Vec<u8> =
            b"service.name checkout; ".iter().copied().cycle().take(200_000).collect();
        for input in [line, noise(200_000, 2, 4), noise(200_000, 3, 256)] {
            for cut in [0, 1, 7, 8, 9, 100, 64_511, 64_512, 64_513, 129_024, 200_000] {
                let mut out = Vec::new();
                compressor.push(&input[..cut], &mut out);
                compressor.push(&input[cut..], &mut out);
                assert!(restored(out) == input, "{cut}");
            }
        }
        compressor.trim();
    }

    #[test]
    fn text_shrinks_and_noise_hardly_grows() {
        let line: Vec<u8> =
            b"service.name checkout; ".iter().copied().cycle().take(64_000).collect();
        assert!(compressed(&line).len() < 1000);
        let noise = noise(64_000, 4, 256);
        assert!(compressed(&noise).len() < 64_016);
    }

    #[test]
    fn random_mixtures_survive() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut input = Vec::new();
            while input.len() < random.usize(1..3000) {
                let from = random.usize(0..input.len().max(1));
                let copy: Vec<u8> =
                    input.iter().copied().skip(from).take(random.usize(0..400)).collect();
                input.extend_from_slice(&copy);
                input.extend(noise(random.usize(0..20), seed, 256));
            }
            assert!(restored(compressed(&input)) == input, "seed {seed}");
        }
    }
}
