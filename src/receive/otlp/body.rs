//! The body of one request, inflated and bounded while it arrives.
//!
//! It holds in the memory budget what it is going to need before it reads: the declared length
//! first, then each larger buffer together with the one it replaces. The limit counts decompressed
//! bytes; exactly so many pass. One call works through some 64 KiB at most.

use std::rc::Rc;

use crate::codec::gzip::{GzipError, Inflater};
use crate::net::yield_now;
use crate::observe::{Budget, Reservation};

/// What a request takes beside its body: its task, its state in HTTP.
const REQUEST_BYTES: usize = 4 * 1024;

/// What inflating takes (`Inflater::bytes`).
const INFLATER_BYTES: usize = 44 * 1024;

/// Bytes inflated without letting other tasks run.
const STEP_BYTES: usize = 64 * 1024;

/// The first buffer where no length is declared.
const FIRST_BYTES: usize = 4 * 1024;

/// Why a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than `body_limit`.
    TooLarge,
    /// The memory budget has no room for it.
    NoRoom,
    /// What it has to be turned into is larger than the memory budget.
    NeverFits,
    Gzip(GzipError),
}

/// A body under way.
pub struct Body {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Bytes that may still come in.
    input_left: usize,
    is_empty: bool,
    inflater: Option<Box<Inflater>>,
    held: Reservation,
    /// What is held beside the buffer.
    fixed_bytes: usize,
    /// All of it has room, and comes as it is.
    has_room: bool,
}

impl Body {
    /// Makes room for a body of `declared` bytes, as they are sent.
    pub fn new(
        budget: &Rc<Budget>,
        bytes_max: usize,
        is_gzip: bool,
        declared: Option<u64>,
    ) -> Result<Body, BodyError> {
        // What cannot be compressed grows a little; empty members could go on for ever.
        let slack = if is_gzip { bytes_max / 8 + STEP_BYTES } else { 0 };
        let input_left = bytes_max.saturating_add(slack);
        let mut body = Body {
            bytes: Vec::new(),
            bytes_max,
            input_left,
            is_empty: true,
            inflater: is_gzip.then(Box::default),
            held: budget.reservation(),
            fixed_bytes: REQUEST_BYTES + if is_gzip { INFLATER_BYTES } else { 0 },
            has_room: declared.is_some() && !is_gzip,
        };
        match usize::try_from(declared.unwrap_or(0)) {
            Ok(declared) if declared <= input_left => body.grow(declared.min(bytes_max))?,
            _ => return Err(BodyError::TooLarge),
        }
        Ok(body)
    }

    /// Where the declared bytes, and no more, can be read to instead of being copied; none where
    /// they are compressed or of unknown number.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        self.has_room.then_some(&mut self.bytes)
    }

    /// Takes from the front of `input`; true when it has to be called again.
    fn push(&mut self, input: &mut &[u8]) -> Result<bool, BodyError> {
        self.is_empty &= input.is_empty();
        match self.inflater.take() {
            None => self.append(std::mem::take(input)).map(|()| false),
            Some(mut inflater) => {
                let result = self.inflate(&mut inflater, input);
                self.inflater = Some(inflater);
                result
            }
        }
    }

    fn append(&mut self, input: &[u8]) -> Result<(), BodyError> {
        let end = self.bytes.len() + input.len();
        if end > self.bytes_max {
            return Err(BodyError::TooLarge);
        }
        if end > self.bytes.capacity() {
            self.grow(self.next_capacity().max(end))?;
        }
        self.bytes.extend_from_slice(input);
        Ok(())
    }

    fn inflate(&mut self, inflater: &mut Inflater, input: &mut &[u8]) -> Result<bool, BodyError> {
        if self.bytes.len() == self.bytes.capacity() {
            self.grow(self.next_capacity())?;
        }
        let start = self.bytes.len();
        let room = self.bytes.capacity().min(self.bytes_max + 1) - start;
        let room = room.min(STEP_BYTES);
        self.bytes.resize(start + room, 0);
        let result = inflater.inflate(input, &mut self.bytes[start..]);
        self.bytes.truncate(start + result.map_or(0, |progress| progress.produced));
        let progress = result.map_err(BodyError::Gzip)?;
        *input = &input[progress.consumed..];
        self.input_left = self.input_left.saturating_sub(progress.consumed);
        if self.bytes.len() > self.bytes_max || self.input_left == 0 {
            return Err(BodyError::TooLarge);
        }
        // With room left everything was taken and handed out.
        Ok(progress.produced == room)
    }

    /// Twice as much, and at most one byte more than may be: that one shows that it is too much.
    fn next_capacity(&self) -> usize {
        (2 * self.bytes.capacity()).clamp(FIRST_BYTES, self.bytes_max.max(FIRST_BYTES) + 1)
    }

    fn grow(&mut self, capacity: usize) -> Result<(), BodyError> {
        let fixed = self.fixed_bytes;
        // While it moves, both buffers exist.
        if !self.held.try_resize((fixed + capacity + self.bytes.capacity()) as u64) {
            return Err(BodyError::NoRoom);
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.held.resize((fixed + self.bytes.capacity()) as u64);
        Ok(())
    }

    /// The whole body, and what holds its memory.
    pub fn finish(mut self) -> Result<(Vec<u8>, Reservation), BodyError> {
        if let Some(inflater) = self.inflater.take().filter(|_| !self.is_empty) {
            inflater.finish().map_err(BodyError::Gzip)?;
        }
        self.held.resize((REQUEST_BYTES + self.bytes.capacity()) as u64);
        Ok((self.bytes, self.held))
    }
}

/// Takes all of `input`, letting others run where that is long.
pub async fn take(body: &mut Body, mut input: &[u8]) -> Result<(), BodyError> {
    while body.push(&mut input)? {
        yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
#[path = "body_tests.rs"]
pub mod tests;
