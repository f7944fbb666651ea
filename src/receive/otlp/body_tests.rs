//! Tests of bodies: limits to the byte, whatever the pieces, and what they hold in the budget.

use super::*;
use crate::codec::crc32::crc32;
use crate::codec::deflate::Deflate;
use crate::net::run;

/// Where every test but those of the budget is at home.
const ROOM_BYTES: u64 = 1 << 30;

/// One gzip member.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    Deflate::new().compress(data, 6, &mut out);
    out.extend_from_slice(&crc32(0, data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out
}

fn read(
    input: &[u8],
    size: usize,
    bytes_max: usize,
    is_gzip: bool,
    declared: Option<u64>,
) -> Result<Vec<u8>, BodyError> {
    let budget = Budget::new(ROOM_BYTES);
    let result = run(async {
        let mut body = Body::new(&budget, bytes_max, is_gzip, declared)?;
        for piece in input.chunks(size) {
            take(&mut body, piece).await?;
            let held = body.bytes.capacity() + body.inflater.as_ref().map_or(0, |i| i.bytes());
            assert!(budget.bytes_used() >= held as u64, "{held} bytes are not accounted for");
        }
        let (bytes, held) = body.finish()?;
        assert!(held.bytes() >= bytes.capacity() as u64);
        Ok(bytes)
    });
    assert_eq!(budget.bytes_used(), 0);
    result
}

/// Text that compresses somewhat.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"http.server.request.duration "[(at * at / 7 + at) % 29]).collect()
}

#[test]
fn exactly_the_limit_passes() {
    for len in [0, 1, 4096, 4097, 65_536, 65_537, 200_000] {
        let data = text(len);
        let packed = gzip(&data);
        for (input, is_gzip) in [(&data, false), (&packed, true)] {
            for size in [1, 1000, 1 << 20] {
                for declared in [None, Some(input.len() as u64)] {
                    let at = |max| read(input, size, max, is_gzip, declared);
                    assert_eq!(at(len).as_deref(), Ok(&data[..]), "{len} {is_gzip} {size}");
                    assert_eq!(at(len + 1).as_deref(), Ok(&data[..]));
                    if len > 0 {
                        assert_eq!(at(len - 1), Err(BodyError::TooLarge), "{len} {is_gzip} {size}");
                    }
                }
            }
        }
    }
}

#[test]
fn data_that_does_not_compress_passes_too() {
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
    let packed = gzip(&noise);
    assert!(packed.len() > noise.len());
    let declared = Some(packed.len() as u64);
    assert_eq!(read(&packed, 999, noise.len(), true, declared).as_deref(), Ok(&noise[..]));
}

#[test]
fn members_are_one_stream_and_nothing_is_nothing() {
    let members = [gzip(b"ab"), gzip(b""), gzip(b"cd")].concat();
    assert_eq!(read(&members, 3, 4, true, None).as_deref(), Ok(&b"abcd"[..]));
    assert_eq!(read(b"", 1, 4, true, Some(0)).as_deref(), Ok(&b""[..]));
}

#[test]
fn bombs_are_noticed_on_the_way() {
    let bomb = gzip(&vec![0; 50 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(read(&bomb, 1 << 20, 1 << 20, true, None), Err(BodyError::TooLarge));
    let empty_members = gzip(b"").repeat(10_000);
    assert_eq!(read(&empty_members, 4096, 1000, true, None), Err(BodyError::TooLarge));
}

#[test]
fn what_is_declared_too_long_is_not_begun() {
    let declared =
        |len, is_gzip| Body::new(&Budget::new(ROOM_BYTES), 1000, is_gzip, Some(len)).err();
    assert_eq!(declared(1000, false), None);
    assert_eq!(declared(1001, false), Some(BodyError::TooLarge));
    assert_eq!(declared(1001, true), None);
    assert_eq!(declared(1 << 20, true), Some(BodyError::TooLarge));
    assert_eq!(declared(u64::MAX, true), Some(BodyError::TooLarge));
}

#[test]
fn damage_is_told_from_the_end() {
    let packed = gzip(b"some text that is long enough");
    for end in 1..packed.len() {
        let result = read(&packed[..end], 7, 1000, true, None);
        assert_eq!(result, Err(BodyError::Gzip(GzipError::Truncated)), "{end}");
    }
    assert_eq!(read(b"plain", 9, 99, true, None), Err(BodyError::Gzip(GzipError::NotGzip)));
}

#[test]
fn the_declared_length_is_held_before_it_is_read() {
    let budget = Budget::new(100_000);
    let first = Body::new(&budget, 1 << 20, false, Some(50_000)).expect("room");
    assert!((50_000..60_000).contains(&budget.bytes_used()), "{}", budget.bytes_used());
    assert_eq!(Body::new(&budget, 1 << 20, false, Some(50_000)).err(), Some(BodyError::NoRoom));
    assert_eq!(Body::new(&budget, 1 << 20, true, Some(10)).err(), Some(BodyError::NoRoom));
    drop(first);
    assert_eq!(budget.bytes_used(), 0);
}

#[test]
fn an_undeclared_body_ends_where_the_room_does() {
    let budget = Budget::new(100_000);
    let (mut input, mut taken) = (&[7; 1000][..], 0);
    let mut body = Body::new(&budget, 1 << 20, false, None).expect("room");
    let fault = loop {
        if let Err(fault) = body.push(&mut input) {
            break fault;
        }
        input = &[7; 1000];
        taken += 1000;
    };
    assert_eq!(fault, BodyError::NoRoom);
    // Two buffers of 32 and 64 KiB do not fit side by side.
    assert!(taken > 30_000, "{taken}");
    assert!(!budget.is_exceeded());
}
