//! Framing: good and bad messages, truncation, noise, and what the writer makes of numbers.

use super::*;

fn read(message: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, Error> {
    let mut fields = Fields::new(message);
    let mut found = Vec::new();
    while let Some(field) = fields.read()? {
        found.push(field);
    }
    Ok(found)
}

#[test]
fn good_messages() {
    let ok = |message: &[u8], expected: &[(u32, Wire)]| {
        assert_eq!(read(message).as_deref(), Ok(expected), "{message:x?}");
    };
    ok(b"", &[]);
    // The examples of protobuf.dev, "Encoding".
    ok(b"\x08\x96\x01", &[(1, Wire::Varint(150))]);
    ok(b"\x12\x07testing", &[(2, Wire::Bytes(b"testing"))]);
    ok(b"\x09\x01\0\0\0\0\0\0\0", &[(1, Wire::Fixed64(1))]);
    ok(b"\x15\x02\0\0\0", &[(2, Wire::Fixed32(2))]);
    ok(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &[(1, Wire::Varint(u64::MAX))]);
    ok(b"\xf8\xff\xff\xff\x0f\x00", &[((1 << 29) - 1, Wire::Varint(0))]);
    // Groups are passed over, also inside one another.
    ok(b"\x0b\x10\x01\x0c\x18\x05", &[(3, Wire::Varint(5))]);
    ok(b"\x0b\x13\x0b\x1a\x02\x0c\x0c\x0c\x14\x0c", &[]);
}

#[test]
fn bad_messages() {
    let bad = |message: &[u8], error| assert_eq!(read(message), Err(error), "{message:x?}");
    bad(b"\x08", Error::Truncated);
    bad(b"\x08\x80", Error::Truncated);
    bad(b"\x12\x02x", Error::Truncated);
    bad(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", Error::Truncated);
    bad(b"\x09\0\0\0\0\0\0\0", Error::Truncated);
    bad(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Error::Varint);
    bad(b"\x00\x00", Error::FieldNumber);
    bad(b"\x80\x80\x80\x80\x10\x00", Error::FieldNumber);
    bad(b"\x0e", Error::WireType);
    bad(b"\x0f", Error::WireType);
    bad(b"\x0c", Error::WireType);
    bad(b"\x0b", Error::Truncated);
    bad(b"\x0b\x14", Error::WireType);
    bad(&[0x0b; 65], Error::Depth);
    bad(&[0x0b; 64], Error::Truncated);
}

#[test]
fn every_prefix_and_any_noise_ends() {
    let message =
        b"\x08\x96\x01\x12\x07testing\x09\x01\0\0\0\0\0\0\0\x15\x02\0\0\0\x0b\x10\x01\x0c";
    for end in 0..message.len() {
        let _ = read(&message[..end]);
        assert!(Fields::new(&message[..end]).count() <= 4);
    }
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let noise: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
        let _ = read(&noise);
        Nested::new(&noise, 1).for_each(drop);
        assert!(Varints::new(&noise, 1).count() <= noise.len(), "seed {seed}");
        assert!(Fixed64s::new(&noise, 1).count() <= noise.len(), "seed {seed}");
    }
}

#[test]
fn pieces_merge_and_packed_is_optional() {
    let message = b"\x0a\x02\x08\x01\x10\x07\x0a\x00\x0a\x02\x08\x02";
    let inner: Vec<_> = Nested::new(message, 1).collect();
    assert_eq!(inner, [(1, Wire::Varint(1)), (1, Wire::Varint(2))]);
    let varints = b"\x0a\x03\x01\x96\x01\x08\x07";
    assert_eq!(Varints::new(varints, 1).collect::<Vec<_>>(), [1, 150, 7]);
    let fixed = b"\x09\x07\0\0\0\0\0\0\0\x0a\x08\x01\0\0\0\0\0\0\0";
    assert_eq!(Fixed64s::new(fixed, 1).collect::<Vec<_>>(), [7, 1]);
}

#[test]
fn signed_numbers() {
    for (value, bits) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::from(i32::MAX), 0xffff_fffe)] {
        assert_eq!(zigzag(value), bits);
        assert_eq!(i64::from(Wire::Varint(bits).sint32()), value);
    }
    assert_eq!(zigzag(i64::MIN), u64::MAX);
}

#[test]
fn varint_sizes() {
    for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut out = Vec::new();
        push_varint(&mut out, value);
        assert_eq!(out.len(), varint_bytes(value), "{value}");
        assert_eq!(read_varint(&mut out.as_slice()), Ok(value));
    }
}

#[test]
fn lengths_go_in_front() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
        let mut out = vec![7];
        push_message(&mut out, 20, |out| out.resize(out.len() + length, 9));
        let mut expected = vec![7];
        push_bytes(&mut expected, 20, &vec![9; length]);
        assert!(out == expected, "{length}");
    }
}
