//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A place in the file; lines and columns count from 1.
    File {
        /// The file as it was named.
        path: Arc<PathBuf>,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// This environment variable.
    Environment(String),
    /// This flag, with its key if it is `--set`.
    Flag(String),
}

impl Source {
    /// Its kind, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::File { .. } => "file",
            Source::Environment(_) => "environment",
            Source::Flag(_) => "flag",
        }
    }

    /// Line and column in the file.
    pub(super) fn place(&self) -> Option<(usize, usize)> {
        match self {
            Source::File { line, column, .. } => Some((*line, *column)),
            _ => None,
        }
    }

    /// Which of two holds: the greater.
    pub(super) fn precedence(&self) -> u8 {
        match self {
            Source::Default => 0,
            Source::File { .. } => 1,
            Source::Environment(_) => 2,
            Source::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Source::Environment(name) | Source::Flag(name) => f.write_str(name),
        }
    }
}

/// A key with a value, as somebody wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The key, in the spelling of its source.
    pub name: String,
    /// Its value; the elements of an array joined by commas.
    pub text: String,
    /// True if the file gives an array.
    pub is_array: bool,
    /// Where.
    pub source: Source,
}

impl Given {
    /// A single value.
    pub fn new(name: impl Into<String>, text: impl Into<String>, source: Source) -> Given {
        Given { name: name.into(), text: text.into(), is_array: false, source }
    }
}
