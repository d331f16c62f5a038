//! A file without a name that is written past the page cache.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Direct I/O is aligned to this, in the file and in memory.
pub(crate) const ALIGN_BYTES: usize = 4096;

/// A file below `dir` that is gone when it is closed, and whether it does direct I/O.
pub(crate) fn open_unnamed(dir: &Path) -> io::Result<(File, bool)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!(".bench-{}-{number}", std::process::id()));
    let open = |flags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).custom_flags(flags).open(&path)
    };
    let opened = match open(libc::O_DIRECT) {
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => {
            // The refused open may have made the file all the same.
            let _ = fs::remove_file(&path);
            open(0).map(|file| (file, false))
        }
        other => other.map(|file| (file, true)),
    }?;
    fs::remove_file(&path)?;
    Ok(opened)
}

/// Reserves the file's space.
pub(crate) fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open; fallocate takes no pointers.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // Not every filesystem reserves; then files grow, as a broker's would.
        cause if cause.raw_os_error() == Some(libc::EOPNOTSUPP) => file.set_len(bytes),
        cause => Err(cause),
    }
}

/// Memory for direct I/O.
pub(crate) struct AlignedBlock {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBlock {
    /// `len` zeroed bytes.
    pub(crate) fn new(len: usize) -> AlignedBlock {
        let memory = vec![0; len + ALIGN_BYTES];
        let start = memory.as_ptr().align_offset(ALIGN_BYTES);
        AlignedBlock { memory, start, len }
    }

    /// The aligned bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// The aligned bytes, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// Bytes that a device can neither compress nor deduplicate away (xorshift64).
pub(crate) fn fill(bytes: &mut [u8], seed: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed;
    for word in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_ne_bytes()[..word.len()]);
    }
}
