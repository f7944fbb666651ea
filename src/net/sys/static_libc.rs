//! Leaves that the static binary puts in place of glibc's, so that what hangs on them stays out.
//!
//! A linker takes a member of libc.a for the first symbol it lacks, and with it everything that
//! member names: thread creation brings the DNS resolver along, `assert` brings printf, gettext,
//! iconv and the dynamic loader. Whoever defines such a symbol first cuts that branch off. Each of
//! these is called either never by this program or for one purpose only, which it still serves.
//! All of them together: 802 KB of the binary (gzip 364), and 0.8 MiB of idle memory.
//!
//! Made for glibc 2.36 and 2.41, x86_64 and aarch64; the Makefile asks for them (`--cfg
//! libc_leaves`) where it finds one of these. Where glibc is a shared library or panics unwind
//! (tests, benchmarks), nothing is replaced.

#![cfg_attr(test, allow(dead_code, non_snake_case))]

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void, CStr};

/// What unwinders answer at the outermost frame (Itanium C++ ABI: Exception Handling, 1.3).
const URC_END_OF_STACK: c_int = 5;

extern "C" {
    fn strerrordesc_np(errno: c_int) -> *const c_char;
}

/// Symbols to be found at run time: none, there is no dynamic linker. std looks up what newer
/// versions of glibc have and takes its older way when it is not there.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn dlsym(_library: *mut c_void, _symbol: *const c_char) -> *mut c_void {
    std::ptr::null_mut()
}

/// Where the dynamic linker would look for libraries.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn _dl_init_paths(
    _path: *const c_char,
    _source: *const c_char,
    _hwcaps_prepend: *const c_char,
    _hwcaps_mask: *const c_char,
) {
}

/// Asked by std for the guard page, to name the thread whose stack overflowed in the message.
/// glibc reads /proc/self/maps with scanf for it. Unknown, the overflow still ends the process.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn pthread_getattr_np(_thread: c_ulong, _attributes: *mut c_void) -> c_int {
    libc::ENOSYS
}

/// Names the calling thread, the only one that std names, without printf.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn pthread_setname_np(_thread: c_ulong, name: *const c_char) -> c_int {
    // SAFETY: the caller hands a C string over; the kernel reads it up to its end or 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name) }
}

/// Stacks stay as they are when a library wants to run code on them; none is ever loaded.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __nptl_change_stack_perm(_thread: *mut c_void) -> c_int {
    0
}

// The resolver's state that each new thread gets a pointer to, for functions that nobody calls.
#[cfg(not(test))]
std::arch::global_asm!(
    ".section .tbss.__libc_resp,\"awT\",@nobits",
    ".globl __libc_resp",
    ".type __libc_resp, @object",
    ".size __libc_resp, 8",
    ".balign 8",
    "__libc_resp: .zero 8",
    ".text",
);

/// Locks around stdio once there are threads: there is no stdio.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn _IO_enable_locks() {}

/// Where malloc_stats(3) writes to, which nobody calls, with fprintf.
#[cfg_attr(not(test), no_mangle)]
#[allow(non_upper_case_globals)]
static stderr: usize = 0;

/// Nothing printed. Further arguments may follow: the caller alone knows and removes them.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn fprintf(_file: *mut c_void, _format: *const c_char) -> c_int {
    0
}

/// A broken invariant of glibc, most likely of its heap: what it was, and the end.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __assert_fail(
    assertion: *const c_char,
    _file: *const c_char,
    _line: c_uint,
    _function: *const c_char,
) -> ! {
    // SAFETY: glibc hands the text of its assertion over, which is constant.
    let text = unsafe { CStr::from_ptr(assertion) };
    let parts = [b"libc: assertion failed: ", text.to_bytes(), b"\n"];
    for part in parts {
        // SAFETY: the bytes are readable for their length. Nothing is left to do on failure.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
    std::process::abort()
}

/// Texts of errors in English, without a look for their translation.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __strerror_r(errno: c_int, _buffer: *mut c_char, _bytes: usize) -> *const c_char {
    // SAFETY: strerrordesc_np(3) takes any number; what it returns is constant or null.
    let text = unsafe { strerrordesc_np(errno) };
    match text.is_null() {
        true => c"Unknown error".as_ptr(),
        false => text,
    }
}

/// Limits of the system: the page size. All others are indeterminate (-1 with errno untouched), as
/// sysconf(3) may answer; glibc would read numbers out of files for some.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        // SAFETY: getauxval(3) takes any number.
        libc::_SC_PAGESIZE => unsafe { libc::getauxval(libc::AT_PAGESZ) as c_long },
        _ => -1,
    }
}

/// sysconf as glibc itself calls it.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __sysconf(name: c_int) -> c_long {
    sysconf(name)
}

/// Processors, by which malloc limits its arenas; hardly more than one thread allocates.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __get_nprocs() -> c_int {
    1
}

/// The same for malloc of glibc 2.36 as it was released.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __get_nprocs_sched() -> c_int {
    1
}

/// Character classes of the locale, once per thread: nothing that asks for them is left.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn __ctype_init() {}

/// A panic's backtrace ends before its first frame, because the build removes the tables to unwind
/// by. Seen by the compiler, this takes std's reader of debug information out as well.
#[cfg_attr(not(test), no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: *const c_void, _argument: *mut c_void) -> c_int {
    URC_END_OF_STACK
}

/// Defines functions that code refers to which never runs.
macro_rules! never_called {
    ($($symbol:ident)*) => {
        $(
            #[cfg_attr(not(test), no_mangle)]
            extern "C" fn $symbol() {
                std::process::abort()
            }
        )*
    };
}

// Unwinding: a panic aborts, and no thread is cancelled.
never_called! {
    __gcc_personality_v0
    _Unwind_ForcedUnwind
    _Unwind_GetCFA
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_texts_of_the_system() {
        for errno in [libc::ENOENT, libc::ECONNREFUSED, libc::EADDRINUSE, libc::EMFILE, 99_999] {
            // SAFETY: the result is a constant C string.
            let text = unsafe { CStr::from_ptr(__strerror_r(errno, std::ptr::null_mut(), 0)) };
            let of_the_system = std::io::Error::from_raw_os_error(errno).to_string();
            assert!(of_the_system.starts_with(text.to_str().unwrap()), "{errno}: {text:?}");
        }
    }

    #[test]
    fn the_page_size_is_the_one_limit_known() {
        assert_eq!(sysconf(libc::_SC_PAGESIZE), rustix::param::page_size() as c_long);
        assert_eq!(__sysconf(libc::_SC_PAGESIZE), sysconf(libc::_SC_PAGESIZE));
        assert_eq!(sysconf(libc::_SC_NPROCESSORS_ONLN), -1);
    }

    #[test]
    fn a_thread_names_itself() {
        let name = std::thread::spawn(|| {
            assert_eq!(pthread_setname_np(0, c"a helper thread".as_ptr()), 0);
            std::fs::read_to_string("/proc/thread-self/comm").unwrap()
        });
        assert_eq!(name.join().unwrap(), "a helper thread\n");
    }
}
