//! Work that is too long for a step: it is done on another thread, and may be out of date when it is.

use corelane_net::codec::Str;

use super::assignor::Question;
use super::partitions::Partitions;
use super::pattern::Pattern;

/// A question with fewer partitions and wishes than this is answered within the step: 200 us at most.
pub(super) const STEP_COST_MAX: usize = 4_000;
/// So many topics are held against patterns within the step.
pub(super) const STEP_TOPICS_MAX: usize = 500;

/// What is to be worked out.
#[derive(Debug)]
pub enum Finding {
    /// Who is to own what.
    Target {
        /// For this epoch of the group.
        epoch: i32,
        /// Among whom.
        question: Question,
    },
    /// Which topics match.
    Matches {
        /// Of this version.
        version: u64,
        /// The topics.
        names: Vec<Str>,
        /// Patterns, those compiled that are.
        patterns: Vec<(Str, Option<Pattern>)>,
    },
}

/// Work for a group.
#[derive(Debug)]
pub struct Job {
    /// The group.
    pub group: Str,
    /// What is to be worked out.
    pub finding: Finding,
}

/// What was worked out.
#[derive(Debug)]
pub enum Done {
    /// Who is to own what.
    Target {
        /// For this epoch of the group.
        epoch: i32,
        /// Each member's part.
        targets: Vec<(Str, Partitions)>,
    },
    /// Which topics match.
    Matches {
        /// Of this version.
        version: u64,
        /// By pattern; a pattern that does not compile any more matches nothing.
        found: Vec<(Str, Option<Pattern>, Vec<Str>)>,
    },
    /// It could not be done.
    Failed,
}

impl Job {
    /// Does the work.
    pub fn run(self) -> Done {
        match self.finding {
            Finding::Target { epoch, question } => {
                Done::Target { epoch, targets: targets(question) }
            }
            Finding::Matches { version, names, patterns } => {
                let one = |(text, pattern): (Str, Option<Pattern>)| {
                    let pattern = pattern.or_else(|| Pattern::new(&text).ok());
                    let topics = matching(&names, pattern.as_ref());
                    (text, pattern, topics)
                };
                Done::Matches { version, found: patterns.into_iter().map(one).collect() }
            }
        }
    }
}

pub(super) fn targets(question: Question) -> Vec<(Str, Partitions)> {
    let answer = question.answer();
    question.members.into_iter().map(|member| member.id).zip(answer).collect()
}

pub(super) fn matching(names: &[Str], pattern: Option<&Pattern>) -> Vec<Str> {
    let Some(pattern) = pattern else { return Vec::new() };
    names.iter().filter(|name| pattern.matches(name)).cloned().collect()
}
