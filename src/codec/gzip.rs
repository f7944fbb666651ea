//! Reading gzip (RFC 1952) as it arrives, a piece of input and a piece of output at a time.
//!
//! The header's optional fields are skipped; its checksum, the data's and its length are checked;
//! members that follow one another are read as one stream (RFC 1952 §2.2). Zeros behind the last
//! member are padding, as for gzip(1); anything else there is an error. DEFLATE itself (RFC 1951)
//! is miniz_oxide's. Leaves out writing and what the header says of names and times.
//!
//! Invariants: 43 KiB of memory, allocated with the first byte of data, whatever the input claims;
//! one call does work in proportion to its two slices; after an error every call repeats it.

use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{decompress, DecompressorOxide, TINFL_LZ_DICT_SIZE};
use miniz_oxide::inflate::TINFLStatus;

use super::crc32::crc32;

/// How far back a match may reach (RFC 1951 §2).
const WINDOW_BYTES: usize = TINFL_LZ_DICT_SIZE;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const METHOD_DEFLATE: u8 = 8;

// Header flags, RFC 1952 §2.3.1. Bit 0 (FTEXT) is a hint.
const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// What is wrong with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GzipError {
    /// It does not begin as gzip does.
    NotGzip,
    /// A compression method other than DEFLATE, or flags that are not defined.
    Unsupported,
    /// The header's own checksum is wrong.
    BadHeader,
    /// The compressed data is damaged.
    BadData,
    /// The data does not have the checksum that the trailer announces.
    BadChecksum,
    /// The data does not have the length that the trailer announces.
    BadLength,
    /// Behind the last member comes something that is neither a member nor zeros.
    TrailingGarbage,
    /// The input ended too early.
    Truncated,
}

impl std::fmt::Display for GzipError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            GzipError::NotGzip => "not gzip",
            GzipError::Unsupported => "gzip with an unknown method or flag",
            GzipError::BadHeader => "gzip with a damaged header",
            GzipError::BadData => "gzip with damaged data",
            GzipError::BadChecksum => "gzip with a wrong checksum",
            GzipError::BadLength => "gzip with a wrong length",
            GzipError::TrailingGarbage => "gzip with garbage at its end",
            GzipError::Truncated => "gzip cut short",
        })
    }
}

impl std::error::Error for GzipError {}

/// What one call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes taken from the input.
    pub consumed: usize,
    /// Bytes written to the output.
    pub produced: usize,
    /// The stream may end here: a member is complete and everything in it was handed out.
    pub done: bool,
}

/// What the next byte of input belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The ten bytes each header has; `at` of them are read.
    Fixed {
        at: u8,
    },
    /// The two bytes of the extra field's length.
    ExtraLength {
        at: u8,
        length: u16,
    },
    Extra {
        left: u16,
    },
    /// File name, ended by a zero.
    Name,
    Comment,
    HeaderCrc {
        at: u8,
        crc: u16,
    },
    Data,
    /// CRC-32 and length, little endian.
    Trailer {
        at: u8,
        bytes: u64,
    },
    /// Behind a member: another one, zeros, or nothing.
    Between,
    Padding,
    Failed(GzipError),
}

struct Window {
    core: DecompressorOxide,
    bytes: [u8; WINDOW_BYTES],
    /// How much of it was written to since it was last cleared.
    used: usize,
}

/// A reader for one gzip stream after the other.
pub struct Inflater {
    part: Part,
    /// The header's flags, cleared as their fields are passed.
    flags: u8,
    header_crc: u32,
    data_crc: u32,
    /// Length of the data modulo 2³².
    data_bytes: u32,
    window: Option<Box<Window>>,
    /// Where the next byte goes in the window.
    window_at: usize,
    /// Bytes before `window_at` that were not handed out.
    pending: usize,
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater::new()
    }
}

