//! Bodies: where framing ends and data begins (RFC 9112 §6 and §7), for requests and responses.
//!
//! The decoder owns no bytes: shown a piece of input, it says how many bytes are framing and how
//! many after them are data. Chunk framing must use CRLF, since readers that disagree about line
//! ends disagree about bodies. Chunk extensions and trailers are skipped, within limits.

use super::head::Framing;

/// Longest chunk size line, with its extensions; a longer one is an error.
pub const CHUNK_LINE_BYTES_MAX: usize = 4096;

/// All trailer lines together; more are an error.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// The next part of the input: `skip` bytes of framing, then `data` bytes of body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub skip: usize,
    pub data: usize,
}

/// Chunked framing that makes no sense; the connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingError(pub &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of data, then the end (identity) or the chunk's line end.
    Data {
        left: u64,
        is_chunk: bool,
    },
    UntilClose,
    /// In the size line; `digits` so far.
    Size {
        value: u64,
        digits: u8,
    },
    /// Blank or extension after the size.
    Extension {
        value: u64,
        len: usize,
    },
    /// After the CR of the size line.
    SizeLf {
        value: u64,
    },
    /// After a chunk's data.
    ChunkCr,
    ChunkLf,
    /// In trailers: bytes so far, and whether this line is empty so far.
    Trailer {
        len: usize,
        is_empty: bool,
    },
    /// After a CR in trailers.
    TrailerLf {
        len: usize,
        is_empty: bool,
    },
    Complete,
}

/// Finds the data in the bytes after a head.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
}

impl BodyDecoder {
    pub fn new(framing: Framing) -> BodyDecoder {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Complete,
            Framing::Length(left) => State::Data { left, is_chunk: false },
            Framing::Chunked => State::Size { value: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        BodyDecoder { state }
    }

    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Whether the connection's end here is the body's end.
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Complete | State::UntilClose)
    }

    /// How many bytes may be read without taking any that belong to what follows the body.
    pub fn want(&self) -> u64 {
        match self.state {
            State::Data { left, is_chunk: false } => left,
            State::Complete => 0,
            _ => u64::MAX,
        }
    }

    /// The next part of `input`. It covers at least one byte unless `input` is empty or the body is
    /// complete, and never more than `input` has; call again with the rest.
    pub fn next(&mut self, input: &[u8]) -> Result<Part, FramingError> {
        let mut part = Part::default();
        while let Some(&byte) = input.get(part.skip) {
            match self.state {
                State::Complete => break,
                State::UntilClose => {
                    part.data = input.len() - part.skip;
                    break;
                }
                State::Data { left, is_chunk } => {
                    part.data = left.min((input.len() - part.skip) as u64) as usize;
                    self.state = after_data(left - part.data as u64, is_chunk);
                    break;
                }
                framing => self.state = after_byte(framing, byte)?,
            }
            part.skip += 1;
        }
        Ok(part)
    }

    /// Moves the data in `buffer` to its start; returns how much it is, and how much of the buffer
    /// was used up, which is less than all of it only when the body is complete.
    pub fn compact(&mut self, buffer: &mut [u8]) -> Result<(usize, usize), FramingError> {
        let (mut kept, mut used) = (0, 0);
        while used < buffer.len() && !self.is_complete() {
            let part = self.next(&buffer[used..])?;
            let start = used + part.skip;
            used = start + part.data;
            buffer.copy_within(start..used, kept);
            kept += part.data;
        }
        Ok((kept, used))
    }
}

fn after_data(left: u64, is_chunk: bool) -> State {
    match (left, is_chunk) {
        (0, false) => State::Complete,
        (0, true) => State::ChunkCr,
        _ => State::Data { left, is_chunk },
    }
}

// 1a;name=value CRLF data CRLF 0 CRLF trailer: value CRLF CRLF
fn after_byte(state: State, byte: u8) -> Result<State, FramingError> {
    Ok(match (state, byte) {
        (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
            // 15 digits are more than any machine holds.
            if digits == 15 {
                return Err(FramingError("chunk size is too large"));
            }
            let digit = char::from(byte).to_digit(16).unwrap_or(0);
            State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
        }
        (State::Size { digits: 0, .. }, _) => return Err(FramingError("chunk size is missing")),
        (State::Size { value, .. } | State::Extension { value, .. }, b'\r') => {
            State::SizeLf { value }
        }
        (State::Size { value, .. }, b';' | b' ' | b'\t') => State::Extension { value, len: 0 },
        (State::Extension { len, .. }, _) if len >= CHUNK_LINE_BYTES_MAX => {
            return Err(FramingError("chunk extension is too long"));
        }
        (State::Extension { .. }, b'\n') => return Err(FramingError("chunk line ends without CR")),
        (State::Extension { value, len }, _) => State::Extension { value, len: len + 1 },
        (State::SizeLf { value: 0 }, b'\n') => State::Trailer { len: 0, is_empty: true },
        (State::SizeLf { value }, b'\n') => State::Data { left: value, is_chunk: true },
        (State::ChunkCr, b'\r') => State::ChunkLf,
        (State::ChunkLf, b'\n') => State::Size { value: 0, digits: 0 },
        (State::Trailer { len, .. }, _) if len >= TRAILER_BYTES_MAX => {
            return Err(FramingError("trailers are too long"));
        }
        (State::Trailer { len, is_empty }, b'\r') => State::TrailerLf { len, is_empty },
        (State::Trailer { .. }, b'\n') => return Err(FramingError("trailer ends without CR")),
        (State::Trailer { len, .. }, _) => State::Trailer { len: len + 1, is_empty: false },
        (State::TrailerLf { is_empty: true, .. }, b'\n') => State::Complete,
        (State::TrailerLf { len, .. }, b'\n') => State::Trailer { len: len + 1, is_empty: true },
        (State::Size { .. }, _) => return Err(FramingError("chunk size is not hexadecimal")),
        _ => return Err(FramingError("chunk does not end where it should")),
    })
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
