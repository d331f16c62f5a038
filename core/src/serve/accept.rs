//! Sockets, from the listener on shard 0 to the shard that serves them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use corelane_net::budget::ByteBudget;
use corelane_net::connection::{self, Shared};
use corelane_net::limits::Limits;
use corelane_storage::runtime::Runtime;
use futures_util::future::{Either, select};

use super::ServeError;
use crate::api::Handler;
use crate::cli::ServeOptions;
use crate::metrics::counters::CloseReason;
use crate::runtime::{ShardRuntime, TcpListener, TcpStream, bind};
use crate::shard::Shard;
use crate::shard::socket::{Clock, Socket};

/// Bytes of requests under way, of all shards together; each has room for one of the largest, and may
/// go over its share by one.
const REQUEST_BUDGET_BYTES: usize = 256 << 20;

/// Listening sockets on shard 0.
pub struct Listeners {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Listens on every address.
    pub fn bind(runtime: &ShardRuntime, addresses: &[SocketAddr]) -> Result<Self, ServeError> {
        let (mut listeners, mut bound) = (Vec::new(), Vec::new());
        for address in addresses {
            let failed = |source| ServeError::Listen { address: *address, source };
            let listener = TcpListener::new(runtime, bind(*address).map_err(failed)?);
            bound.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        Ok(Listeners { listeners, addresses: bound })
    }

    /// Where they listen, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The port of the first.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Accepts until the broker stops.
    pub fn start(self, shard: &Rc<Shard>, options: &ServeOptions) {
        let limits =
            Limits { request_bytes_max: options.max_request_bytes as usize, ..Limits::default() };
        for listener in self.listeners {
            shard.runtime.spawn(accept(shard.clone(), listener, limits.clone()));
        }
    }
}

async fn accept(shard: Rc<Shard>, listener: TcpListener, limits: Limits) {
    loop {
        let stopping = Box::pin(shard.stopping.recv_async());
        let accepted = match select(Box::pin(listener.accept()), stopping).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => return,
        };
        match accepted {
            Ok((socket, peer)) => hand_over(&shard, socket, peer, limits.clone()).await,
            Err(error) => {
                tracing::error!(%error, "the listener has failed: no new connections");
                return;
            }
        }
    }
}

/// Gives the socket to the shard with the fewest.
async fn hand_over(shard: &Rc<Shard>, socket: OwnedFd, peer: SocketAddr, limits: Limits) {
    let counts = shard.connections.counts();
    let to = counts.assign();
    let taken = shard.call(to, move |shard| {
        shard.runtime.spawn(serve(shard.clone(), socket, peer, limits));
    });
    if let Err(error) = taken.await {
        tracing::error!(%error, shard = to, %peer, "a connection is not served");
        counts.ended(to);
    }
}

async fn serve(shard: Rc<Shard>, socket: OwnedFd, peer: SocketAddr, limits: Limits) {
    let stream = match TcpStream::adopt(&shard.runtime, socket) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, %peer, "a connection was gone before it was served");
            shard.connections.counts().ended(shard.id);
            return;
        }
    };
    let _open = shard.connections.opened(stream.clone());
    shard.counters.connections_accepted.add(1);
    let shared = shard.connections.shared(|| shared(&limits, shard.count));
    let clock = Clock(shard.runtime.clone());
    let socket = Socket::new(stream, peer);
    let closed = connection::serve(socket, clock, Handler::new(&shard), shared).await;
    shard.counters.connections_closed.count(CloseReason::from(&closed));
}

/// What the connections of one shard share.
fn shared(limits: &Limits, shards: usize) -> Shared {
    let limit_bytes = (REQUEST_BUDGET_BYTES / shards).max(limits.request_bytes_max);
    let budget = ByteBudget::new("requests", limit_bytes, limits.request_bytes_max);
    Shared::new("clients", limits.clone(), budget)
}
