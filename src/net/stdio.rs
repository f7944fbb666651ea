//! Waiting for a standard stream without changing its mode, which other processes share.

use std::os::fd::BorrowedFd;

use async_io::Async;

use super::yield_now;

/// Waits until `fd` takes bytes, or has an error to report. A file always does.
pub async fn writable(fd: BorrowedFd<'static>) {
    match Async::new_nonblocking(fd) {
        // What went wrong is for the write to find out.
        Ok(stream) => drop(stream.writable().await),
        Err(_) => yield_now().await,
    }
}
