//! Metadata operations, as plain blocking functions; [`super::blocking`] runs them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use corelane_storage::runtime::{DirEntry, OpenMode};

/// Opens `path` with O_DIRECT and O_CLOEXEC. A filesystem that refuses O_DIRECT (EINVAL, as
/// tmpfs did for long) is used through the page cache, which is said once in the log.
pub(crate) fn open(path: &Path, mode: OpenMode) -> io::Result<OwnedFd> {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let opened = open_with(path, mode, libc::O_DIRECT);
    match opened {
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => {
            let file = open_with(path, mode, 0)?;
            if !WARNED.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    path = %path.display(),
                    "this filesystem refuses direct I/O (O_DIRECT): files go through the page \
                     cache, slower and with less even latency; ext4 and XFS support it"
                );
            }
            Ok(file.into())
        }
        other => other.map(Into::into),
    }
}

fn open_with(path: &Path, mode: OpenMode, flags: i32) -> io::Result<File> {
    let writable = mode != OpenMode::Read;
    OpenOptions::new()
        .read(true)
        .write(writable)
        .create(mode == OpenMode::Create)
        .truncate(false)
        .custom_flags(flags | libc::O_CLOEXEC)
        .open(path)
}

/// Names in `path`, sorted; none if it does not exist. Names that are not UTF-8 were not made by
/// Corelane and are left out, with a warning.
pub(crate) fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(cause),
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            // Removed since it was listed, or a dangling link.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(cause),
        };
        match entry.file_name().into_string() {
            Ok(name) => listed.push(DirEntry {
                name,
                is_dir: metadata.is_dir(),
                len_bytes: if metadata.is_dir() { 0 } else { metadata.len() },
                modified_ms: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
            }),
            Err(name) => tracing::warn!(?name, dir = %path.display(), "name is not UTF-8: ignored"),
        }
    }
    listed.sort();
    Ok(listed)
}

/// Creates `path` and its missing parents, and makes the entries durable; also that of a `path`
/// which exists already, since whoever made it may have been killed before it was.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = path;
    while !at.is_dir() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    if missing.is_empty() {
        return sync_parent(path);
    }
    for dir in missing.iter().rev() {
        match fs::create_dir(dir) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
            // Another task made it meanwhile, or it is a file: then what follows fails.
            _ => sync_parent(dir)?,
        }
    }
    if path.is_dir() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        Some(_) => sync_dir(Path::new(".")),
        None => Ok(()),
    }
}

/// Removes a file; a missing one is no error.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    missing_is_fine(fs::remove_file(path))
}

/// Removes a directory and all in it; a missing one is no error.
pub(crate) fn remove_dir_all(path: &Path) -> io::Result<()> {
    missing_is_fine(fs::remove_dir_all(path))
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// fsync of a directory.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
