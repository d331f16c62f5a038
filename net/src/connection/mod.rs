//! One connection's life: a reader that begins requests in order, a writer that sends their answers
//! in the same order, and a watchdog. The three run in one task and are polled only when woken.
//!
//! A connection may leave for another thread where its service says so: between two requests, when
//! all answers are written. It takes along what it has read of the next ones, and goes on there.

mod carried;
mod closed;
mod reader;
mod spare;
mod state;
mod watchdog;
mod writer;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

pub use carried::Carried;
pub use closed::{Closed, FaultLog};

use crate::budget::ByteBudget;
use crate::limits::Limits;
use crate::service::Service;
use crate::stream::{Stream, Timer};
use state::State;

/// What the connections of one listener share on one shard.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The listener's name.
    pub listener: Rc<str>,
    /// The limits of each connection.
    pub limits: Rc<Limits>,
    /// The shard's budget for requests under way.
    pub budget: ByteBudget,
    /// Where clients' faults are logged, at a bounded rate.
    pub faults: Rc<FaultLog>,
}

impl Shared {
    /// With a fault log of its own.
    pub fn new(listener: &str, limits: Limits, budget: ByteBudget) -> Shared {
        let (listener, limits) = (Rc::from(listener), Rc::new(limits));
        Shared { listener, limits, budget, faults: Rc::default() }
    }
}

/// How a connection ends on this thread.
#[derive(Debug)]
pub enum End<S> {
    /// For good: its stream is shut down.
    Closed(Closed),
    /// It leaves, as the service wanted: nothing is under way on the stream, which is as it was.
    Left(S, Carried),
}

/// A part of the connection that has come to its end.
enum Event {
    Reader(Result<Carried, Closed>),
    Writer(Result<(), Closed>),
    Timeout(Closed),
}

type Part<'a> = Pin<Box<dyn Future<Output = Event> + 'a>>;

/// Serves one connection until either side ends it, shuts the stream down, logs why and returns it;
/// or until it leaves ([`Service::leaves`]). `carried` is what it brings along, if it has left before.
///
/// When the client closes its side, or breaks the protocol, no more is read, but the requests begun
/// before are answered, for [`Limits::drain_timeout`] at most.
pub async fn serve<S: Stream, T: Timer, V: Service>(
    stream: S,
    timer: T,
    service: V,
    shared: Shared,
    carried: Carried,
) -> End<S> {
    let state = State::default();
    match run(&stream, &timer, service, &shared, &state, carried).await {
        Ok(carried) => End::Left(stream, carried),
        Err(closed) => {
            stream.shutdown();
            shared.faults.log(stream.peer(), &closed);
            End::Closed(closed)
        }
    }
}

async fn run<S: Stream, T: Timer, V: Service>(
    stream: &S,
    timer: &T,
    service: V,
    shared: &Shared,
    state: &State,
    carried: Carried,
) -> Result<Carried, Closed> {
    let limits = &shared.limits;
    let parts = FuturesUnordered::<Part<'_>>::new();
    let teller = service.clone();
    parts.push(Box::pin(async {
        Event::Reader(reader::run(stream, timer, service, shared, state, carried).await)
    }));
    parts.push(Box::pin(async {
        Event::Writer(writer::run(stream, timer, teller, limits, state).await)
    }));
    parts.push(Box::pin(async { Event::Timeout(watchdog::run(timer, limits, state).await) }));
    let mut parts = parts;
    let mut closed = Closed::EndOfStream;
    while let Some(event) = parts.next().await {
        match event {
            // Nothing is under way: neither a request nor a write.
            Event::Reader(Ok(carried)) => return Ok(carried),
            Event::Reader(Err(reason)) => {
                closed = reason;
                state.end_of_requests();
                parts.push(Box::pin(drain(timer, limits.drain_timeout)));
            }
            Event::Writer(Ok(())) => return Err(closed),
            Event::Writer(Err(reason)) => return Err(reason),
            // A drain that takes too long does not hide why it began.
            Event::Timeout(Closed::DrainTimeout) if closed.is_fault() => return Err(closed),
            Event::Timeout(reason) => return Err(reason),
        }
    }
    Err(closed)
}

async fn drain<T: Timer>(timer: &T, timeout: Duration) -> Event {
    timer.sleep(timeout).await;
    Event::Timeout(Closed::DrainTimeout)
}
