//! Message framing: a flag, a length, the message; wherever the pieces of the body are cut.
//!
//! A unary call has exactly one message. The deframer holds no bytes: it says which of those it is
//! shown are the message's.

/// Flag and length before a message.
pub const PREFIX_BYTES: usize = 5;

/// The prefix of a message of `len` bytes.
// 0 | 0 0 0 7
// ^   ^ length, big endian
// ` 1: compressed as grpc-encoding says
pub fn prefix(is_compressed: bool, len: u32) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = len.to_be_bytes();
    [u8::from(is_compressed), a, b, c, d]
}

/// Why a body is not that of a unary call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The flag is neither 0 nor 1.
    BadFlag(u8),
    /// There is no message.
    Missing,
    /// Something follows the message.
    Second,
    /// The body ends within the message.
    Truncated,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::BadFlag(flag) => write!(out, "compressed flag {flag}"),
            FrameError::Missing => out.write_str("no message in a unary call"),
            FrameError::Second => out.write_str("more than one message in a unary call"),
            FrameError::Truncated => out.write_str("the message is cut short"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A part of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The prefix is complete.
    Begin { is_compressed: bool, len: u32 },
    /// Bytes of the message, at least one.
    Data(&'a [u8]),
}

/// Finds the message in the pieces of a body.
#[derive(Clone, Debug, Default)]
pub struct Deframer {
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    /// Bytes of the message still to come, once the prefix is complete.
    left: u32,
}

impl Deframer {
    /// The next piece of `input`, which is moved past it; None when all of it is used.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, FrameError> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.prefix_len < PREFIX_BYTES {
            return self.read_prefix(input);
        }
        if self.left == 0 {
            return Err(FrameError::Second);
        }
        let len = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (data, rest) = input.split_at(len);
        *input = rest;
        // Not more than what was left.
        self.left -= len as u32;
        Ok(Some(Piece::Data(data)))
    }

    fn read_prefix<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, FrameError> {
        let len = input.len().min(PREFIX_BYTES - self.prefix_len);
        let (part, rest) = input.split_at(len);
        self.prefix[self.prefix_len..self.prefix_len + len].copy_from_slice(part);
        self.prefix_len += len;
        *input = rest;
        let [flag, length @ ..] = self.prefix;
        if flag > 1 {
            return Err(FrameError::BadFlag(flag));
        }
        if self.prefix_len < PREFIX_BYTES {
            return Ok(None);
        }
        self.left = u32::from_be_bytes(length);
        Ok(Some(Piece::Begin { is_compressed: flag == 1, len: self.left }))
    }

    /// To be asked when the body has ended.
    pub fn finish(&self) -> Result<(), FrameError> {
        match (self.prefix_len, self.left) {
            (0, _) => Err(FrameError::Missing),
            (PREFIX_BYTES, 0) => Ok(()),
            _ => Err(FrameError::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flag and message of `body`, cut into pieces of that size.
    fn read(body: &[u8], size: usize) -> Result<(bool, Vec<u8>), FrameError> {
        let (mut deframer, mut flag, mut message) = (Deframer::default(), false, Vec::new());
        for mut piece in body.chunks(size) {
            while let Some(part) = deframer.next(&mut piece)? {
                match part {
                    Piece::Begin { is_compressed, .. } => flag = is_compressed,
                    Piece::Data(data) => {
                        assert!(!data.is_empty());
                        message.extend_from_slice(data);
                    }
                }
            }
            assert!(piece.is_empty());
        }
        deframer.finish().map(|()| (flag, message))
    }

    #[track_caller]
    fn case(body: &[u8], expected: Result<(bool, &[u8]), FrameError>) {
        let expected = expected.map(|(flag, message)| (flag, message.to_vec()));
        for size in 1..=body.len().max(1) {
            assert_eq!(read(body, size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn one_message_however_it_is_cut() {
        case(b"\0\0\0\0\0", Ok((false, b"")));
        case(b"\x01\0\0\0\x03abc", Ok((true, b"abc")));
        let long = [&prefix(false, 1000)[..], &[7; 1000]].concat();
        case(&long, Ok((false, &[7; 1000])));
    }

    #[test]
    fn anything_else_is_refused() {
        case(b"", Err(FrameError::Missing));
        case(b"\x02", Err(FrameError::BadFlag(2)));
        case(b"\xff\0\0\0\0", Err(FrameError::BadFlag(255)));
        case(b"\0\0\0\0\0\0", Err(FrameError::Second));
        case(b"\0\0\0\0\x01ab", Err(FrameError::Second));
        case(b"\0\xff\xff\xff\xffabc", Err(FrameError::Truncated));
        let whole = [&prefix(true, 10)[..], b"0123456789"].concat();
        for end in 1..whole.len() {
            case(&whole[..end], Err(FrameError::Truncated));
        }
    }
}
