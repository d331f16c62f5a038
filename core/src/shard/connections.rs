//! Accepted sockets: how many each shard has, who gets the next one, and how they end.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corelane_net::connection::Shared;

use crate::runtime::TcpStream;

/// Connections per shard, for whoever accepts; shared by all shards.
#[derive(Clone)]
pub struct ConnectionCounts(Arc<[AtomicUsize]>);

impl ConnectionCounts {
    /// All zero.
    pub fn new(shards: usize) -> ConnectionCounts {
        ConnectionCounts((0..shards).map(|_| AtomicUsize::new(0)).collect())
    }

    /// The shard with the fewest (the first of equals), or `fixed`; counted as having one more.
    pub fn assign(&self, fixed: Option<usize>) -> usize {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let fewest = || counts.enumerate().min_by_key(|(_, count)| *count).map_or(0, |(i, _)| i);
        let assigned = fixed.unwrap_or_else(fewest);
        self.arrives(assigned);
        assigned
    }

    /// One more comes to `shard`, from another.
    pub fn arrives(&self, shard: usize) {
        self.0[shard].fetch_add(1, Ordering::Relaxed);
    }

    /// One of `shard`'s has ended.
    pub fn ended(&self, shard: usize) {
        self.0[shard].fetch_sub(1, Ordering::Relaxed);
    }
}

/// The open connections of one shard.
#[derive(Clone)]
pub struct Connections(Rc<Inner>);

struct Inner {
    shard: usize,
    counts: ConnectionCounts,
    next_id: Cell<u64>,
    open: RefCell<HashMap<u64, TcpStream>>,
    shared: OnceCell<Shared>,
}

/// One open connection; ends with this.
pub struct Open {
    connections: Connections,
    id: u64,
}

impl Connections {
    /// None open yet.
    pub fn new(shard: usize, counts: ConnectionCounts) -> Connections {
        let (next_id, open) = (Cell::new(0), RefCell::default());
        Connections(Rc::new(Inner { shard, counts, next_id, open, shared: OnceCell::new() }))
    }

    /// Counts of all shards.
    pub fn counts(&self) -> &ConnectionCounts {
        &self.0.counts
    }

    /// Remembers a connection that [`ConnectionCounts::assign`] gave to this shard.
    pub fn opened(&self, stream: TcpStream) -> Open {
        let id = self.0.next_id.replace(self.0.next_id.get() + 1);
        self.0.open.borrow_mut().insert(id, stream);
        Open { connections: self.clone(), id }
    }

    /// What all of them share: limits, the budget of request bytes; made by the first.
    pub fn shared(&self, make: impl FnOnce() -> Shared) -> Shared {
        self.0.shared.get_or_init(make).clone()
    }

    /// Bytes of requests that they have reserved and may reserve, once there was one.
    pub fn request_budget_bytes(&self) -> Option<(usize, usize)> {
        let budget = &self.0.shared.get()?.budget;
        Some((budget.used_bytes(), budget.limit_bytes()))
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.0.open.borrow().len()
    }

    /// Ends the reading side of all: requests that were read are still answered.
    pub fn stop_reading(&self) {
        for stream in self.0.open.borrow().values() {
            if let Err(error) = stream.shutdown(Shutdown::Read) {
                tracing::debug!(%error, "shutting down a socket");
            }
        }
    }
}

impl Open {
    /// Lets go of the socket, which leaves this shard.
    pub fn let_go(&self) {
        // Bound to a name: dropped after the borrow.
        let _stream = self.connections.0.open.borrow_mut().remove(&self.id);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.let_go();
        self.connections.0.counts.ended(self.connections.0.shard);
    }
}
