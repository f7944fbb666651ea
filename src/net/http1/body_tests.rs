//! Tests of body framing.

use super::*;

/// Decodes `input` in pieces of `size`; the body, and what was left over.
fn decode(framing: Framing, input: &[u8], size: usize) -> Result<(String, usize, bool), String> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut body, mut total) = (Vec::new(), 0);
    for piece in input.chunks(size) {
        let mut buffer = piece.to_vec();
        let (kept, used) = decoder.compact(&mut buffer).map_err(|error| error.0.to_owned())?;
        body.extend_from_slice(&buffer[..kept]);
        total += used;
        assert!(used == piece.len() || decoder.is_complete(), "no progress");
    }
    let body = String::from_utf8(body).expect("text");
    Ok((body, input.len() - total, decoder.is_complete()))
}

fn ok(framing: Framing, input: &str, body: &str, left: usize, is_complete: bool) {
    for size in 1..=input.len().max(1) {
        let expected = Ok((body.to_owned(), left, is_complete));
        assert_eq!(decode(framing, input.as_bytes(), size), expected, "{input:?} by {size}");
    }
}

fn bad(input: &str, reason: &str) {
    for size in [1, 2, 3, input.len()] {
        let error = decode(Framing::Chunked, input.as_bytes(), size).expect_err(input);
        assert!(error.contains(reason), "{input:?}: {error}");
    }
}

#[test]
fn identity() {
    ok(Framing::Empty, "abc", "", 3, true);
    ok(Framing::Length(0), "abc", "", 3, true);
    ok(Framing::Length(3), "abcdef", "abc", 3, true);
    ok(Framing::Length(4), "abc", "abc", 0, false);
    ok(Framing::UntilClose, "abc", "abc", 0, false);
    ok(Framing::Length(u64::MAX), "abc", "abc", 0, false);
}

#[test]
fn chunked() {
    let ok = |input: &str, body: &str, left: usize| ok(Framing::Chunked, input, body, left, true);
    ok("0\r\n\r\n", "", 0);
    ok("3\r\nabc\r\n0\r\n\r\n", "abc", 0);
    ok("3\r\nabc\r\n00002\r\nde\r\n000\r\n\r\nGET", "abcde", 3);
    ok("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0);
    ok("3;x\r\nabc\r\n0;y=\"z\"\r\n\r\n", "abc", 0);
    ok("3 \t\r\nabc\r\n0 ; a\r\n\r\n", "abc", 0);
    ok("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0);
    ok("1\r\na\r\n0\r\nX-Sum: 1\r\ny: z\r\n\r\n", "a", 0);
}

#[test]
fn bad_chunks() {
    bad("\r\n", "missing");
    bad(" 3\r\nabc", "missing");
    bad("-1\r\n", "missing");
    bad(";x\r\n", "missing");
    bad("3x\r\nabc", "not hexadecimal");
    bad("0x3\r\nabc", "not hexadecimal");
    bad("3\nabc", "not hexadecimal");
    bad("3;x\nabc", "without CR");
    bad("3\rabc", "does not end");
    bad("3\r\nabcd\r\n", "does not end");
    bad("3\r\nabc\n", "does not end");
    bad("1000000000000000\r\n", "too large");
    bad("0\r\nx: y\n\r\n", "without CR");
    bad("0\r\nx\ry\r\n", "does not end");
    bad(&format!("1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX + 1)), "extension is too long");
    bad(&format!("0\r\n{}", "x: y\r\n".repeat(TRAILER_BYTES_MAX / 5 + 1)), "trailers are too long");
}

#[test]
fn every_prefix_waits_for_more() {
    let whole = b"3;x=y\r\nabc\r\n1f\r\n0123456789012345678901234567890\r\n0\r\nx: y\r\n\r\n";
    for len in 0..whole.len() {
        let (body, left, is_complete) = decode(Framing::Chunked, &whole[..len], 7).expect("prefix");
        assert!(body.len() <= 34 && left == 0 && !is_complete, "{len}");
    }
}

#[test]
fn random_bytes_neither_panic_nor_stop() {
    let mut state = 0x9e37_79b9_u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for round in 0..20_000 {
        let alphabet = b"0123aF\r\n\r\n;x ";
        let input: Vec<u8> = (0..random() % 40).map(|_| alphabet[random() % 13]).collect();
        let size = random() % 8 + 1;
        let split = decode(Framing::Chunked, &input, size);
        let whole = decode(Framing::Chunked, &input, 64);
        assert_eq!(split, whole, "round {round}: {input:?} by {size}");
    }
}
