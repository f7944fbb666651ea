//! CRC-32 as gzip, zip and Ethernet use it (RFC 1952 §8), eight bytes a step through eight tables
//! ("slicing by 8", Kounavis and Berry 2005).

/// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// `TABLES[k][b]` is the checksum of the byte `b` followed by `k` zeros.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut at = 0;
    while at < 8 * 256 {
        let (table, byte) = (at / 256, at % 256);
        tables[table][byte] = if table == 0 {
            shift_byte(byte as u32)
        } else {
            let before = tables[table - 1][byte];
            before >> 8 ^ tables[0][(before & 0xff) as usize]
        };
        at += 1;
    }
    tables
}

const fn shift_byte(mut crc: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
        bit += 1;
    }
    crc
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`; of nothing it is 0.
pub fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = !crc;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let at = |table: usize, byte: u32| TABLES[table][(byte & 0xff) as usize];
        crc = at(7, low) ^ at(6, low >> 8) ^ at(5, low >> 16) ^ at(4, low >> 24);
        crc ^= at(3, chunk[4].into()) ^ at(2, chunk[5].into());
        crc ^= at(1, chunk[6].into()) ^ at(0, chunk[7].into());
    }
    for &byte in chunks.remainder() {
        crc = crc >> 8 ^ TABLES[0][((crc ^ u32::from(byte)) & 0xff) as usize];
    }
    !crc
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
