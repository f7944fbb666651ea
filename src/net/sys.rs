//! System calls without a safe cover elsewhere, and limits of the process.
//!
//! The one module where `unsafe` is allowed, with what it contains. Each use says why it is sound
//! and has a test.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::RecvFlags;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

#[cfg(any(test, all(libc_leaves, panic = "abort")))]
mod static_libc;

/// Descriptors asked for: far more than all receivers and exporters together may hold.
const FDS_WANTED: u64 = 65_536;

/// Free memory at the heap's end that is kept for what comes next, until it is trimmed.
const FREE_BYTES_KEPT_MAX: i32 = 4 << 20;

/// Blocks below this size come from the heap: batches of a MiB do, with what they grow by.
const HEAP_BLOCK_BYTES_MAX: i32 = 2 << 20;

/// Has malloc(3) keep memory between two batches; false if it cannot.
///
/// By itself glibc maps a batch's buffer anew each time and unmaps it once it is sent, so that a
/// relay of 14 MB/s has the kernel clear 3,500 pages a second, a fifth of its time. In return what
/// it keeps has a bound, which otherwise grows with the largest block that was ever freed.
pub fn keep_free_memory() -> bool {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt(3) sets numbers of the allocator; the caller is the only thread.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES_MAX) == 1
                && libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_BYTES_KEPT_MAX) == 1
        }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        false
    }
}

/// Appends what a socket holds, at most `bytes_max`, to memory that nothing has cleared before.
pub fn recv_append(socket: impl AsFd, out: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
    out.reserve(bytes_max);
    let start = out.len();
    let room = out.spare_capacity_mut().get_mut(..bytes_max).unwrap_or_default();
    let ((got, _), _) = rustix::net::recv(socket, room, RecvFlags::empty())?;
    let count = got.len();
    // SAFETY: recv(2) has filled that many bytes behind the old end, inside the capacity.
    unsafe { out.set_len(start + count) };
    Ok(count)
}

/// Gives free memory back to the system; true if any was given.
///
/// glibc keeps a peak for ever once a few long-lived blocks lie above it. The call walks the whole
/// heap: for a slow timer or after a peak, never per request. musl gives memory back by itself.
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

/// Takes the program's code and constants out of its resident memory; what is needed comes back by
/// itself, from the page cache, 64 KiB at a time. Returns the bytes that were mapped.
///
/// Starting runs through most of the code once (flags, TLS roots, sockets), and the kernel counts
/// it as resident for as long as the process lives, whether it is ever run again or not.
pub fn unmap_idle_code() -> io::Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut bytes = 0;
    for (start, end) in code_mappings(&maps) {
        // SAFETY: the range is a private mapping of the program's file that is not writable and
        // was never written, so that MADV_DONTNEED (madvise(2)) loses nothing: the next access
        // reads the same bytes from the file.
        let result =
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        bytes += end - start;
    }
    Ok(bytes)
}

/// The program's own code and constants in /proc/self/maps (proc(5)): executable mappings of its
/// file, and the read-only one at the file's start. Those further behind, which relocation may have
/// written before they were made read-only, are left alone.
fn code_mappings(maps: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let program = maps.lines().next().and_then(|line| line.split_whitespace().nth(5));
    maps.lines().filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let (range, rights, offset) = (fields.next()?, fields.next()?, fields.next()?);
        let is_start = usize::from_str_radix(offset, 16) == Ok(0);
        let is_code = rights == "r-xp" || rights == "r--p" && is_start;
        if !is_code || program.is_none() || fields.nth(2) != program {
            return None;
        }
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some((address(start)?, address(end)?)).filter(|(start, end)| start < end)
    })
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

/// Runs `step` while SIGTERM, SIGINT and SIGHUP wait; those that came meanwhile are delivered then.
///
/// Between the system call that installs a handler and the moment that its action is known to it
/// (signal-hook-registry), a signal would be taken and forgotten.
pub fn with_stop_signals_waiting<T>(step: impl FnOnce() -> T) -> T {
    // SAFETY: a sigset_t is an array of bits, valid whatever they are; the calls write to nothing
    // but the sets given. pthread_sigmask(3) concerns the calling thread and those it starts.
    let before = unsafe {
        let (mut waiting, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&mut waiting);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut waiting, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &waiting, &mut before);
        before
    };
    let result = step();
    // SAFETY: `before` was filled by the same call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    result
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

    #[test]
    fn received_bytes_are_appended_up_to_their_bound() {
        use std::os::unix::net::UnixStream;
        let (sender, receiver) = UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &sender, b"abcdef").unwrap();
        let mut bytes = b"> ".to_vec();
        assert_eq!(recv_append(&receiver, &mut bytes, 4).unwrap(), 4);
        assert_eq!(bytes, b"> abcd");
        assert_eq!(recv_append(&receiver, &mut bytes, 4).unwrap(), 2);
        assert_eq!(bytes, b"> abcdef");
        receiver.set_nonblocking(true).unwrap();
        let error = recv_append(&receiver, &mut bytes, 4).unwrap_err();
        assert_eq!((error.kind(), bytes.len()), (io::ErrorKind::WouldBlock, 8));
        drop(sender);
        assert_eq!(recv_append(&receiver, &mut bytes, 4).unwrap(), 0);
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

    #[cfg(target_env = "gnu")]
    #[test]
    fn free_memory_can_be_kept() {
        // What comes of it is seen from outside, in tests/otlp_export.rs.
        assert!(keep_free_memory());
    }

    #[test]
    fn code_that_is_unmapped_runs_on() {
        let before = resident_bytes();
        assert!(unmap_idle_code().unwrap() > 1 << 20);
        assert!(resident_bytes() < before);
        assert!(unmap_idle_code().unwrap() > 1 << 20);
    }

    #[test]
    fn only_the_programs_own_unwritten_mappings_are_code() {
        let maps = "00200000-00298000 r--p 00000000 fe:00 12 /otlet\n\
            00299000-004c4000 r-xp 00098000 fe:00 12 /otlet\n\
            004c4000-004c9000 r--p 002c2000 fe:00 12 /otlet\n\
            004c9000-004cd000 rw-p 002c6000 fe:00 12 /otlet\n\
            0100000-0200000 rw-p 00000000 00:00 0 [heap]\n\
            7f0000000000-7f0000001000 r-xp 00000000 fe:00 13 /lib/libc.so.6\n\
            7ffe0000-7fff0000 r-xp 00000000 00:00 0 [vdso]\n";
        let found: Vec<_> = code_mappings(maps).collect();
        assert_eq!(found, [(0x200000, 0x298000), (0x299000, 0x4c4000)]);
        for bad in ["", "\n", "x", "1-2", "zz-1 r-xp 0 fe:00 1 /a", "2-1 r-xp 0 fe:00 1 /a"] {
            assert_eq!(code_mappings(bad).count(), 0, "{bad}");
        }
    }

    #[test]
    fn stop_signals_wait_for_a_step_only() {
        // Bit by bit the signals that this thread does not take, proc(5).
        let waiting = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let before = waiting();
        let within = with_stop_signals_waiting(waiting);
        let bits = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].map(|signal| 1 << (signal - 1));
        assert_eq!(within & !before, bits.iter().sum::<u64>());
        assert_eq!(waiting(), before);
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
