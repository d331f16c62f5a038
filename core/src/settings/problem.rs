//! What is wrong with a configuration: all of it, each with its place and what to do.

use std::fmt;

use super::source::Source;

/// One wrong thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` if it is in no one place.
    pub source: Option<Source>,
    /// What, and what to do.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            None | Some(Source::Default) => f.write_str(&self.words),
            Some(source) => write!(f, "{source}: {}", self.words),
        }
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl std::error::Error for Problems {}

impl Problems {
    /// One more.
    pub(super) fn add(&mut self, source: &Source, words: impl Into<String>) {
        self.0.push(Problem { source: Some(source.clone()), words: words.into() });
    }

    /// One more, of no one place.
    pub(super) fn add_anywhere(&mut self, words: impl Into<String>) {
        self.0.push(Problem { source: None, words: words.into() });
    }

    /// All of `others` too.
    pub(super) fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of their discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `value` if there are none.
    pub(super) fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &*self.0 {
            return write!(f, "{only}");
        }
        write!(f, "{} things are wrong with the configuration:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}
