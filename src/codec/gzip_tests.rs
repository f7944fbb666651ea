//! Tests of the gzip reader. The golden bytes are those of Python's zlib.

use super::super::deflate::Deflate;
use super::*;

const TEXT: &[u8] = b"up 1\nup 1\nup{a=\"b\"} 2\n";
const FIXED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x2d\x50\x30\xe4\x2a\x85\x10\
    \xd5\x89\xb6\x4a\x49\x4a\xb5\x0a\x46\x5c\x00\x83\x83\x39\x12\x16\x00\x00\x00";
const STORED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x16\x00\xe9\xff\x75\x70\x20\
    \x31\x0a\x75\x70\x20\x31\x0a\x75\x70\x7b\x61\x3d\x22\x62\x22\x7d\x20\x32\x0a\x83\x83\x39\x12\
    \x16\x00\x00\x00";
/// FEXTRA, FNAME, FCOMMENT and FHCRC before the same data.
const EVERY_FIELD: &[u8] = b"\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\x03\x06\x00\x41\x42\x02\x00\x78\
    \x79\x6d\x65\x74\x72\x69\x63\x73\x2e\x74\x78\x74\x00\xe9\x00\xbf\x17\x2b\x2d\x50\x30\xe4\x2a\
    \x85\x10\xd5\x89\xb6\x4a\x49\x4a\xb5\x0a\x46\x5c\x00\x83\x83\x39\x12\x16\x00\x00\x00";
/// A block with its own Huffman codes.
const DYNAMIC: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x85\xcc\x89\x0d\xc0\x20\x08\x00\
    \xc0\x59\x89\x35\x22\x46\x2d\x82\x4f\x44\x77\xef\x08\xbd\x01\x0e\xf0\x06\x73\xd3\x5e\x45\xb2\
    \x53\xea\x3d\x39\xcd\xee\x0e\xf9\x12\x99\x1a\xbd\x98\x1d\xee\xdb\x34\xc4\xb5\x28\x8e\xfe\x40\
    \x8e\x52\x57\x33\x35\xdd\x3c\x33\x07\x32\xe0\xe6\xbd\x88\x83\x92\x86\xdc\xe5\x4f\x80\xbf\xf6\
    \x03\x48\x80\xc2\x74\x78\x00\x00\x00";
const DYNAMIC_TEXT: &[u8] =
    b"ah}g{cw{pthj{|no}|mkwuc|jeniqjrjphmchz}rtgixxjivudamisoxr{t{tzqwmqgj{aqreesscankvs}xe|gah}\
      g{cw{pthj{|no}|mkwuc|jeniqjrjp";
const EMPTY: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00";

/// Inflates `pieces` one by one through an output of `room` bytes.
fn read(inflater: &mut Inflater, pieces: &[&[u8]], room: usize) -> Result<Vec<u8>, GzipError> {
    let (mut all, mut output) = (Vec::new(), vec![0; room]);
    let mut done = false;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let progress = inflater.inflate(rest, &mut output)?;
            rest = &rest[progress.consumed..];
            all.extend_from_slice(&output[..progress.produced]);
            done = progress.done;
            if rest.is_empty() && progress.produced < room {
                break;
            }
            assert!(progress.consumed + progress.produced > 0, "no progress");
        }
    }
    inflater.finish()?;
    assert!(done, "finish agrees with the last call");
    Ok(all)
}

fn whole(input: &[u8]) -> Result<Vec<u8>, GzipError> {
    read(&mut Inflater::new(), &[input], 4096)
}

/// `data` as one member.
fn member(data: &[u8]) -> Vec<u8> {
    let mut bytes = EMPTY[..10].to_vec();
    Deflate::new().compress(data, 1, &mut bytes);
    bytes.extend_from_slice(&crc32(0, data).to_le_bytes());
    bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
    bytes
}

fn noise(len: usize, mut state: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    for _ in 0..len {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Few different bytes, so that there are matches and codes of many lengths.
        bytes.push((state >> 60) as u8 * (state >> 58 & 1) as u8 + b'a');
    }
    bytes
}

#[test]
fn what_zlib_wrote_is_read() {
    for (input, expected) in [
        (FIXED, TEXT),
        (STORED, TEXT),
        (EVERY_FIELD, TEXT),
        (DYNAMIC, DYNAMIC_TEXT),
        (EMPTY, b"".as_slice()),
    ] {
        assert_eq!(whole(input).as_deref(), Ok(expected));
    }
}

#[test]
fn members_are_joined_and_zeros_ignored() {
    let joined = [FIXED, EMPTY, EVERY_FIELD, STORED, &[0; 100]].concat();
    assert_eq!(whole(&joined), Ok([TEXT, TEXT, TEXT].concat()));
}

#[test]
fn every_split_gives_the_same() {
    let joined = [FIXED, EVERY_FIELD, DYNAMIC, EMPTY, STORED, &[0; 3]].concat();
    let expected = [TEXT, TEXT, DYNAMIC_TEXT, TEXT].concat();
    let mut inflater = Inflater::new();
    for split in 0..=joined.len() {
        let (first, second) = joined.split_at(split);
        for room in [1, 7, 4096] {
            inflater.reset();
            assert_eq!(
                read(&mut inflater, &[first, second], room),
                Ok(expected.clone()),
                "{split}"
            );
        }
    }
    let bytes: Vec<_> = joined.chunks(1).collect();
    inflater.reset();
    assert_eq!(read(&mut inflater, &bytes, 1), Ok(expected));
}

