//! What went wrong between a client and a broker, and what to do about it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::address::{Address, AddressError};
use super::foreign::Foreign;
use super::retry;
use crate::codec::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::messages::Api;

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A text that is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A host name that nothing knows.
    #[error("the host name {host} can't be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// No connection.
    #[error("can't connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: Address,
        /// The system's reason.
        source: io::Error,
    },
    /// None of several addresses leads to a broker.
    #[error("none of the brokers can be reached: {}", join(.0))]
    NoBroker(
        /// Why not, address by address.
        Vec<ClientError>,
    ),
    /// Something else than a broker.
    #[error("{address} does not speak the Kafka protocol: {foreign}")]
    Foreign {
        /// Where.
        address: Address,
        /// What it is taken for.
        foreign: Foreign,
    },
    /// Closed before the first answer.
    #[error(
        "{address} closed the connection without an answer: it is no Kafka broker, or a port for \
         encrypted connections (TLS), which are not supported; give that of a plaintext listener"
    )]
    Unwelcome {
        /// Where.
        address: Address,
    },
    /// Nothing came.
    #[error(
        "{address} accepted the connection but did not answer {api:?} within {waited:?}: the \
         broker hangs, or it is none"
    )]
    Silent {
        /// Where.
        address: Address,
        /// What was asked.
        api: Api,
        /// How long was waited.
        waited: Duration,
    },
    /// The broker closed the connection.
    #[error(
        "the broker at {address} closed the connection instead of answering {api:?}; its log says why"
    )]
    Closed {
        /// Where.
        address: Address,
        /// What was asked.
        api: Api,
    },
    /// The connection broke.
    #[error("the connection to {address} broke during {api:?}: {source}")]
    Connection {
        /// Where.
        address: Address,
        /// What was asked.
        api: Api,
        /// The system's reason.
        source: io::Error,
    },
    /// An answer above the limit.
    #[error(
        "the broker at {address} answers {api:?} with {length} bytes; at most {max_bytes} are taken"
    )]
    TooLarge {
        /// Where.
        address: Address,
        /// What was asked.
        api: Api,
        /// The length claimed.
        length: i32,
        /// The limit in force, bytes.
        max_bytes: usize,
    },
    /// An answer that can't be read.
    #[error("the answer of {address} to {api:?} can't be read: {source}")]
    Decode {
        /// Where.
        address: Address,
        /// What was asked.
        api: Api,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// An answer to another request than the one whose turn it is.
    #[error("{address} sent answer {received} where answer {expected} was due")]
    OutOfOrder {
        /// Where.
        address: Address,
        /// The correlation id whose turn it was.
        expected: i32,
        /// The one that came.
        received: i32,
    },
    /// A connection whose answers are due is to be replaced, for it broke or its broker has moved.
    #[error(
        "{due} answers of the broker at {address} are lost: the connection broke, or the broker has \
         moved"
    )]
    AnswersLost {
        /// Where the connection leads.
        address: Address,
        /// Answers due on it.
        due: usize,
    },
    /// A question whose answer is to come at once, while others are due.
    #[error("{api:?} can't be asked of {address}: {due} other answers of it are due; try again")]
    Busy {
        /// Where.
        address: Address,
        /// What was to be asked.
        api: Api,
        /// Answers due.
        due: usize,
    },
    /// An answer was waited for although nothing was asked.
    #[error("nothing was asked of {address} that it could answer; try again")]
    NotAsked {
        /// Where.
        address: Address,
    },
    /// A request that can't be written: too long, or a field that the version lacks.
    #[error("a {api:?} request can't be written: {source}")]
    Encode {
        /// What was to be asked.
        api: Api,
        /// What is wrong with it.
        source: EncodeError,
    },
    /// An API that the broker lacks, or offers in other versions.
    #[error("the broker at {address} can't be asked for {api:?}: {}", versions(*.api, *.offered))]
    Unsupported {
        /// Where.
        address: Address,
        /// The API.
        api: Api,
        /// The broker's lowest and highest version, if it has the API at all.
        offered: Option<(i16, i16)>,
    },
    /// The broker refused.
    #[error("{what}: the broker refused with {code}{}", detail(.message.as_deref()))]
    Refused {
        /// What was asked for.
        what: String,
        /// Its error.
        code: ErrorCode,
        /// Its words.
        message: Option<String>,
    },
    /// An answer that leaves out what was asked for.
    #[error("{what}: the broker's answer does not say")]
    Unanswered {
        /// What was asked for.
        what: String,
    },
    /// A broker that metadata does not name.
    #[error("broker {0} is not in the cluster's metadata; it may be down")]
    UnknownBroker(
        /// Its id.
        i32,
    ),
    /// Metadata of a topic that leaves out partitions.
    #[error(
        "the broker lists {count} partitions of topic '{topic}' but not partition {missing}; they \
         are numbered from 0 without gaps: its metadata is damaged, another broker's may not be"
    )]
    MissingPartition {
        /// The topic.
        topic: String,
        /// Partitions listed.
        count: usize,
        /// The first that is not.
        missing: i32,
    },
    /// A partition without a leader.
    #[error(
        "partition {partition} of topic '{topic}' has no leader: the brokers that hold it are down"
    )]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// An error that might have passed did not.
    #[error("gave up after {waited:?}: {last}")]
    GaveUp {
        /// How long was tried.
        waited: Duration,
        /// The last attempt's error.
        #[source]
        last: Box<ClientError>,
    },
    /// What several things have failed of.
    #[error(transparent)]
    Shared(Arc<ClientError>),
    /// The user wished it.
    #[error("interrupted")]
    Interrupted,
}

impl ClientError {
    /// The broker's refusal of `what` as an error.
    pub fn refused(what: impl Into<String>, code: ErrorCode, message: Option<&str>) -> ClientError {
        // Words that only repeat the code's name say nothing.
        let message = message.filter(|words| !words.is_empty()).map(str::to_owned);
        ClientError::Refused { what: what.into(), code, message }
    }

    /// True if the next attempt may succeed: a connection that broke, a leader that moved.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Connect { .. }
            | ClientError::Closed { .. }
            | ClientError::Connection { .. }
            | ClientError::Silent { .. }
            | ClientError::AnswersLost { .. }
            | ClientError::Unwelcome { .. }
            | ClientError::UnknownBroker(_)
            | ClientError::NoLeader { .. } => true,
            ClientError::NoBroker(errors) => errors.iter().all(ClientError::is_retriable),
            ClientError::Refused { code, .. } => retry::is_retriable(*code),
            ClientError::Shared(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// The broker's error code, if it is one that ended it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            ClientError::GaveUp { last, .. } => last.code(),
            ClientError::Shared(error) => error.code(),
            _ => None,
        }
    }
}

fn join(errors: &[ClientError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn detail(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

fn versions(api: Api, offered: Option<(i16, i16)>) -> String {
    let ours = api.versions();
    match offered {
        None => "it does not offer it".to_owned(),
        Some((lowest, highest)) => format!(
            "it offers versions {lowest} to {highest}, known here are {} to {}",
            ours.start(),
            ours.end()
        ),
    }
}
