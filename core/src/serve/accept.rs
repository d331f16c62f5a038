//! Sockets, from the listeners on shard 0 (or of each shard) to the shard that serves them, and from there to the one
//! to which they move.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use corelane_net::budget::{ByteBudget, Reserve};
use corelane_net::connection::{self, Carried, End, Shared};
use corelane_net::limits::Limits;
use corelane_storage::runtime::Runtime;
use futures_util::future::{Either, select};
use socket2::SockRef;

use super::refusals::Refusals;
use super::{ServeError, ports};
use crate::api::Handler;
use crate::metrics::counters::CloseReason;
use crate::runtime::{TcpListener, TcpStream};
use crate::settings::{Configuration, Listener};
use crate::shard::admission::{Admission, Admitted};
use crate::shard::connections::Open;
use crate::shard::moves::{Locality, Travelled};
use crate::shard::socket::{Clock, Socket};
use crate::shard::{ListenerId, Shard};

/// Bytes of requests under way, of all shards together; each has room for one of the largest, and may
/// go over its share by one.
const REQUEST_BUDGET_BYTES: usize = 256 << 20;

/// Frames up to this length have a part of the budget for themselves: one in so many bytes.
const SMALL_FRAME_BYTES: usize = 64 << 10;
const SMALL_FRAMES_PART: usize = 8;

/// Listening sockets.
pub struct Listeners(Vec<Bound>);

/// One listener with its sockets: one for each address that its host stands for, and where each shard
/// has a port, for each shard.
struct Bound {
    name: Arc<str>,
    /// By shard: of shard 0 alone, or of all.
    sockets: Vec<Vec<OwnedFd>>,
    /// Those of shard 0.
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Listens on every address.
    pub fn bind(configuration: &Configuration, shards: usize) -> Result<Self, ServeError> {
        let count = ports::per_listener(configuration, shards);
        let bound = configuration.listeners.iter().map(|listener| Bound::new(listener, count));
        Ok(Listeners(bound.collect::<Result<_, _>>()?))
    }

    /// Where each listens, with the ports that the system chose; where shards have ports, the first's.
    pub fn addresses(&self) -> impl Iterator<Item = &[SocketAddr]> {
        self.0.iter().map(|bound| &*bound.addresses)
    }

    /// The port of each.
    pub fn ports(&self) -> Vec<u16> {
        let port = |bound: &Bound| bound.addresses.first().map_or(0, SocketAddr::port);
        self.0.iter().map(port).collect()
    }

    /// Accepts until the broker stops.
    ///
    /// # Errors
    /// A shard that does not accept.
    pub async fn start(
        self,
        shard: &Rc<Shard>,
        admission: &Admission,
        configuration: &Configuration,
    ) -> Result<(), ServeError> {
        let limits = Limits {
            request_bytes_max: configuration.max_request_bytes as usize,
            idle_timeout: configuration.idle_timeout,
            ..Limits::default()
        };
        let keeps = configuration.port_per_shard;
        for (index, bound) in self.0.into_iter().enumerate() {
            for (to, sockets) in bound.sockets.into_iter().enumerate() {
                let (name, admission) = (bound.name.clone(), admission.clone());
                let limits = limits.clone();
                let open = move |shard: &Rc<Shard>| {
                    let (id, refusals) = (ListenerId(index), RefCell::default());
                    let door = Rc::new(Door { id, name, keeps, admission, refusals, limits });
                    for socket in sockets {
                        let socket = TcpListener::new(&shard.runtime, socket);
                        shard.runtime.spawn(accept(shard.clone(), socket, door.clone()));
                    }
                };
                let opened = shard.call(to, open).await;
                opened.map_err(|source| ServeError::Accept { shard: to, source })?;
            }
        }
        Ok(())
    }
}

impl Bound {
    fn new(listener: &Listener, count: usize) -> Result<Bound, ServeError> {
        let name = Arc::from(&*listener.name);
        let sockets = (0..count).map(|_| Vec::new()).collect();
        let mut bound = Bound { name, sockets, addresses: Vec::new() };
        for address in &listener.addresses {
            let mut address = *address;
            // A name of several addresses has one port, also where the system chooses it.
            if let Some(first) = bound.addresses.first().filter(|_| address.port() == 0) {
                address.set_port(first.port());
            }
            let failed = |source| ServeError::Listen { address, source };
            for (shard, socket) in ports::bind_all(address, count)?.into_iter().enumerate() {
                if shard == 0 {
                    let local = SockRef::from(&socket).local_addr().map_err(failed)?;
                    bound.addresses.extend(local.as_socket());
                }
                bound.sockets[shard].push(socket);
            }
        }
        Ok(bound)
    }
}

/// What a listener's sockets share.
struct Door {
    id: ListenerId,
    name: Arc<str>,
    /// What comes in here stays on this shard.
    keeps: bool,
    admission: Admission,
    refusals: RefCell<Refusals>,
    limits: Limits,
}

impl Door {
    /// A new connection.
    fn arrival(&self, socket: OwnedFd, peer: SocketAddr, admitted: Admitted) -> Arrival {
        let (listener_name, limits) = (self.name.clone(), self.limits.clone());
        Arrival {
            socket,
            carried: Carried::default(),
            travelled: Travelled::default(),
            identity: Identity {
                listener: self.id,
                listener_name,
                limits,
                peer,
                _admitted: admitted,
            },
        }
    }

