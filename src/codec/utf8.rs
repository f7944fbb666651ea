//! Text that claims to be UTF-8 and is not. It does not cost its sender the whole message: SDKs let
//! it through from the applications they are in.

/// Writes `?` over every byte that is not part of valid UTF-8; returns in how many places.
pub fn repair(bytes: &mut [u8]) -> u64 {
    let (mut start, mut places) = (0, 0);
    while let Err(error) = std::str::from_utf8(&bytes[start..]) {
        let bad = start + error.valid_up_to();
        let end = error.error_len().map_or(bytes.len(), |length| bad + length);
        bytes[bad..end].fill(b'?');
        start = end;
        places += 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_bytes_are_replaced_in_place() {
        let ok = |bytes: &[u8], expected: &str, places| {
            let mut text = bytes.to_vec();
            assert_eq!(repair(&mut text), places, "{bytes:?}");
            assert_eq!(String::from_utf8(text).as_deref(), Ok(expected));
        };
        ok(b"", "", 0);
        ok("h\u{e9}".as_bytes(), "h\u{e9}", 0);
        ok(b"a\xffb", "a?b", 1);
        ok(b"\xc3", "?", 1);
        ok(b"\xe2\x82x\xf0\x9f", "??x??", 2);
    }
}
