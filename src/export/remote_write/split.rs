//! Halving a request that the receiver finds too large, at a message boundary.

use crate::codec::snappy::{decompress, Compressor};
use crate::export::queue::Block;

/// Field 1 of WriteRequest: one TimeSeries with one sample, as [`super::encode`] writes them.
const TIMESERIES: u8 = 1 << 3 | 2;

/// Splits a block in two of about equal size; None where it holds a single message.
pub fn halve(block: &Block, compressor: &mut Compressor) -> Option<[Block; 2]> {
    let raw = decompress(&block.body, block.raw_bytes).ok()?;
    let (middle, items) = boundary(&raw)?;
    let mut half = |raw: &[u8], items| {
        let mut body = Vec::new();
        compressor.push(raw, &mut body);
        let raw_bytes = raw.len() as u64;
        Block { body, raw_bytes, items, born: block.born, pieces: Vec::new() }
    };
    Some([half(&raw[..middle], items), half(&raw[middle..], block.items - items)])
}

/// Where the message that reaches the middle ends, and the samples before that point.
fn boundary(raw: &[u8]) -> Option<(usize, u64)> {
    let (mut at, mut items) = (0, 0);
    while at < raw.len() {
        if at >= raw.len() / 2 && at > 0 {
            return Some((at, items));
        }
        items += u64::from(raw[at] == TIMESERIES);
        at = message_end(raw, at)?;
    }
    None
}

/// The end of the length-delimited field that starts at `at`.
fn message_end(raw: &[u8], at: usize) -> Option<usize> {
    let (mut length, mut shift, mut at) = (0_usize, 0, at + 1);
    loop {
        let byte = *raw.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte < 0x80 {
            return at.checked_add(length).filter(|end| *end <= raw.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn block(raw: &[u8], items: u64) -> Block {
        let mut body = Vec::new();
        Compressor::new().push(raw, &mut body);
        let raw_bytes = raw.len() as u64;
        Block { body, raw_bytes, items, born: Instant::now(), pieces: Vec::new() }
    }

    #[test]
    fn halves_together_are_the_whole() {
        let long = [b"\x0a\xac\x02".as_slice(), &[7; 300]].concat();
        let raw = [b"\x1a\x02\x08\x01".as_slice(), b"\x0a\x01x", &long, b"\x0a\x00"].concat();
        let [first, second] = halve(&block(&raw, 3), &mut Compressor::new()).unwrap();
        assert_eq!((first.items, second.items), (2, 1));
        let again = [&first, &second].map(|half| decompress(&half.body, half.raw_bytes).unwrap());
        assert_eq!(again.concat(), raw);
        assert_eq!(again[1], b"\x0a\x00");
    }

    #[test]
    fn one_message_or_nonsense_cannot_be_halved() {
        for raw in [
            b"\x0a\x01x".as_slice(),
            b"",
            b"\x0a\x7f",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(halve(&block(raw, 1), &mut Compressor::new()).is_none(), "{raw:?}");
        }
    }
}