    /// Admits a connection, or says (now and then) that it does not.
    fn admit(&self, shard: &Shard, peer: SocketAddr) -> Option<Admitted> {
        let refused = match self.admission.admit(self.id, peer.ip()) {
            Ok(admitted) => return Some(admitted),
            Err(refused) => refused,
        };
        let now = shard.runtime.monotonic();
        if let Some(count) = self.refusals.borrow_mut().add(self.id, refused, now) {
            tracing::warn!(
                listener = &*self.name,
                limit = refused.key(),
                refused = count,
                last_peer = %peer.ip(),
                "connections were closed at once: as many are open as this limit allows"
            );
        }
        None
    }
}

async fn accept(shard: Rc<Shard>, listener: TcpListener, door: Rc<Door>) {
    loop {
        let stopping = Box::pin(shard.stopping.recv_async());
        let accepted = match select(Box::pin(listener.accept()), stopping).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                if let Some(admitted) = door.admit(&shard, peer) {
                    let to = shard.connections.counts().assign(door.keeps.then_some(shard.id));
                    hand_over(&shard, to, door.arrival(socket, peer, admitted)).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, listener = &*door.name, "the listener has failed: no new connections");
                return;
            }
        }
    }
}

/// A connection on its way to its shard. Dropped on the way, it is closed and counted out.
struct Arrival {
    socket: OwnedFd,
    carried: Carried,
    travelled: Travelled,
    identity: Identity,
}

/// What of a connection is the same on every shard.
struct Identity {
    listener: ListenerId,
    listener_name: Arc<str>,
    limits: Limits,
    peer: SocketAddr,
    /// Counts it for as long as it is open, wherever.
    _admitted: Admitted,
}

/// Gives the connection to a shard, where it is counted already.
async fn hand_over(shard: &Rc<Shard>, to: usize, arrival: Arrival) {
    let peer = arrival.identity.peer;
    let taken = shard.call(to, move |shard| shard.runtime.spawn(serve(shard.clone(), arrival)));
    if let Err(error) = taken.await {
        tracing::error!(%error, shard = to, %peer, "a connection is not served");
        shard.connections.counts().ended(to);
    }
}

async fn serve(shard: Rc<Shard>, arrival: Arrival) {
    // Counted out last, when the socket is closed.
    let Arrival { socket, carried, travelled, identity } = arrival;
    let peer = identity.peer;
    if shard.stopping.is_disconnected() {
        // What was told to stop reading, was told before this came.
        shard.connections.counts().ended(shard.id);
        return;
    }
    let stream = match TcpStream::adopt(&shard.runtime, socket) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, %peer, "a connection was gone before it was served");
            shard.connections.counts().ended(shard.id);
            return;
        }
    };
    let open = shard.connections.opened(stream.clone());
    let shared = shard.connections.shared(|| shared(&identity.limits, shard.count));
    let shared = Shared { listener: Rc::from(&*identity.listener_name), ..shared };
    let clock = Clock(shard.runtime.clone());
    let locality = Rc::new(Locality::new(&shard, travelled));
    let handler = Handler::new(&shard, identity.listener, locality.clone());
    match connection::serve(Socket::new(stream, peer), clock, handler, shared, carried).await {
        End::Closed(closed) => {
            shard.counters.connections_closed.count(CloseReason::from(&closed));
        }
        End::Left(socket, carried) => {
            let leaving = Leaving { socket, carried, identity };
            move_on(&shard, leaving, &locality, &open).await;
        }
    }
}

/// A connection that leaves its shard.
struct Leaving {
    socket: Socket,
    carried: Carried,
    identity: Identity,
}

/// Gives a connection to the shard that it is to move to. It counts here until it is there.
async fn move_on(shard: &Rc<Shard>, leaving: Leaving, locality: &Locality, open: &Open) {
    let Leaving { socket, carried, identity } = leaving;
    let travelled = locality.leave(shard);
    open.let_go();
    let Some(to) = locality.target() else { return };
    let socket = match socket.release() {
        Ok(socket) => socket,
        Err(error) => {
            let peer = identity.peer;
            tracing::warn!(%error, %peer, "a connection can't move to another shard: it is closed");
            shard.counters.connections_closed.count(CloseReason::Broker);
            return;
        }
    };
    shard.counters.connections_moved.add(1);
    shard.connections.counts().arrives(to);
    hand_over(shard, to, Arrival { socket, carried, travelled, identity }).await;
}

/// What the connections of one shard share.
fn shared(limits: &Limits, shards: usize) -> Shared {
    let limit_bytes = (REQUEST_BUDGET_BYTES / shards).max(limits.request_bytes_max);
    let reserve = Reserve::new(limit_bytes / SMALL_FRAMES_PART, SMALL_FRAME_BYTES);
    let largest_bytes = limits.request_bytes_max;
    let budget = ByteBudget::with_reserve("requests", limit_bytes, largest_bytes, reserve);
    Shared::new("clients", limits.clone(), budget)
}
