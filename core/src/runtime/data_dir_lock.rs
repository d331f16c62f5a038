//! One process per data directory.
//!
//! flock(2) on `<dir>/lock`, which holds its owner's process id. The lock belongs to the open file
//! description; every shard's disk ring registers it, and a ring outlives `kill -9` until its last
//! write has ended. So whoever gets the lock knows that nobody writes any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a dead owner's last writes may take.
const DEAD_OWNER_WAIT: Duration = Duration::from_secs(5);

/// How long a killed owner may still look alive before it is believed to be.
const LIVE_OWNER_WAIT: Duration = Duration::from_millis(250);

const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Longest process id, with room: larger content is not ours.
const PID_BYTES_MAX: u64 = 32;

/// Why the data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process serves it.
    #[error(
        "{} is in use by process {pid}: one broker per data directory (another --data-dir?)",
        dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The owner.
        pid: u32,
    },
    /// It is locked by nobody who can be named: writes of a killed process that do not end, or an
    /// owner in another container or on another machine.
    #[error(
        "{} is locked, though its last owner ({owner}) is not running here: a killed broker's \
         writes have not ended, it runs in another container, or `corelane log` is looking at it",
        dir.display()
    )]
    Stuck {
        /// The data directory.
        dir: PathBuf,
        /// What the lock file says, "process N" or "unknown".
        owner: String,
    },
    /// The lock file can't be made, read or locked.
    #[error("lock file {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl LockError {
    fn stuck(dir: &Path, owner: Option<u32>) -> LockError {
        let owner = owner.map_or("unknown".to_owned(), |pid| format!("process {pid}"));
        LockError::Stuck { dir: dir.to_owned(), owner }
    }
}

/// Exclusive use of a data directory, until dropped and until every ring that registered it ends.
#[derive(Debug)]
pub struct DataDirLock {
    file: File,
}

impl DataDirLock {
    /// Locks `dir`, which must exist. Blocks while a dead owner's last writes are not done.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        wait_for(&mut file, dir, libc::LOCK_EX)?;
        write_pid(&mut file).map_err(failed)?;
        Ok(DataDirLock { file })
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Use of a data directory that keeps brokers away, but not others who only look, until dropped.
#[derive(Debug)]
pub struct SharedLock {
    _file: File,
}

impl SharedLock {
    /// Locks `dir` without changing anything; `None` if it has no lock file, so that no broker has
    /// ever had it.
    ///
    /// # Errors
    /// Every [`LockError`].
    pub fn acquire(dir: &Path) -> Result<Option<Self>, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path);
        let mut file = match opened {
            Err(cause) if is_absent(&cause) => return Ok(None),
            other => other.map_err(failed)?,
        };
        wait_for(&mut file, dir, libc::LOCK_SH)?;
        Ok(Some(SharedLock { _file: file }))
    }
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Asks for the lock until it is given: while the previous owner is dead, but its last writes are not
/// done, for at most five seconds. A live owner is an error after a quarter of one.
fn wait_for(file: &mut File, dir: &Path, operation: i32) -> Result<(), LockError> {
    let failed = |source| LockError::Io { path: dir.join("lock"), source };
    let asked = Instant::now();
    while !flock(file, operation).map_err(failed)? {
        let owner = read_pid(file).map_err(failed)?;
        match owner {
            // Our own number is that of a predecessor, in a container started anew.
            Some(pid) if pid != std::process::id() && is_running(pid) => {
                if asked.elapsed() >= LIVE_OWNER_WAIT {
                    return Err(LockError::InUse { dir: dir.to_owned(), pid });
                }
                thread::sleep(RETRY_INTERVAL);
            }
            owner if asked.elapsed() >= DEAD_OWNER_WAIT => {
                return Err(LockError::stuck(dir, owner));
            }
            _ => thread::sleep(RETRY_INTERVAL),
        }
    }
    Ok(())
}

/// Locks, unless it is locked: `kind` is LOCK_EX or LOCK_SH.
fn flock(file: &File, kind: libc::c_int) -> io::Result<bool> {
    loop {
        // SAFETY: the descriptor is open; flock takes no pointers.
        if unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let cause = io::Error::last_os_error();
        match cause.raw_os_error() {
            Some(libc::EWOULDBLOCK) => return Ok(false),
            Some(libc::EINTR) => {}
            _ => return Err(cause),
        }
    }
}

/// `None` while the owner has locked but not yet written, or if the content is not ours.
fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    file.rewind()?;
    let mut text = Vec::new();
    file.take(PID_BYTES_MAX).read_to_end(&mut text)?;
    Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()))
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// Whether a process of this number exists and is more than a corpse: a killed process whose
/// parent has not collected it yet, or whose threads are still being torn down, writes no more.
fn is_running(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the name, which is in parentheses and may contain anything.
        Ok(stat) => !matches!(
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()),
            Some('Z' | 'X' | 'x')
        ),
        Err(cause) => cause.kind() != io::ErrorKind::NotFound,
    }
}