#[test]
fn data_larger_than_the_window_comes_through() {
    let mut inflater = Inflater::new();
    for (seed, len) in [32_767, 32_768, 32_769, 65_536, 300_000].into_iter().enumerate() {
        let data = noise(len, seed as u64);
        let bytes = member(&data);
        for (piece, room) in [(bytes.len(), 1 << 20), (1, 4096), (977, 1000), (65_536, 32_768)] {
            let pieces: Vec<_> = bytes.chunks(piece).collect();
            inflater.reset();
            assert!(read(&mut inflater, &pieces, room).as_ref() == Ok(&data), "{len} {piece}");
        }
    }
}

#[test]
fn every_shorter_stream_is_truncated() {
    for input in [FIXED, STORED, EVERY_FIELD, DYNAMIC, EMPTY] {
        for end in 0..input.len() {
            assert_eq!(whole(&input[..end]), Err(GzipError::Truncated), "{end}");
        }
    }
}

#[test]
fn damage_has_a_name() {
    let bad = |at: usize, byte: u8, expected: GzipError| {
        let mut input = EVERY_FIELD.to_vec();
        input[at] = byte;
        assert_eq!(whole(&input), Err(expected), "byte {at}");
    };
    bad(0, b'#', GzipError::NotGzip);
    bad(1, b'H', GzipError::NotGzip);
    bad(2, 7, GzipError::Unsupported);
    bad(3, 0x3e, GzipError::Unsupported);
    bad(14, 3, GzipError::BadHeader);
    bad(32, 0xbe, GzipError::BadHeader);
    bad(33, 0x18, GzipError::BadHeader);
    bad(34, 0x2f, GzipError::BadData);
    let end = EVERY_FIELD.len();
    bad(end - 8, 0, GzipError::BadChecksum);
    bad(end - 5, 0, GzipError::BadChecksum);
    bad(end - 4, 0, GzipError::BadLength);
    bad(end - 1, 1, GzipError::BadLength);
    for garbage in [&b"x"[..], b"\0x", b"\0\0\x1f\x8b", b"\n"] {
        assert_eq!(whole(&[FIXED, garbage].concat()), Err(GzipError::TrailingGarbage));
    }
}

#[test]
fn an_error_stays_until_reset() {
    let mut inflater = Inflater::new();
    assert_eq!(inflater.inflate(b"<html>", &mut []), Err(GzipError::NotGzip));
    assert_eq!(inflater.inflate(FIXED, &mut [0; 99]), Err(GzipError::NotGzip));
    assert_eq!(inflater.finish(), Err(GzipError::NotGzip));
    inflater.reset();
    assert_eq!(read(&mut inflater, &[FIXED], 99).as_deref(), Ok(TEXT));
}

#[test]
fn mutated_streams_never_panic() {
    let source = [EVERY_FIELD, DYNAMIC, &member(&noise(3000, 1)), STORED].concat();
    let mut inflater = Inflater::new();
    for seed in 0..3_000_usize {
        let mut input = source.clone();
        for (turn, byte) in noise(1 + seed % 4, seed as u64).into_iter().enumerate() {
            let at = (seed * 7919 + turn * 104_729) % input.len();
            input[at] = input[at].wrapping_add(byte);
        }
        inflater.reset();
        let result = read(&mut inflater, &[&input[..seed % 97], &input[seed % 97..]], 512);
        // Whatever still passes has the lengths and checksums of real data.
        assert!(result.map_or(0, |data| data.len()) < 10_000, "seed {seed}");
    }
}

#[test]
fn a_bomb_streams_in_bounded_memory() {
    let bomb = member(&vec![0; 8 << 20]);
    assert!(bomb.len() < 40_000);
    let (mut inflater, mut output) = (Inflater::new(), [1; 4096]);
    assert_eq!(inflater.bytes(), 0);
    let (mut consumed, mut produced, mut calls) = (0, 0, 0);
    while produced < 8 << 20 {
        let progress = inflater.inflate(&bomb[consumed..], &mut output).unwrap();
        consumed += progress.consumed;
        produced += progress.produced;
        calls += 1;
        assert!(inflater.bytes() <= 44 << 10, "{}", inflater.bytes());
    }
    assert!((2048..2060).contains(&calls));
    assert_eq!(inflater.finish(), Ok(()));
}

/// A match that reaches before the start of its stream must not show what another stream left.
#[test]
fn the_window_holds_nothing_of_an_earlier_stream() {
    // A fixed block: a match of length 3 at distance 3, then the end.
    let before_start = [&EMPTY[..10], b"\x03\x12\x00"].concat();
    let mut inflater = Inflater::new();
    let mut output = [1; 8];
    for _ in 0..2 {
        inflater.reset();
        let progress = inflater.inflate(&before_start, &mut output).unwrap();
        assert_eq!((progress.produced, &output[..3]), (3, &[0, 0, 0][..]));
        inflater.reset();
        read(&mut inflater, &[&member(&noise(100_000, 3))], 4096).unwrap();
    }
}
