//! The process that holds a pod's namespaces open: it reaps what is orphaned
//! in them and ends on SIGTERM or SIGINT.
//!
//! Built by plain `rustc`, without a crate around it: it depends on nothing,
//! so the builder needs no registry for it. The price is the C declarations
//! below, the only unsafe code of this project.
//!
//!     rustc --edition 2024 -C opt-level=s -C panic=abort -C lto=fat -C strip=symbols \
//!         -C target-feature=+crt-static --target x86_64-unknown-linux-gnu -o pause pause.rs
//!
//! As process 1 it gets only the signals it has a handler for, or has blocked
//! and waits for. It does the latter: no handler, no race between the two.

use std::ffi::c_int;
use std::process::ExitCode;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const SIG_BLOCK: c_int = 0;
const WNOHANG: c_int = 1;
/// Any child.
const ANY: c_int = -1;

/// Linux' `sigset_t`, of glibc and musl alike: 1024 bits.
#[repr(C)]
struct SignalSet([u64; 16]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == "-v" || argument == "--version") {
        println!("pause of provision");
        return ExitCode::SUCCESS;
    }
    let mut set = SignalSet([0; 16]);
    // SAFETY: `set` has the size and layout that the C library expects and
    // outlives both calls; a null old mask and null status are allowed.
    let blocked = unsafe {
        sigemptyset(&mut set) == 0
            && [SIGINT, SIGTERM, SIGCHLD].iter().all(|signal| sigaddset(&mut set, *signal) == 0)
            && sigprocmask(SIG_BLOCK, &set, std::ptr::null_mut()) == 0
    };
    if !blocked {
        eprintln!("pause: cannot block signals");
        return ExitCode::FAILURE;
    }
    loop {
        // Several children that end at once may raise one signal, and some may
        // have ended before the first wait.
        // SAFETY: a null status is allowed.
        while unsafe { waitpid(ANY, std::ptr::null_mut(), WNOHANG) } > 0 {}
        let mut signal = 0;
        // SAFETY: both point to live values of the right type.
        if unsafe { sigwait(&set, &mut signal) } != 0 {
            eprintln!("pause: cannot wait for signals");
            return ExitCode::FAILURE;
        }
        if signal == SIGTERM || signal == SIGINT {
            return ExitCode::SUCCESS;
        }
    }
}
