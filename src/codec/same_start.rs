//! What two byte strings have in common.

/// How many bytes at their start are the same, compared eight at a time.
#[inline(always)]
pub fn same_start_bytes(one: &[u8], other: &[u8]) -> usize {
    let mut at = 0;
    for (one, other) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        let words = [one, other].map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
        let different = words[0] ^ words[1];
        if different != 0 {
            return at + different.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = one[at..].iter().zip(&other[at..]);
    at + rest.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_starts_are_found_wherever_they_end() {
        let text = b"0123456789abcdef0123456789abcdef";
        for length in 0..text.len() {
            for place in 0..length {
                let mut other = text[..length].to_vec();
                other[place] ^= 1;
                assert_eq!(same_start_bytes(text, &other), place, "{length}");
                assert_eq!(same_start_bytes(&other, text), place, "{length}");
            }
            assert_eq!(same_start_bytes(&text[..length], text), length);
        }
    }
}
