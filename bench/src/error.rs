//! Why a measurement could not begin, or could not go on.

use std::io;
use std::path::PathBuf;

use corelane_net::client::ClientError;
use corelane_net::codec::{DecodeError, EncodeError};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::Api;

use crate::load::Recorder;
use crate::wire::FrameError;

/// Why a command of the load harness failed. What was measured until then is in the report, if
/// there is one.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An argument makes no sense.
    #[error("{0}")]
    Argument(String),
    /// A question before or after the run.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An address to serve on.
    #[error("listening on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A connection that worked before.
    #[error("the connection to {address}: {source}")]
    Connection {
        /// Where to.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The broker closed a connection.
    #[error("the broker at {address} closed the connection")]
    Closed {
        /// Where to.
        address: String,
    },
    /// An answer that is no frame.
    #[error("the broker at {address} answered nonsense: {source}")]
    Frame {
        /// Where to.
        address: String,
        /// What is wrong with it.
        source: FrameError,
    },
    /// An answer that can't be read.
    #[error("an answer to {api:?} can't be read: {source}")]
    Decode {
        /// The API.
        api: Api,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// An answer to another request than the one whose turn it is.
    #[error("answer {received} came where answer {expected} was due")]
    OutOfOrder {
        /// The correlation id whose turn it was.
        expected: i32,
        /// The one that came.
        received: i32,
    },
    /// A request that can't be written: too long, or a field that the version lacks.
    #[error("a request can't be written: {0}")]
    Encode(#[from] EncodeError),
    /// An API that the broker does not offer in any version known here.
    #[error("the broker does not offer {0:?} in a version that is known here")]
    Unsupported(Api),
    /// The broker refused.
    #[error("{what}: the broker refused with {code}{}", detail(message))]
    Refused {
        /// What was asked for.
        what: String,
        /// Its error.
        code: ErrorCode,
        /// Its words.
        message: Option<String>,
    },
    /// A topic that must be there is not.
    #[error(
        "topic {0} does not exist; without --topic the run makes one of its own and deletes it"
    )]
    NoSuchTopic(String),
    /// Partitions without a leader.
    #[error("topic {topic} has no leader for all of its partitions after {waited_s} s")]
    NoLeader {
        /// The topic.
        topic: String,
        /// How long was waited, seconds.
        waited_s: u64,
    },
    /// Partitions that are not numbered as everybody's are.
    #[error(
        "the broker's answer is wrong: the {count} partitions of topic {topic} are not those from 0 \
         to {}", count - 1
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has, at least 1.
        count: usize,
    },
    /// The user wished it, before there was anything to tell.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// A file.
    #[error("{operation} {}: {source}", path.display())]
    File {
        /// The operation, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A client of others.
    #[error("{0}")]
    Foreign(String),
    /// A broker that was to be started for the run.
    #[error("starting `{command}`: {reason}{words}")]
    Spawn {
        /// Its command line.
        command: String,
        /// What went wrong.
        reason: String,
        /// Its last words, each on a line of its own.
        words: String,
    },
    /// A broker that was started for the run, and ended in it.
    #[error("{error}; {obituary}")]
    Died {
        /// What the run came upon.
        #[source]
        error: Box<BenchError>,
        /// Exit status and last words.
        obituary: String,
    },
    /// What was measured has no JSON form.
    #[error("as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Anything else that the system refused.
    #[error("{operation}: {source}")]
    System {
        /// The operation.
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl BenchError {
    /// A run that ended because `what` was refused again and again.
    pub(crate) fn refused_often(recorder: &Recorder, what: &str) -> BenchError {
        let most = recorder.refusals.iter().max_by_key(|(_, count)| **count);
        let code =
            most.map_or(ErrorCode::UnknownServerError, |(code, _)| ErrorCode::from_number(*code));
        BenchError::Refused { what: what.to_owned(), code, message: None }
    }
}

fn detail(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
}

/// For `map_err`: the system refused `operation`.
pub(crate) fn system<E: Into<io::Error>>(operation: &'static str) -> impl Fn(E) -> BenchError {
    move |source| BenchError::System { operation, source: source.into() }
}
