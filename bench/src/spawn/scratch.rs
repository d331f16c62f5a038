//! The directory of all that is started. Its lock tells those that are in use from those that a
//! killed run has left: the next run in the same place removes them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::BenchError;

/// Begins the name of every such directory.
const PREFIX: &str = "corelane-bench-scratch-";

/// Held, exclusively, as long as the directory is in use. Without it nothing is ever removed.
const LOCK: &str = ".corelane-bench-lock";

/// A directory that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one below `parent`, and removes those that killed runs have left there.
    ///
    /// # Errors
    /// [`BenchError::File`] if `parent` is no directory, or can't be written to.
    pub fn create(parent: &Path) -> Result<Scratch, BenchError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { operation, path, source }
        };
        let parent = parent.canonicalize().map_err(failed("spawning brokers below", parent))?;
        sweep(&parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(failed("creating", &path))?;
        let locked = File::create(path.join(LOCK))
            .and_then(|file| file.try_lock().map_err(io::Error::from).map(|()| file));
        match locked {
            Ok(lock) => Ok(Scratch { path, _lock: lock }),
            Err(source) => {
                let _ = fs::remove_dir_all(&path);
                Err(failed("locking", &path)(source))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is removed by the next run here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed runs have left: directories of our name whose lock nobody holds.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = File::options().write(true).open(entry.path().join(LOCK)) else { continue };
        match lock.try_lock() {
            Ok(()) => drop(fs::remove_dir_all(entry.path())),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}
