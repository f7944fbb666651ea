//! Base64 in the standard alphabet (RFC 4648 §4), with or without padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = encode_unpadded(bytes);
    while out.len() % 4 != 0 {
        out.push('=');
    }
    out
}

pub fn encode_unpadded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=group.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
    out
}

/// None for anything else: other characters, a length that cannot be, bits that belong to nothing.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if padding > 2 || (padding > 0 && text.len() % 4 != 0) || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            bits = bits << 6 | group.get(at).map_or(Some(0), |&digit| value(digit))?;
        }
        let bytes = bits.to_be_bytes();
        let (used, unused) = bytes[1..].split_at(group.len() - 1);
        if unused.iter().any(|&byte| byte != 0) {
            return None;
        }
        out.extend_from_slice(used);
    }
    Some(out)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        let ok = |plain: &str, coded: &str| {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()), "{coded}");
            let unpadded = coded.trim_end_matches('=');
            assert_eq!(encode_unpadded(plain.as_bytes()), unpadded);
            assert_eq!(decode(unpadded).as_deref(), Some(plain.as_bytes()), "{unpadded}");
        };
        ok("", "");
        ok("f", "Zg==");
        ok("fo", "Zm8=");
        ok("foo", "Zm9v");
        ok("foob", "Zm9vYg==");
        ok("fooba", "Zm9vYmE=");
        ok("foobar", "Zm9vYmFy");
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn what_is_not_base64() {
        for text in ["Z", "Zg=", "Zg===", "=", "====", "Z===", "Zm9vY", "Zm9*", "Zh", "Zm9", "Zm=v"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
