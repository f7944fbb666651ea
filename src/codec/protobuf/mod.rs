//! Protocol Buffers (protobuf.dev, "Encoding"): framing with every length checked, and a writer.
//!
//! A message is a slice; a child is a slice of it, so no child can end after its parent. Lengths
//! are 64 bits wide until they are compared. Left out: descriptors, owned messages, maps. Groups,
//! which proto3 does not have, are skipped and never read.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{read_varint, Fields, Fixed64s, Nested, Varints, Wire};
pub use write::{
    begin_message, end_message, push_bytes, push_double, push_fixed32, push_fixed64, push_message,
    push_tag, push_tag_and_length, push_varint, push_varint_field, put_varint, varint_bytes,
    zigzag,
};

/// Most messages inside one another; what nests deeper is refused.
pub const DEPTH_MAX: u32 = 64;

/// What is wrong with a message's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end inside a field.
    Truncated,
    /// A varint has more than ten bytes.
    Varint,
    /// A tag with field number 0, or one beyond 2²⁹ − 1.
    FieldNumber,
    /// Wire type 6 or 7, or the end of a group that never began.
    WireType,
    /// More than [`DEPTH_MAX`] messages or groups inside one another.
    Depth,
}

impl Error {
    pub fn reason(self) -> &'static str {
        match self {
            Error::Truncated => "a field reaches past the end of its message",
            Error::Varint => "a varint is too long",
            Error::FieldNumber => "a field number is out of range",
            Error::WireType => "a wire type is unknown",
            Error::Depth => "messages are nested too deeply",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}
