//! Regular expressions that topics match. Kafka's are RE2/J's; these have the same bounds (time linear in the text,
//! no back references) and all but the same syntax.

use std::sync::Arc;

use corelane_net::codec::Str;
use regex::{Regex, RegexBuilder};

use super::ConsumerGroup;

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 8 << 10;
/// What a compiled pattern's program may be as large as. The first that is enough is taken for its size.
const PROGRAM_BYTES: [usize; 3] = [8 << 10, 64 << 10, PROGRAM_BYTES_MAX];
const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Programs forwards and backwards, and what is kept of a run.
const PARTS: usize = 3;

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
pub struct Pattern {
    regex: Arc<Regex>,
    bytes: usize,
}

impl Pattern {
    /// Compiles; may take some milliseconds.
    ///
    /// # Errors
    /// Every [`BadPattern`].
    pub fn new(pattern: &str) -> Result<Pattern, BadPattern> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(BadPattern::TooLong);
        }
        let malformed = |error: regex::Error| BadPattern::Malformed(error.to_string());
        // Alone first, so that a stray bracket does not close ours.
        compile(pattern, PROGRAM_BYTES_MAX).map_err(malformed)?;
        // The end of line ends a comment of the pattern's own, where the flag `x` allows some.
        let whole = smallest(&format!("\\A(?:{pattern})\\z"))
            .or_else(|_| smallest(&format!("\\A(?:{pattern}\n)\\z")));
        let (regex, program_bytes) = whole.map_err(malformed)?;
        Ok(Pattern { regex: Arc::new(regex), bytes: PARTS * program_bytes })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// What it holds in memory, roughly and rather too much.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The compiled pattern, and which of [`PROGRAM_BYTES`] it fits.
fn smallest(pattern: &str) -> Result<(Regex, usize), regex::Error> {
    let [small, medium, large] = PROGRAM_BYTES;
    let compiled = |bytes: usize| compile(pattern, bytes).map(|regex| (regex, bytes));
    compiled(small).or_else(|_| compiled(medium)).or_else(|_| compiled(large))
}

fn compile(pattern: &str, program_bytes: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(program_bytes).dfa_size_limit(PROGRAM_BYTES_MAX).build()
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
    fn new() -> Matches {
        Matches { pattern: None, topics: Vec::new(), version: None }
    }

    /// What it holds in memory, roughly.
    fn bytes(&self) -> usize {
        size_of::<Matches>()
            + self.pattern.as_ref().map_or(0, Pattern::bytes)
            + self.topics.len() * size_of::<Str>()
    }
}

impl ConsumerGroup {
    /// Sees to it that the pattern is known.
    pub(super) fn expect_matches(&mut self, text: &Str) {
        if !self.patterns.contains_key(text) {
            let matches = Matches::new();
            self.bytes += matches.bytes();
            self.patterns.insert(text.detached(), matches);
        }
    }

    /// Changes what is known of a pattern, if it is known.
    pub(super) fn change_matches(&mut self, text: &Str, change: impl FnOnce(&mut Matches)) {
        let Some(matches) = self.patterns.get_mut(text) else { return };
        let before = matches.bytes();
        change(matches);
        self.bytes = self.bytes + matches.bytes() - before;
        self.read = None;
    }

    pub(super) fn forget_matches(&mut self, text: &Str) {
        let Some(matches) = self.patterns.remove(text) else { return };
        self.bytes -= matches.bytes();
        self.read = None;
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
    fn large_ones_are_known_for_what_they_are() {
        let bytes = |pattern: &str| Pattern::new(pattern).unwrap().bytes();
        assert_eq!(bytes("orders-.*"), 24 << 10);
        assert_eq!(bytes("\\w+"), 192 << 10);
        assert_eq!(bytes("\\w{5}"), 3 << 20);
    }

    #[test]
    fn what_is_none_or_too_much_is_refused() {
        for bad in ["(", "a)(b", "*", "[", "(?<=a)b", "(a)\\1", "(a{1000}){1000}"] {
            assert!(matches!(Pattern::new(bad), Err(BadPattern::Malformed(_))), "{bad}");
        }
        assert_eq!(Pattern::new(&"x".repeat(9_000)).unwrap_err(), BadPattern::TooLong);
    }
}
