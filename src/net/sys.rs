//! System calls without a safe cover elsewhere, and limits of the process.
//!
//! The one module where `unsafe` is allowed. Each use says why it is sound and has a test.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// Descriptors asked for: far more than all receivers and exporters together may hold.
const FDS_WANTED: u64 = 65_536;

/// Gives free memory back to the system; true if any was given.
///
/// glibc keeps a peak for ever once a few long-lived blocks lie above it. The call walks the whole
/// heap: for a slow timer or after a peak, never per request. musl gives memory back by itself.
///
/// No mallopt(3) beside it: over three cycles of 20 MiB with survivors, private dirty memory after
/// a trim was 2948 KiB, with M_ARENA_MAX=1 2896, with M_TRIM_THRESHOLD=128K 2952 (glibc 2.36).
pub fn malloc_trim() -> bool {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: malloc_trim(3) is thread-safe, has no precondition, keeps every live allocation
        // where it is and returns only whole free pages.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        false
    }
}

/// Forbids core dumps: memory holds credentials. Cannot be undone by the process.
pub fn disable_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Raises the limit of open descriptors to [`FDS_WANTED`] where the hard limit allows; tells the
/// limit that holds then, `None` for no limit.
///
/// Container engines commonly leave the soft limit at 1024, which idle keep-alive connections of an
/// application's clients alone can fill.
pub fn raise_fd_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FDS_WANTED, |maximum| maximum.min(FDS_WANTED));
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(limit.current);
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?;
    Ok(Some(wanted))
}

/// Datagrams that the kernel dropped for want of room since the socket was made, modulo 2³²
/// (SO_MEMINFO, SK_MEMINFO_DROPS). Unlike SO_RXQ_OVFL it needs no packet and no control message.
pub fn socket_drops(socket: impl AsFd) -> io::Result<u32> {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut numbers = [0_u32; SK_MEMINFO_DROPS + 1];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed; the kernel writes at most `length` bytes
    // to `numbers`, which any bytes are valid for, and says in `length` how many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut length,
        )
    };
    match result {
        0 => Ok(numbers[SK_MEMINFO_DROPS]),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resident bytes of this process, proc(5).
    #[cfg(target_env = "gnu")]
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn trimming_gives_back_what_lies_below_a_live_block() {
        let blocks: Vec<Vec<u8>> = (0..640).map(|_| vec![1; 50_000]).collect();
        let (peak, mut live) = (resident_bytes(), Vec::new());
        for (number, block) in blocks.into_iter().enumerate() {
            if number % 64 == 63 {
                live.push(block);
            }
        }
        let freed = resident_bytes();
        assert!(malloc_trim());
        let trimmed = resident_bytes();
        assert!(trimmed + 20_000_000 < freed, "peak {peak}, freed {freed}, trimmed {trimmed}");
        assert!(live.iter().all(|block| block.iter().all(|byte| *byte == 1)));
    }

    #[test]
    fn drops_of_a_new_socket_are_none() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(socket_drops(&socket).unwrap(), 0);
        assert!(socket_drops(std::io::stdin()).is_err());
    }

    #[test]
    fn core_dumps_are_off_for_good() {
        disable_core_dumps().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn the_descriptor_limit_is_raised_once() {
        let raised = raise_fd_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert_eq!(raise_fd_limit().unwrap(), raised);
    }
}
