//! Fields appended to a buffer. Who knows a submessage's length writes it in front; who does not
//! lets [`push_message`] put it there afterwards.

/// Appends a base-128 varint.
#[inline]
pub fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Fills `place` with a base-128 varint, which has exactly as many bytes.
pub fn put_varint(place: &mut [u8], value: u64) {
    let mut rest = value;
    for byte in place.iter_mut() {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    if let Some(last) = place.last_mut() {
        *last &= 0x7f;
    }
}

/// Bytes of a base-128 varint.
#[inline]
pub fn varint_bytes(value: u64) -> usize {
    // 64 bits in groups of seven: (bits + 6) / 7, with one group for zero.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// A signed number as `sint32` and `sint64` have it.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub fn push_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    push_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// The head of a length-delimited field whose tag fits a byte.
#[inline]
pub fn push_tag_and_length(out: &mut Vec<u8>, tag: u8, length: usize) {
    if length < 0x80 {
        out.extend_from_slice(&[tag, length as u8]);
    } else {
        out.push(tag);
        push_varint(out, length as u64);
    }
}

#[inline]
pub fn push_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    push_tag(out, number, 0);
    push_varint(out, value);
}

#[inline]
pub fn push_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    push_tag(out, number, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A double, bit by bit: a NaN keeps its payload.
#[inline]
pub fn push_double(out: &mut Vec<u8>, number: u32, value: f64) {
    push_fixed64(out, number, value.to_bits());
}

#[inline]
pub fn push_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    push_tag(out, number, 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A string, bytes, or a submessage that is encoded already.
#[inline]
pub fn push_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_tag(out, number, 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A submessage that `write` appends.
pub fn push_message<R>(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let start = begin_message(out, number);
    let result = write(out);
    end_message(out, start);
    result
}

/// Begins a submessage, to which belongs what is appended until [`end_message`] is told where it
/// began. Its length goes in front afterwards: one byte is kept free, and messages of 128 bytes and
/// more are moved for the others.
pub fn begin_message(out: &mut Vec<u8>, number: u32) -> usize {
    push_tag(out, number, 2);
    out.push(0);
    out.len() - 1
}

/// Ends the innermost submessage.
pub fn end_message(out: &mut Vec<u8>, start: usize) {
    let length = (out.len() - start - 1) as u64;
    let more = varint_bytes(length) - 1;
    if more > 0 {
        let end = out.len();
        out.resize(end + more, 0);
        out.copy_within(start + 1..end, start + 1 + more);
    }
    put_varint(&mut out[start..=start + more], length);
}
