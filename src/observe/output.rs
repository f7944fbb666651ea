//! Lines to a file descriptor that may be slow or closed, without ever blocking or failing.
//!
//! What the descriptor does not take at once waits in a bounded buffer; at the bound the oldest
//! whole lines go and are counted. A pipe is only written when `poll` says it takes `PIPE_BUF`
//! bytes, in pieces no larger than that, so the descriptor's mode (shared with other processes)
//! stays as it was found.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// What a buffered output holds at most; older lines go first.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// POSIX guarantees that a pipe which polls writable takes this many bytes at once.
const WRITE_BYTES_MAX: usize = 4096;

/// Writes text to stdout at once, for programs that end after it; whoever closed stdout early has
/// read enough.
pub fn say(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Writes one line to stderr at once; there is nowhere to say that it failed.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A bounded, never blocking line buffer before a descriptor.
pub struct Output {
    fd: BorrowedFd<'static>,
    waiting: VecDeque<u8>,
    lines_dropped: u64,
    closed: bool,
}

impl Output {
    pub fn new(fd: BorrowedFd<'static>) -> Output {
        Output { fd, waiting: VecDeque::new(), lines_dropped: 0, closed: false }
    }

    pub fn stdout() -> Output {
        Output::new(rustix::stdio::stdout())
    }

    pub fn stderr() -> Output {
        Output::new(rustix::stdio::stderr())
    }

    /// Takes `text`, whole lines, and writes what the descriptor takes now. Returns the number of
    /// lines that were given up for want of room or of a reader.
    pub fn push(&mut self, text: &[u8]) -> u64 {
        let before = self.lines_dropped;
        self.waiting.extend(text);
        self.flush();
        while self.waiting.len() > OUTPUT_BYTES_MAX {
            self.drop_line();
        }
        self.lines_dropped - before
    }

    /// Writes what the descriptor takes without blocking; true when nothing waits any more.
    pub fn flush(&mut self) -> bool {
        while !self.waiting.is_empty() && self.is_writable() {
            let (front, _) = self.waiting.as_slices();
            let piece = &front[..front.len().min(WRITE_BYTES_MAX)];
            match rustix::io::write(self.fd, piece) {
                Ok(0) => break,
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => self.close(),
            }
        }
        if self.waiting.is_empty() && self.waiting.capacity() > WRITE_BYTES_MAX * 4 {
            self.waiting.shrink_to(WRITE_BYTES_MAX);
        }
        self.waiting.is_empty()
    }

    /// True once the reader has gone; everything pushed after that is dropped and counted.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes that wait for the descriptor.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    fn is_writable(&mut self) -> bool {
        if self.closed {
            self.close();
            return false;
        }
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(0) | Err(_) => false,
            // An error or hang-up is left for the write to report.
            Ok(_) => true,
        }
    }

    fn close(&mut self) {
        self.closed = true;
        while !self.waiting.is_empty() {
            self.drop_line();
        }
    }

    /// Gives up the oldest line.
    fn drop_line(&mut self) {
        let line = self.waiting.iter().position(|&byte| byte == b'\n');
        let end = line.map_or(self.waiting.len(), |at| at + 1);
        self.waiting.drain(..end);
        self.lines_dropped += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};

    /// A pipe whose write end lives as long as the test program.
    fn output() -> (std::fs::File, Output) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let writer: &'static OwnedFd = Box::leak(Box::new(writer));
        (std::fs::File::from(reader), Output::new(writer.as_fd()))
    }

    #[test]
    fn a_slow_reader_loses_the_oldest_lines_only() {
        let (mut reader, mut output) = output();
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let mut dropped = 0;
        for _ in 0..5000 {
            dropped += output.push(&line);
        }
        assert!(dropped > 0 && output.waiting_bytes() <= OUTPUT_BYTES_MAX);
        let mut received = 0;
        let mut buffer = vec![0; 65536];
        while received + (dropped as usize) * 100 < 500_000 {
            received += reader.read(&mut buffer).unwrap();
            output.flush();
        }
        assert_eq!(received + dropped as usize * 100, 500_000);
    }

    #[test]
    fn a_closed_reader_only_counts() {
        let (reader, mut output) = output();
        drop(reader);
        assert_eq!(output.push(b"one\ntwo\n"), 2);
        assert!(output.is_closed() && output.flush());
        assert_eq!(output.push(b"three\n"), 1);
    }
}
