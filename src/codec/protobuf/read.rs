//! Fields of a message, in wire order, borrowed.
//!
//! [`Fields::next`] is for input that nobody has looked at; the iterators are for messages that
//! were validated, and end quietly at whatever they cannot read. quick-protobuf reads the varints
//! that are longer than a byte. Invariant: nothing is read outside the slice given.

use quick_protobuf::BytesReader;

use super::{Error, DEPTH_MAX};

/// Largest field number (protobuf.dev, "Assigning Field Numbers").
const NUMBER_MAX: u64 = (1 << 29) - 1;

/// One field's value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    /// The bytes; empty where the wire type is another.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Wire::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// A string that was validated; empty where it is none.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or("")
    }

    /// The number of a varint or fixed field; 0 for bytes.
    pub fn number(self) -> u64 {
        match self {
            Wire::Varint(value) | Wire::Fixed64(value) => value,
            Wire::Fixed32(value) => u64::from(value),
            Wire::Bytes(_) => 0,
        }
    }

    pub fn double(self) -> f64 {
        f64::from_bits(self.number())
    }

    /// A `sint32`: zigzag (protobuf.dev, "Signed Integers").
    pub fn sint32(self) -> i32 {
        let bits = self.number() as u32;
        (bits >> 1) as i32 ^ -((bits & 1) as i32)
    }
}

/// The fields of one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The bytes that are not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, groups passed over; none at the end of the message.
    #[inline]
    pub fn read(&mut self) -> Result<Option<(u32, Wire<'a>)>, Error> {
        match self.read_short() {
            Some(field) => Ok(Some(field)),
            None => self.read_any(),
        }
    }

    /// Reads what most fields are: a tag of one byte, and a length or a varint of one byte, or a
    /// fixed64. None, and nothing read, for all others; makes the translation a third faster.
    #[inline(always)]
    fn read_short(&mut self) -> Option<(u32, Wire<'a>)> {
        let [tag @ 8..0x80, after @ ..] = self.rest else { return None };
        let (wire, rest) = match (tag & 7, after) {
            (2, [length @ ..0x80, rest @ ..]) => {
                let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
                (Wire::Bytes(bytes), rest)
            }
            (1, _) => {
                let (bytes, rest) = after.split_first_chunk()?;
                (Wire::Fixed64(u64::from_le_bytes(*bytes)), rest)
            }
            (0, [value @ ..0x80, rest @ ..]) => (Wire::Varint(u64::from(*value)), rest),
            _ => return None,
        };
        self.rest = rest;
        Some((u32::from(tag >> 3), wire))
    }

    fn read_any(&mut self) -> Result<Option<(u32, Wire<'a>)>, Error> {
        while !self.rest.is_empty() {
            let (number, wire_type) = self.tag()?;
            if wire_type != 3 {
                return Ok(Some((number, self.value(wire_type)?)));
            }
            self.skip_group(number)?;
        }
        Ok(None)
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Error> {
        let tag = read_varint(&mut self.rest)?;
        let number = tag >> 3;
        if number == 0 || number > NUMBER_MAX {
            return Err(Error::FieldNumber);
        }
        Ok((number as u32, (tag & 7) as u8))
    }

    #[inline]
    fn value(&mut self, wire_type: u8) -> Result<Wire<'a>, Error> {
        Ok(match wire_type {
            0 => Wire::Varint(read_varint(&mut self.rest)?),
            1 => Wire::Fixed64(u64::from_le_bytes(*self.take_array()?)),
            2 => {
                let length = read_varint(&mut self.rest)?;
                if length > self.rest.len() as u64 {
                    return Err(Error::Truncated);
                }
                let (bytes, rest) = self.rest.split_at(length as usize);
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(*self.take_array()?)),
            _ => return Err(Error::WireType),
        })
    }

    #[inline]
    fn take_array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(array)
    }

    /// Passes over what follows the start of a group, up to its end.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), Error> {
        let mut open = [0_u32; DEPTH_MAX as usize];
        open[0] = number;
        let mut depth = 1;
        while depth > 0 {
            if self.rest.is_empty() {
                return Err(Error::Truncated);
            }
            match self.tag()? {
                (_, 3) if depth == open.len() => return Err(Error::Depth),
                (number, 3) => {
                    open[depth] = number;
                    depth += 1;
                }
                (number, 4) if number == open[depth - 1] => depth -= 1,
                (_, wire_type) => self.value(wire_type).map(drop)?,
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Wire<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Wire<'a>)> {
        self.read_short().or_else(|| self.read_any().ok().flatten())
    }
}

/// Takes a varint off the front of `bytes`.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    match bytes.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *bytes = rest;
            Ok(u64::from(byte))
        }
        _ => read_long_varint(bytes),
    }
}

fn read_long_varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut reader = BytesReader::from_bytes(bytes);
    match reader.read_varint64(bytes) {
        Ok(value) => {
            *bytes = &bytes[bytes.len() - reader.len()..];
            Ok(value)
        }
        Err(quick_protobuf::Error::Varint) => Err(Error::Varint),
        Err(_) => Err(Error::Truncated),
    }
}

/// The fields of a submessage that may come in several pieces, which protobuf merges.
#[derive(Clone, Copy, Debug)]
pub struct Nested<'a> {
    outer: Fields<'a>,
    number: u32,
    inner: Fields<'a>,
}

impl<'a> Nested<'a> {
    /// The submessage that is field `number` of `message`.
    pub fn new(message: &'a [u8], number: u32) -> Nested<'a> {
        Nested { outer: Fields::new(message), number, inner: Fields::default() }
    }
}

impl<'a> Iterator for Nested<'a> {
    type Item = (u32, Wire<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Wire<'a>)> {
        loop {
            if let Some(field) = self.inner.next() {
                return Some(field);
            }
            let number = self.number;
            let (_, piece) = self.outer.find(|(found, _)| *found == number)?;
            self.inner = Fields::new(piece.bytes());
        }
    }
}

/// A repeated fixed64 or double, packed, unpacked or both.
#[derive(Clone, Copy, Debug)]
pub struct Fixed64s<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: &'a [u8],
}

impl<'a> Fixed64s<'a> {
    pub fn new(message: &'a [u8], number: u32) -> Fixed64s<'a> {
        Fixed64s { fields: Fields::new(message), number, packed: &[] }
    }
}

impl Iterator for Fixed64s<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some((value, rest)) = self.packed.split_first_chunk() {
                self.packed = rest;
                return Some(u64::from_le_bytes(*value));
            }
            let number = self.number;
            match self.fields.find(|(found, _)| *found == number)?.1 {
                Wire::Bytes(packed) => self.packed = packed,
                single => return Some(single.number()),
            }
        }
    }
}

/// A repeated varint, packed, unpacked or both.
#[derive(Clone, Copy, Debug)]
pub struct Varints<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: &'a [u8],
}

impl<'a> Varints<'a> {
    pub fn new(message: &'a [u8], number: u32) -> Varints<'a> {
        Varints { fields: Fields::new(message), number, packed: &[] }
    }
}

impl Iterator for Varints<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        loop {
            if !self.packed.is_empty() {
                return read_varint(&mut self.packed).ok();
            }
            let number = self.number;
            match self.fields.find(|(found, _)| *found == number)?.1 {
                Wire::Bytes(packed) => self.packed = packed,
                single => return Some(single.number()),
            }
        }
    }
}
