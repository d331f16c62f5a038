//! Reading a manifest without a disk runtime, and without changing anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{DATA_NAMES, MANIFEST_FILE, ManifestError, ManifestFields, SLOTS_BYTES, newest_slot};
use crate::runtime::DiskError;

/// What the manifest in `dir` says; `None` if there is no data there, nor a whole manifest.
///
/// # Errors
/// Those that [`super::Manifest::open`] would have.
pub fn look(dir: &Path) -> Result<Option<ManifestFields>, ManifestError> {
    let path = dir.join(MANIFEST_FILE);
    let bytes = match read_slots(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(DiskError::new("read", &path, 0, error).into()),
    };
    if let Some((_, fields)) = newest_slot(&path, &bytes)? {
        return Ok(Some(fields));
    }
    if bytes.len() >= SLOTS_BYTES {
        return Err(ManifestError::Damaged { path });
    }
    match data_in(dir) {
        Ok(None) => Ok(None),
        Ok(Some(found)) => Err(ManifestError::Missing { path, found }),
        Err(error) => Err(DiskError::new("list", dir, 0, error).into()),
    }
}

fn read_slots(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SLOTS_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A name that can only be there if a manifest was.
fn data_in(dir: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if DATA_NAMES.iter().any(|data| name.starts_with(data)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
