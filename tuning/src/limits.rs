//! Resource limits of this process (getrlimit(2)).

use std::io;

/// A limit that a broker depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// RLIMIT_NOFILE, in descriptors.
    OpenFiles,
    /// RLIMIT_MEMLOCK, in bytes.
    LockedMemory,
}

/// A soft and a hard limit; `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// In force.
    pub soft: u64,
    /// Up to which the process may raise it.
    pub hard: u64,
}

/// Reads `limit`.
pub fn read(limit: Limit) -> io::Result<Range> {
    let mut raw = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::getrlimit(resource(limit), &mut raw) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Range { soft: raw.rlim_cur, hard: raw.rlim_max })
}

/// Raises the soft limit to the hard one; returns what is in force then. A refusal is no error:
/// the judgement on the facts tells whether what is left suffices.
pub fn raise_soft(limit: Limit) -> Option<Range> {
    let range = read(limit).ok()?;
    let raw = libc::rlimit { rlim_cur: range.hard, rlim_max: range.hard };
    // SAFETY: the pointer is valid for the call.
    if range.soft < range.hard && unsafe { libc::setrlimit(resource(limit), &raw) } == 0 {
        return Some(Range { soft: range.hard, hard: range.hard });
    }
    Some(range)
}

fn resource(limit: Limit) -> libc::__rlimit_resource_t {
    match limit {
        Limit::OpenFiles => libc::RLIMIT_NOFILE,
        Limit::LockedMemory => libc::RLIMIT_MEMLOCK,
    }
}