impl Inflater {
    pub const fn new() -> Inflater {
        Inflater {
            part: Part::Fixed { at: 0 },
            flags: 0,
            header_crc: 0,
            data_crc: 0,
            data_bytes: 0,
            window: None,
            window_at: 0,
            pending: 0,
        }
    }

    /// Makes ready for another stream, keeping the memory.
    pub fn reset(&mut self) {
        *self = Inflater { window: self.window.take(), ..Inflater::new() };
    }

    /// Memory held beside the value itself.
    pub fn bytes(&self) -> usize {
        self.window.as_ref().map_or(0, |_| size_of::<Window>())
    }

    /// Reads from `input` and writes to `output` until one of them is used up.
    pub fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, GzipError> {
        let mut progress = Progress::default();
        loop {
            progress.produced += self.hand_out(&mut output[progress.produced..]);
            if self.pending > 0 {
                break;
            }
            let before = self.part;
            let stepped = self.step(&input[progress.consumed..]);
            let consumed = stepped.inspect_err(|&error| self.part = Part::Failed(error))?;
            progress.consumed += consumed;
            if consumed == 0 && self.pending == 0 && self.part == before {
                break;
            }
        }
        progress.done = self.may_end();
        Ok(progress)
    }

    /// To be asked when the input has ended.
    pub fn finish(&self) -> Result<(), GzipError> {
        match self.part {
            Part::Failed(error) => Err(error),
            _ if self.may_end() => Ok(()),
            _ => Err(GzipError::Truncated),
        }
    }

    fn may_end(&self) -> bool {
        self.pending == 0 && matches!(self.part, Part::Between | Part::Padding)
    }

    /// Copies what waits in the window to the output. A piece never wraps around the window's end:
    /// the decompressor stops there.
    fn hand_out(&mut self, output: &mut [u8]) -> usize {
        let Some(window) = self.window.as_ref().filter(|_| self.pending > 0) else { return 0 };
        let end = if self.window_at == 0 { WINDOW_BYTES } else { self.window_at };
        let waiting = &window.bytes[end - self.pending..end];
        let len = waiting.len().min(output.len());
        output[..len].copy_from_slice(&waiting[..len]);
        self.pending -= len;
        len
    }

    /// Reads on in the part the stream is in; returns how much of `input` it took.
    fn step(&mut self, input: &[u8]) -> Result<usize, GzipError> {
        match self.part {
            Part::Failed(error) => Err(error),
            Part::Data => self.read_data(input),
            Part::Padding if input.iter().all(|&byte| byte == 0) => Ok(input.len()),
            Part::Padding => Err(GzipError::TrailingGarbage),
            part => match input.first() {
                Some(&byte) => self.read_byte(part, byte).map(|()| 1),
                None => Ok(0),
            },
        }
    }

    /// Inflates into the window, up to its end at most.
    fn read_data(&mut self, input: &[u8]) -> Result<usize, GzipError> {
        let window = self.window.get_or_insert_with(|| {
            Box::new(Window { core: DecompressorOxide::new(), bytes: [0; WINDOW_BYTES], used: 0 })
        });
        let start = self.window_at;
        let flags = TINFL_FLAG_HAS_MORE_INPUT;
        let (status, consumed, produced) =
            decompress(&mut window.core, input, &mut window.bytes, start, flags);
        let end = start + produced;
        window.used = window.used.max(end);
        self.data_crc = crc32(self.data_crc, &window.bytes[start..end]);
        // A piece is at most 32 KiB long; the length is counted modulo 2³².
        self.data_bytes = self.data_bytes.wrapping_add(produced as u32);
        self.window_at = end % WINDOW_BYTES;
        self.pending = produced;
        match status {
            TINFLStatus::Done => self.part = Part::Trailer { at: 0, bytes: 0 },
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
            _ => return Err(GzipError::BadData),
        }
        Ok(consumed)
    }

