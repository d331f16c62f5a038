//! Files of /proc and /sys, below a root that tests replace.

use std::fs;
use std::path::{Path, PathBuf};

/// Something that could be read, or why it could not.
pub type Fact<T> = Result<T, Unknown>;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

impl Unknown {
    /// For this reason.
    pub fn because(reason: impl Into<String>) -> Unknown {
        Unknown(reason.into())
    }
}

/// Where /proc and /sys are: `/`, or a directory made for a test.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// This machine's.
    pub fn of_machine() -> Root {
        Root::at(Path::new("/"))
    }

    /// Below `path`.
    pub fn at(path: &Path) -> Root {
        Root(path.to_owned())
    }

    /// The path `absolute` below this root.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// The file's text, without space around it.
    pub fn text(&self, absolute: &str) -> Fact<String> {
        let path = self.path(absolute);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(cause) => Err(Unknown(format!("{absolute}: {cause}"))),
        }
    }

    /// The file's one number.
    pub fn number<T: std::str::FromStr>(&self, absolute: &str) -> Fact<T> {
        let text = self.text(absolute)?;
        text.parse().map_err(|_| Unknown(format!("{absolute} says \"{text}\", not a number")))
    }

    /// The word that a list of choices has in brackets, as "always [madvise] never"; the one word
    /// of a list without choice.
    pub fn choice(&self, absolute: &str) -> Fact<String> {
        let text = self.text(absolute)?;
        let chosen = text.split_whitespace().find_map(|w| w.strip_prefix('[')?.strip_suffix(']'));
        match chosen {
            Some(word) => Ok(word.to_owned()),
            None if !text.is_empty() && !text.contains(char::is_whitespace) => Ok(text),
            None => Err(Unknown(format!("{absolute} says \"{text}\", no choice"))),
        }
    }
}

/// Numbers of a list like "0-3,8,10-11" (cpuset(7)); none if it is not one.
pub(crate) fn number_list(text: &str) -> Option<Vec<usize>> {
    /// More than any machine has: a list that claims more is not believed.
    const NUMBERS_MAX: usize = 1 << 16;
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= NUMBERS_MAX {
            return None;
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}
