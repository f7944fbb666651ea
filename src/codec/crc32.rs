//! CRC-32 as gzip, zip and Ethernet use it (RFC 1952 §8), by crc32fast: carry-less multiplication
//! where the processor has it, tables elsewhere.

use crc32fast::Hasher;

/// The checksum of what `crc` is the checksum of, followed by `bytes`; of nothing it is 0.
pub fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(crc32(0, b""), 0);
        assert_eq!(crc32(0, b"a"), 0xe8b7_be43);
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(0, b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn pieces_add_up() {
        let bytes: Vec<u8> = (0..100).collect();
        for split in 0..=bytes.len() {
            let (first, second) = bytes.split_at(split);
            assert_eq!(crc32(crc32(0, first), second), crc32(0, &bytes));
        }
    }
}
