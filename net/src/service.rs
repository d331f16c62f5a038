//! What a connection asks of the broker behind it.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crate::codec::Str;
use crate::messages::{Api, EncodedResponse, Request, Response};

/// Answers requests. Cloned once per connection.
pub trait Service: Clone + 'static {
    /// The versions of `api` that are served, within those the codec declares; `None` refuses it.
    /// A request of another version ends its connection, except ApiVersions, which is answered as
    /// KIP-511 says.
    fn versions(&self, api: Api) -> Option<RangeInclusive<i16>> {
        Some(api.versions())
    }

    /// Begins one request. Called in arrival order, one at a time per connection: whatever must
    /// keep that order (handing batches to their owners) happens before this future ends.
    ///
    /// The [`Pending`] it yields is polled until it has the answer. On one connection only Produce
    /// and Fetch overlap: before any other API the connection waits for all pending answers, and it
    /// waits for that one's before it reads on. The request's bytes stay reserved in the
    /// [`crate::budget::ByteBudget`] until the `Pending` has ended.
    ///
    /// If the connection is closed, either future is dropped where it stands. A panic of the `Pending`
    /// closes the connection.
    fn begin(&self, request: Request, context: &RequestContext) -> impl Future<Output = Pending>;

    /// True if the connection shall leave this thread ([`crate::connection::End::Left`]). Asked before each
    /// request is read: no more are then, and it leaves as soon as those begun are answered; or if a fetch
    /// is among them, which may take long, with the first request that comes after the answers.
    fn leaves(&self) -> bool {
        false
    }

    /// What `work` gives, which may take milliseconds: decoding a large request. `None` if it can't be
    /// had, which ends the connection. A service whose thread serves others as well runs it elsewhere.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> {
        async { Some(work()) }
    }

    /// A request was decoded, so long after its last byte: for counting.
    fn decoded(&self, _took: Duration) {}

    /// Answers that were written together are written, so long after their writing began: for
    /// counting.
    fn sent(&self, _took: Duration) {}

    /// A request has its answer, which leaves next: for counting. Requests of a connection that
    /// ends before are not told of.
    fn answered(&self, _exchange: &Exchange<'_>) {}
}

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The API.
    pub api: Api,
    /// Length of the request's frame, its prefix included.
    pub request_bytes: usize,
    /// Length of the answer's frame, its prefix included; 0 if nothing is sent.
    pub response_bytes: usize,
    /// From the request's last byte to the answer's turn on its connection.
    pub took: Duration,
    /// The answer.
    pub answer: &'a Answer,
}

/// An answer under way.
pub type Pending = Pin<Box<dyn Future<Output = Answer>>>;

/// What to do with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Send this response. It must be of the request's API.
    Send(Response),
    /// Send this one, encoded before. It must be of the request's API and version.
    SendEncoded(EncodedResponse),
    /// Send nothing: a Produce with acks=0 that went well.
    Silent,
    /// Send the answers before this one, then close the connection.
    Close,
}

impl Answer {
    /// An answer known already.
    pub fn ready(self) -> Pending {
        Box::pin(std::future::ready(self))
    }
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's address.
    pub peer: SocketAddr,
    /// The listener it came in by.
    pub listener: Rc<str>,
    /// The API.
    pub api: Api,
    /// The version in which the request came, and in which its answer will be written.
    pub version: i16,
    /// The request's number, as the client chose it.
    pub correlation_id: i32,
    /// Who the client says it is. In memory of its own: may be kept.
    pub client_id: Option<Str>,
    /// The client's library, if it has told (ApiVersions, from version 3 on).
    pub client_software: Option<ClientSoftware>,
}

/// A client's library (KIP-511). In memory of its own: may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSoftware {
    /// Its name, such as `librdkafka` or `apache-kafka-java`.
    pub name: Str,
    /// Its version.
    pub version: Str,
}
