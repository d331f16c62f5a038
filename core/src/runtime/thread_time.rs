//! Time that a thread has spent.

use std::io;
use std::mem;
use std::time::Duration;

/// Processor time of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// In its own code.
    pub user: Duration,
    /// In the kernel on its behalf; what the kernel does on threads of its own is not in it.
    pub system: Duration,
}

impl ThreadTime {
    /// Of the calling thread (getrusage(2), `RUSAGE_THREAD`).
    ///
    /// # Errors
    /// None that the manual knows.
    pub fn now() -> io::Result<ThreadTime> {
        // SAFETY: `rusage` is plain data, for which zeros are valid.
        let mut usage: libc::rusage = unsafe { mem::zeroed() };
        // SAFETY: the kernel fills the struct, which outlives the call.
        if unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(ThreadTime { user: duration(usage.ru_utime), system: duration(usage.ru_stime) })
    }
}

/// Processor time of the calling thread up to now (`CLOCK_THREAD_CPUTIME_ID`): stands still while
/// others have the core. Costs a system call.
pub fn thread_clock() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the struct, which outlives the call. It can't fail: every thread has
    // this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}
