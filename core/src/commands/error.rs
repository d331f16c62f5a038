//! Why a command failed, in words that say what to do, and the exit code that goes with it.

use std::io;

use corelane_net::client::ClientError;
use corelane_net::error_code::ErrorCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker, or the way to it.
    #[error("{source}{}", advice(.source))]
    Client {
        /// What went wrong.
        #[from]
        source: ClientError,
    },
    /// A topic that is not there.
    #[error("topic '{name}' does not exist{}; `corelane topic list` shows what is there, \
             `corelane topic create {name}` makes it", did_you_mean(.nearest.as_deref()))]
    NoTopic {
        /// The name given.
        name: String,
        /// The name perhaps meant.
        nearest: Option<String>,
    },
    /// A partition that is not there.
    #[error("topic '{topic}' has no partition {partition}; its partitions are 0 to {}", .count.saturating_sub(1))]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition given.
        partition: i32,
        /// Partitions that it has.
        count: usize,
    },
    /// A group that is not there.
    #[error("group '{name}' does not exist{}; `corelane group list` shows what is there",
            did_you_mean(.nearest.as_deref()))]
    NoGroup {
        /// The name given.
        name: String,
        /// The name perhaps meant.
        nearest: Option<String>,
    },
    /// A command line that makes no sense here.
    #[error("{0}")]
    Usage(String),
    /// Standard output.
    #[error("writing to standard output: {0}")]
    Output(#[source] io::Error),
    /// Standard input.
    #[error("reading standard input: {0}")]
    Input(#[source] io::Error),
    /// Handlers of signals.
    #[error("handling signals: {0}")]
    Signals(#[source] io::Error),
    /// The input, or the records it became.
    #[error("{0}")]
    Data(String),
    /// Something went wrong after a part was done.
    #[error("{source}{done}")]
    Partial {
        /// What went wrong.
        source: Box<Error>,
        /// What was done before, as the end of a sentence.
        done: String,
    },
    /// Several failures, told already.
    #[error("{0}")]
    Several(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// True if the output's reader has gone, as `head` does.
    pub fn is_gone_reader(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Partial { .. } => super::PARTIAL,
            Error::Interrupted | Error::Client { source: ClientError::Interrupted } => {
                super::INTERRUPTED
            }
            _ => 1,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(" (did you mean '{nearest}'?)"))
}

/// What to do about a refusal whose own words may not say.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Connect { .. } | ClientError::NoBroker(_) => {
            "; is a broker running there? --bootstrap HOST:PORT names another"
        }
        ClientError::Silent { .. } => "; --timeout waits longer",
        _ => match error.code() {
            Some(
                ErrorCode::TopicAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::GroupAuthorizationFailed,
            ) => "; this client is not allowed to: ask whoever runs the broker",
            Some(ErrorCode::NotController) => "; the controller has moved, try again",
            _ => "",
        },
    }
}
