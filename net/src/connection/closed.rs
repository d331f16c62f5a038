//! Why connections end, and how that is logged.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::codec::{DecodeError, EncodeError};
use crate::frame::FrameError;
use crate::messages::Api;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The client closed its side between two frames.
    #[error("closed by the client")]
    EndOfStream,
    /// A frame that is none, or a socket that failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An API that this broker does not serve, or a version of it.
    #[error("API key {key} version {version} is not served")]
    UnsupportedApi {
        /// The API key.
        key: i16,
        /// The version.
        version: i16,
    },
    /// A header or body that does not fit its schema.
    #[error("undecodable request, API key {key} version {version}: {source}")]
    Undecodable {
        /// The API key, as far as it was read.
        key: i16,
        /// The version, as far as it was read.
        version: i16,
        /// What did not fit.
        source: DecodeError,
    },
    /// No request for [`crate::limits::Limits::idle_timeout`].
    #[error("idle for too long")]
    IdleTimeout,
    /// A frame that was begun and not completed in time.
    #[error("a frame of {frame_bytes} bytes was not completed in time")]
    ReadTimeout {
        /// The frame's length, or that of its prefix.
        frame_bytes: usize,
    },
    /// A client that does not read its answers.
    #[error("the client does not read its answers")]
    WriteTimeout,
    /// Answers that took too long after the client had closed its side.
    #[error("answers were still under way long after the client closed its side")]
    DrainTimeout,
    /// The socket failed, or the client is gone.
    #[error("writing failed: {0}")]
    Write(#[source] io::Error),
    /// The service asked for it.
    #[error("closed by the broker")]
    ByService,
    /// An answer that cannot be encoded: a fault of the broker.
    #[error("answer to {api:?} version {version} cannot be encoded: {source}")]
    Unencodable {
        /// The API.
        api: Api,
        /// The version.
        version: i16,
        /// Why.
        source: EncodeError,
    },
    /// An answer of another API than the request's: a fault of the broker.
    #[error("{request:?} was answered as {response:?}")]
    WrongAnswer {
        /// The request's API.
        request: Api,
        /// The response's.
        response: Api,
    },
}

/// Who is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// Nobody: that is how connections end.
    Nobody,
    /// The client: its owner wants to know, at a bounded rate.
    Client,
    /// This program.
    Broker,
}

impl Closed {
    /// True if somebody did wrong.
    pub fn is_fault(&self) -> bool {
        self.blame() != Blame::Nobody
    }

    fn blame(&self) -> Blame {
        use Closed::*;
        match self {
            EndOfStream | IdleTimeout | ByService | Write(_) => Blame::Nobody,
            Frame(FrameError::Read(_) | FrameError::Truncated { .. }) => Blame::Nobody,
            DrainTimeout => Blame::Nobody,
            Frame(FrameError::Length { .. }) | UnsupportedApi { .. } | Undecodable { .. } => {
                Blame::Client
            }
            Frame(FrameError::TooSlow { .. }) | ReadTimeout { .. } | WriteTimeout => Blame::Client,
            Unencodable { .. } | WrongAnswer { .. } => Blame::Broker,
        }
    }
}

/// Clients' faults logged per second at `info`; further ones go to `debug`.
const FAULTS_PER_SECOND: u32 = 5;

/// Logs why connections end. A client that keeps breaking the protocol cannot flood the log.
#[derive(Debug, Default)]
pub struct FaultLog {
    second: Cell<Option<Instant>>,
    logged: Cell<u32>,
    suppressed: Cell<u64>,
}

impl FaultLog {
    /// Logs one connection's end.
    pub fn log(&self, peer: SocketAddr, closed: &Closed) {
        match closed.blame() {
            Blame::Broker => tracing::error!(%peer, reason = %closed, "connection closed"),
            Blame::Client if self.admit(Instant::now()) => {
                let suppressed = self.suppressed.take();
                tracing::info!(%peer, reason = %closed, suppressed, "connection closed");
            }
            Blame::Client | Blame::Nobody => {
                tracing::debug!(%peer, reason = %closed, "connection closed");
            }
        }
    }

    /// True for the first few faults of each second.
    fn admit(&self, now: Instant) -> bool {
        let second = self.second.get().unwrap_or(now);
        if self.second.get().is_none() || now.duration_since(second) >= Duration::from_secs(1) {
            self.second.set(Some(now));
            self.logged.set(0);
        }
        let logged = self.logged.get();
        if logged < FAULTS_PER_SECOND {
            self.logged.set(logged + 1);
            return true;
        }
        self.suppressed.set(self.suppressed.get() + 1);
        false
    }
}
