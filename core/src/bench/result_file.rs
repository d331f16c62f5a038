//! The file of `--json`. Whether it can be written shows before the measuring, not after it; and
//! what it held before stays until there is something better.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Error;

/// A file to be written. Dropped before that: nothing has changed.
pub(super) struct ResultFile {
    path: PathBuf,
    /// Beside it, renamed at the end; none if it is no regular file, as /dev/stdout.
    draft: Option<PathBuf>,
    file: File,
}

impl ResultFile {
    /// Makes sure that it can be written.
    pub(super) fn open(path: &Path) -> Result<ResultFile, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let found = match fs::metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if found.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let is_special = found.as_ref().is_some_and(|found| !found.is_file());
        // A link stays one; what it points to is replaced.
        let path = match found {
            Some(_) if !is_special => path.canonicalize().map_err(failed)?,
            _ => path.to_owned(),
        };
        let failed = |source| Error::Write { path: path.clone(), source };
        if found_but_read_only(&path) {
            return Err(failed(io::Error::from(io::ErrorKind::PermissionDenied)));
        }
        let mut options = OpenOptions::new();
        if is_special {
            let file = options.write(true).open(&path).map_err(failed)?;
            return Ok(ResultFile { path, draft: None, file });
        }
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let name = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
        let draft = path.with_file_name(name);
        let file = options.write(true).create_new(true).open(&draft).map_err(failed)?;
        Ok(ResultFile { path, draft: Some(draft), file })
    }

    /// Writes it.
    pub(super) fn write(mut self, result: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(result)? + "\n";
        let written = self.file.write_all(text.as_bytes()).and_then(|()| match self.draft.take() {
            Some(draft) => fs::rename(&draft, &self.path).inspect_err(|_| {
                let _ = fs::remove_file(&draft);
            }),
            None => Ok(()),
        });
        written.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

/// A rename would replace it all the same, but it was meant to stay.
fn found_but_read_only(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().readonly())
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            let _ = fs::remove_file(draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::ResultFile;

    fn dir(name: &str) -> PathBuf {
        let exe = std::env::current_exe().unwrap();
        let dir = exe.ancestors().nth(3).unwrap().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn what_was_there_stays_until_there_is_something_better() {
        let dir = dir("result-file");
        let path = dir.join("result.json");
        fs::write(&path, "before").unwrap();
        drop(ResultFile::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        ResultFile::open(&path).unwrap().write(&[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        let link = dir.join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        ResultFile::open(&link).unwrap().write(&7).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "7\n");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no draft is left");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_found_at_once() {
        for wrong in ["/", "/absent/result.json", "", "/proc/result.json"] {
            let opened = ResultFile::open(Path::new(wrong));
            assert!(opened.is_err(), "{wrong:?}");
        }
        ResultFile::open(Path::new("/dev/null")).unwrap().write(&1).unwrap();
    }
}