    /// Reads one byte of a header or trailer.
    fn read_byte(&mut self, part: Part, byte: u8) -> Result<(), GzipError> {
        if !matches!(part, Part::HeaderCrc { .. } | Part::Trailer { .. }) {
            self.header_crc = crc32(self.header_crc, &[byte]);
        }
        match part {
            Part::Fixed { at } => self.read_fixed(at, byte)?,
            Part::ExtraLength { at: 0, .. } => {
                self.part = Part::ExtraLength { at: 1, length: byte.into() };
            }
            Part::ExtraLength { length, .. } => self.skip_extra(length | u16::from(byte) << 8),
            Part::Extra { left } => self.skip_extra(left - 1),
            Part::Name | Part::Comment if byte == 0 => self.next_field(),
            Part::HeaderCrc { at: 0, .. } => {
                self.part = Part::HeaderCrc { at: 1, crc: byte.into() };
            }
            Part::HeaderCrc { crc, .. } => {
                if crc | u16::from(byte) << 8 != self.header_crc as u16 {
                    return Err(GzipError::BadHeader);
                }
                self.next_field();
            }
            Part::Trailer { at, bytes } => self.read_trailer(at, bytes, byte)?,
            Part::Between if byte == 0 => self.part = Part::Padding,
            Part::Between if byte == MAGIC[0] => self.part = Part::Fixed { at: 1 },
            Part::Between => return Err(GzipError::TrailingGarbage),
            Part::Name | Part::Comment | Part::Data | Part::Padding | Part::Failed(_) => {}
        }
        Ok(())
    }

    fn read_fixed(&mut self, at: u8, byte: u8) -> Result<(), GzipError> {
        match at {
            0 | 1 if byte != MAGIC[usize::from(at)] => return Err(GzipError::NotGzip),
            2 if byte != METHOD_DEFLATE => return Err(GzipError::Unsupported),
            3 if byte & RESERVED != 0 => return Err(GzipError::Unsupported),
            3 => self.flags = byte,
            _ => {}
        }
        // Behind the flags: the time (4 bytes), a hint at the level, the operating system.
        match at {
            9 => self.next_field(),
            _ => self.part = Part::Fixed { at: at + 1 },
        }
        Ok(())
    }

    fn skip_extra(&mut self, left: u16) {
        match left {
            0 => self.next_field(),
            left => self.part = Part::Extra { left },
        }
    }

    /// Goes on with the next field that the flags announce, else with the data.
    fn next_field(&mut self) {
        let fields = [
            (HAS_EXTRA, Part::ExtraLength { at: 0, length: 0 }),
            (HAS_NAME, Part::Name),
            (HAS_COMMENT, Part::Comment),
            (HAS_HEADER_CRC, Part::HeaderCrc { at: 0, crc: 0 }),
        ];
        match fields.into_iter().find(|(flag, _)| self.flags & flag != 0) {
            Some((flag, part)) => {
                self.flags &= !flag;
                self.part = part;
            }
            None => self.start_data(),
        }
    }

    /// Forgets the member before: a match that reaches beyond this one's start finds zeros, not
    /// another stream's data.
    fn start_data(&mut self) {
        if let Some(window) = &mut self.window {
            window.core.init();
            window.bytes[..window.used].fill(0);
            window.used = 0;
        }
        self.window_at = 0;
        self.data_crc = 0;
        self.data_bytes = 0;
        self.part = Part::Data;
    }

    fn read_trailer(&mut self, at: u8, bytes: u64, byte: u8) -> Result<(), GzipError> {
        let bytes = bytes | u64::from(byte) << (8 * at);
        if at < 7 {
            self.part = Part::Trailer { at: at + 1, bytes };
            return Ok(());
        }
        if bytes as u32 != self.data_crc {
            return Err(GzipError::BadChecksum);
        }
        if (bytes >> 32) as u32 != self.data_bytes {
            return Err(GzipError::BadLength);
        }
        self.part = Part::Between;
        self.header_crc = 0;
        Ok(())
    }
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
mod tests;
