//! Blocks compressed and restored in one shot: raw DEFLATE (RFC 1951) by miniz_oxide.
//!
//! For data this program keeps for itself, of a size it knows; what comes from the network goes
//! through [`Inflater`](super::gzip::Inflater). Leaves out streaming and preset dictionaries.
//!
//! Invariants: a restored block is never larger than the caller allows; the compressor's state,
//! 300 KB, is allocated when first needed, used again for each block, and given back by
//! [`release`](Deflate::release).

use miniz_oxide::deflate::core::{compress, CompressorOxide, TDEFLFlush, TDEFLStatus};
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{decompress, DecompressorOxide};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::DataFormat;

/// The block is damaged or larger than announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBlock;

/// Compressor and decompressor, to be shared by all who keep blocks.
#[derive(Default)]
pub struct Deflate {
    compressor: Option<Box<CompressorOxide>>,
    decompressor: Option<Box<DecompressorOxide>>,
}

impl Deflate {
    pub fn new() -> Deflate {
        Deflate::default()
    }

    /// Appends `input` to `out`, compressed at `level` (1 is fastest, 9 smallest).
    pub fn compress(&mut self, input: &[u8], level: u8, out: &mut Vec<u8>) {
        let compressor = match &mut self.compressor {
            Some(used) => {
                used.reset();
                used
            }
            none => none.insert(Box::new(CompressorOxide::new(0))),
        };
        compressor.set_format_and_level(DataFormat::Raw, level);
        let (mut consumed, mut end) = (0, out.len());
        // Incompressible input grows by a few bytes per 32 KiB: one round is the rule.
        loop {
            out.resize(end + (input.len() - consumed) + (input.len() >> 10) + 64, 0);
            let (status, taken, written) =
                compress(compressor, &input[consumed..], &mut out[end..], TDEFLFlush::Finish);
            consumed += taken;
            end += written;
            if status != TDEFLStatus::Okay {
                break;
            }
        }
        out.truncate(end);
    }

    /// Appends the content of `block` to `out`: at most `bytes_max` bytes, and none on an error.
    pub fn decompress(
        &mut self,
        block: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BadBlock> {
        let decompressor = self.decompressor.get_or_insert_default();
        decompressor.init();
        let start = out.len();
        out.resize(start + bytes_max, 0);
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, _, written) = decompress(decompressor, block, &mut out[start..], 0, flags);
        let is_whole = status == TINFLStatus::Done;
        out.truncate(start + if is_whole { written } else { 0 });
        is_whole.then_some(()).ok_or(BadBlock)
    }

    /// Gives the memory back.
    pub fn release(&mut self) {
        *self = Deflate::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, noise and sizes around the limits of a stored block and of the window.
    fn inputs() -> Vec<Vec<u8>> {
        let mut noise = 1_u32;
        let mut inputs = Vec::new();
        for len in [0, 1, 100, 32_767, 32_768, 65_535, 65_536, 200_000] {
            let line = b"http_requests_total{code=\"200\"} ";
            inputs.push(line.iter().copied().cycle().take(len).collect());
            let bytes = (0..len).map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            });
            inputs.push(bytes.collect());
        }
        inputs
    }

    #[test]
    fn blocks_survive_the_round_trip() {
        let mut deflate = Deflate::new();
        for level in [0, 1, 6, 9] {
            for input in inputs() {
                let mut block = b"kept".to_vec();
                deflate.compress(&input, level, &mut block);
                assert!(block.len() <= input.len() + (input.len() >> 10) + 64, "level {level}");
                let mut output = b"kept".to_vec();
                assert_eq!(deflate.decompress(&block[4..], input.len(), &mut output), Ok(()));
                assert!(output[4..] == input[..] && block.starts_with(b"kept"));
            }
        }
        deflate.release();
    }

    #[test]
    fn a_block_larger_than_announced_is_refused() {
        let (mut deflate, mut block, mut output) = (Deflate::new(), Vec::new(), Vec::new());
        deflate.compress(&[7; 1000], 1, &mut block);
        assert!(block.len() < 50);
        assert_eq!(deflate.decompress(&block, 999, &mut output), Err(BadBlock));
        assert!(output.is_empty());
        assert_eq!(deflate.decompress(&block, 1000, &mut output), Ok(()));
        assert_eq!(output, [7; 1000]);
    }

    #[test]
    fn cut_and_damaged_blocks_are_refused_or_bounded() {
        let (mut deflate, mut block, mut output) = (Deflate::new(), Vec::new(), Vec::new());
        deflate.compress(b"a text of which a text is made", 1, &mut block);
        for end in 0..block.len() {
            assert_eq!(deflate.decompress(&block[..end], 100, &mut output), Err(BadBlock));
        }
        for at in 0..block.len() {
            for bit in 0..8 {
                let mut damaged = block.clone();
                damaged[at] ^= 1 << bit;
                output.clear();
                let _ = deflate.decompress(&damaged, 100, &mut output);
                assert!(output.len() <= 100);
            }
        }
    }
}
