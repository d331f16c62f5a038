//! Who may connect: open connections by listener and by address, and the limits on them.
//!
//! One connection holds one [`Admitted`], which counts it for as long as it lives: however a
//! connection ends, it is counted out. Counts are exact on all shards: no limit is ever exceeded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ListenerId;
use crate::settings::ConnectionLimits;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// `max.connections`.
    Broker,
    /// `listener.name.<name>.max.connections`.
    Listener,
    /// `max.connections.per.ip`, or one of its overrides.
    Address,
}

impl Refused {
    /// All of them, in the order of [`ConnectionCounters::refused`].
    pub const ALL: [Refused; 3] = [Refused::Broker, Refused::Listener, Refused::Address];

    /// The key of the limit.
    pub fn key(self) -> &'static str {
        match self {
            Refused::Broker => "max.connections",
            Refused::Listener => "listener.name.<name>.max.connections",
            Refused::Address => "max.connections.per.ip",
        }
    }
}

/// What is counted of one listener.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl ConnectionCounters {
    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were taken, since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once for this reason, since the start.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Ordering::Relaxed)
    }
}

/// The limits and the counts; shared by all shards.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: ConnectionLimits,
    open: AtomicUsize,
    /// In the order of the listeners.
    listeners: Vec<ConnectionCounters>,
    /// Open connections of each address that has some; empty while no limit depends on it. Taken
    /// when a connection opens or closes, never for a request.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// The right of one connection to be open; dropped, it is counted out.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    admission: Admission,
    listener: ListenerId,
    address: Option<IpAddr>,
}

impl Admission {
    /// Nobody connected yet.
    pub fn new(limits: ConnectionLimits) -> Admission {
        let listeners = limits.listeners.iter().map(|_| ConnectionCounters::default()).collect();
        let (open, by_address) = (AtomicUsize::new(0), Mutex::default());
        Admission(Arc::new(Inner { limits, open, listeners, by_address }))
    }

    /// The counters of each listener, in the order of the configuration.
    pub fn counters(&self) -> &[ConnectionCounters] {
        &self.0.listeners
    }

    /// Counts one more connection in, unless a limit is reached.
    ///
    /// # Errors
    /// The limit.
    pub fn admit(&self, listener: ListenerId, peer: IpAddr) -> Result<Admitted, Refused> {
        let taken = self.take(listener, peer.to_canonical());
        let counters = &self.0.listeners[listener.0];
        match &taken {
            Ok(_) => counters.accepted.fetch_add(1, Ordering::Relaxed),
            Err(reason) => counters.refused[*reason as usize].fetch_add(1, Ordering::Relaxed),
        };
        taken
    }

    fn take(&self, listener: ListenerId, peer: IpAddr) -> Result<Admitted, Refused> {
        let Inner { limits, open, listeners, .. } = &*self.0;
        if !take_one(open, limits.broker) {
            return Err(Refused::Broker);
        }
        let of_listener = &listeners[listener.0].open;
        if !take_one(of_listener, limits.listeners[listener.0]) {
            give_back(open);
            return Err(Refused::Listener);
        }
        // From here on, dropping it gives both back.
        let mut admitted = Admitted { admission: self.clone(), listener, address: None };
        if self.limits_addresses() {
            let mut by_address = self.by_address();
            let count = by_address.get(&peer).copied().unwrap_or(0);
            if count >= limits.per_ip_overrides.get(&peer).copied().unwrap_or(limits.per_ip) {
                return Err(Refused::Address);
            }
            by_address.insert(peer, count + 1);
            admitted.address = Some(peer);
        }
        Ok(admitted)
    }

    fn limits_addresses(&self) -> bool {
        let ConnectionLimits { per_ip, per_ip_overrides, .. } = &self.0.limits;
        *per_ip != usize::MAX || !per_ip_overrides.is_empty()
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nobody panics while holding it, and a count is whole at every moment.
        self.0.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_one(count: &AtomicUsize, limit: usize) -> bool {
    let more = |count| (count < limit).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

fn give_back(count: &AtomicUsize) {
    count.fetch_sub(1, Ordering::Relaxed);
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut by_address = self.admission.by_address();
            match by_address.get_mut(&address) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(by_address.remove(&address)),
            }
        }
        let Inner { open, listeners, .. } = &*self.admission.0;
        give_back(&listeners[self.listener.0].open);
        give_back(open);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn limits(broker: usize, listeners: &[usize], per_ip: usize) -> ConnectionLimits {
        let per_ip_overrides = BTreeMap::from([(address(7), 0), (address(8), 3)]);
        ConnectionLimits { broker, listeners: listeners.to_vec(), per_ip, per_ip_overrides }
    }

    #[test]
    fn each_limit_holds_and_is_named() {
        let admission = Admission::new(limits(4, &[2, 9], 2));
        let (first, second) = (ListenerId(0), ListenerId(1));
        let mut open = vec![admission.admit(first, address(1)), admission.admit(first, address(1))];
        assert_eq!(admission.admit(first, address(2)).unwrap_err(), Refused::Listener);
        assert_eq!(admission.admit(second, address(1)).unwrap_err(), Refused::Address);
        assert_eq!(admission.admit(second, address(7)).unwrap_err(), Refused::Address);
        open.extend([admission.admit(second, address(8)), admission.admit(second, address(8))]);
        assert_eq!(admission.admit(second, address(8)).unwrap_err(), Refused::Broker);
        assert!(open.iter().all(Result::is_ok));

        let counters = admission.counters();
        assert_eq!((counters[0].open(), counters[0].accepted()), (2, 2));
        assert_eq!(Refused::ALL.map(|reason| counters[0].refused(reason)), [0, 1, 0]);
        assert_eq!(Refused::ALL.map(|reason| counters[1].refused(reason)), [1, 0, 2]);

        open.remove(0).map(drop).unwrap();
        assert!(admission.admit(first, address(2)).is_ok());
        drop(open);
        assert_eq!(admission.counters().iter().map(ConnectionCounters::open).sum::<usize>(), 0);
        assert!(admission.by_address().is_empty(), "addresses that have gone are forgotten");
    }

    #[test]
    fn an_address_is_the_same_in_both_families() {
        let admission = Admission::new(limits(9, &[9], 1));
        let _open = admission.admit(ListenerId(0), HERE).unwrap();
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!(admission.admit(ListenerId(0), mapped).unwrap_err(), Refused::Address);
    }

    #[test]
    fn threads_that_race_never_exceed_a_limit() {
        let admission = Admission::new(limits(3, &[3], 2));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let admission = &admission;
                scope.spawn(move || {
                    for _ in 0..2_500 {
                        let admitted = admission.admit(ListenerId(0), address(thread % 2));
                        assert!(admission.counters()[0].open() <= 3);
                        drop(admitted);
                    }
                });
            }
        });
        let counters = &admission.counters()[0];
        let refused: u64 = Refused::ALL.map(|reason| counters.refused(reason)).iter().sum();
        assert_eq!(counters.accepted() + refused, 10_000);
        assert_eq!(counters.open(), 0);
    }
}
