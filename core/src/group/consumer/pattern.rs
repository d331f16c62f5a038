//! Regular expressions that topics match. Kafka's are RE2/J's; these have the same bounds (time linear in the text,
//! no back references) and all but the same syntax.

use std::sync::Arc;

use corelane_net::codec::Str;
use regex::{Regex, RegexBuilder};

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 8 << 10;
/// What a compiled pattern may hold in memory.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is too long.
    #[error("it is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// It is malformed, or takes too much memory.
    #[error("{0}")]
    Malformed(String),
}

/// A compiled pattern that whole names match.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Regex>);

impl Pattern {
    /// Compiles; may take some milliseconds.
    ///
    /// # Errors
    /// Every [`BadPattern`].
    pub fn new(pattern: &str) -> Result<Pattern, BadPattern> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(BadPattern::TooLong);
        }
        // Alone first, so that a stray bracket does not close ours.
        compile(pattern).map_err(|error| BadPattern::Malformed(error.to_string()))?;
        // The end of line ends a comment of the pattern's own, where the flag `x` allows some.
        let whole = compile(&format!("\\A(?:{pattern})\\z"))
            .or_else(|_| compile(&format!("\\A(?:{pattern}\n)\\z")));
        let whole = whole.map_err(|error| BadPattern::Malformed(error.to_string()))?;
        Ok(Pattern(Arc::new(whole)))
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
}

/// A pattern that members subscribe to, and what matches it.
#[derive(Debug)]
pub(super) struct Matches {
    /// `None` until it is needed, after a restart.
    pub pattern: Option<Pattern>,
    /// Sorted.
    pub topics: Vec<Str>,
    /// The version of the topics that it was held against.
    pub version: Option<u64>,
}

impl Matches {
    pub fn new() -> Matches {
        Matches { pattern: None, topics: Vec::new(), version: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_match() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().matches(name);
        assert!(matches("foo.*", "foobar") && !matches("foo", "foobar"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(!matches("^foo", "foobar") && matches("^foo$", "foo"));
        assert!(matches("(?i)FOO-\\d+", "foo-12") && matches("(?x) foo # words", "foo"));
        assert!(!matches("(?m)a$", "a\nb"));
    }

    #[test]
    fn what_is_none_or_too_much_is_refused() {
        for bad in ["(", "a)(b", "*", "[", "(?<=a)b", "(a)\\1", "(a{1000}){1000}"] {
            assert!(matches!(Pattern::new(bad), Err(BadPattern::Malformed(_))), "{bad}");
        }
        assert_eq!(Pattern::new(&"x".repeat(9_000)).unwrap_err(), BadPattern::TooLong);
    }
}
