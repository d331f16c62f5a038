//! What reader, writer and watchdog of one connection share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget::Reservation;
use crate::frame::Waiting;
use crate::messages::Api;
use crate::service::{Answer, Pending};

/// A request begun, and where its answer goes.
pub(super) struct InFlight {
    pub pending: Pending,
    /// The request's bytes. The queue drops a request as soon as it has the answer, even one that
    /// cannot leave yet, and that frees them.
    pub _reservation: Reservation,
    pub origin: Origin,
    pub peer: SocketAddr,
}

/// What its answer must fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub api: Api,
    pub version: i16,
    pub correlation_id: i32,
    pub request_bytes: usize,
    /// When all of it was there.
    pub began: Duration,
}

impl Origin {
    fn is_fetch(&self) -> bool {
        self.api == Api::Fetch
    }
}

/// An answer, ready to be encoded.
pub(super) struct Answered {
    pub answer: Answer,
    pub origin: Origin,
}

impl InFlight {
    /// A panic costs the connection, nothing else.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answered> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.pending.as_mut().poll(context)));
        let polled = polled.unwrap_or_else(|_| {
            let (api, peer) = (self.origin.api, self.peer);
            tracing::error!(?api, %peer, "a panic while answering; the connection is closed");
            Poll::Ready(Answer::Close)
        });
        polled.map(|answer| Answered { answer, origin: self.origin })
    }
}

/// A request, until its answer leaves.
enum Turn {
    Waiting(InFlight),
    Answered(Answered),
}

impl Turn {
    fn is_answered(&self) -> bool {
        matches!(self, Turn::Answered(_))
    }
}

/// Requests under way, in order, and what each side is doing.
pub(super) struct State {
    answers: RefCell<VecDeque<Turn>>,
    /// Requests begun whose answers the writer has not taken.
    in_flight: Cell<usize>,
    /// Those of them that are fetches.
    fetches: Cell<usize>,
    no_more_requests: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
    waiting: Cell<Waiting>,
    /// Changes of `waiting`, those within a frame not counted.
    reader_steps: Cell<u64>,
    /// Changes of `waiting` to and from the budget, within a frame.
    budget_pauses: Cell<u64>,
    writing: Cell<bool>,
    /// Writes that took bytes.
    writer_steps: Cell<u64>,
}

impl Default for State {
    fn default() -> State {
        State {
            answers: RefCell::default(),
            in_flight: Cell::new(0),
            fetches: Cell::new(0),
            no_more_requests: Cell::new(false),
            reader: RefCell::default(),
            writer: RefCell::default(),
            waiting: Cell::new(Waiting::Frame),
            reader_steps: Cell::new(0),
            budget_pauses: Cell::new(0),
            writing: Cell::new(false),
            writer_steps: Cell::new(0),
        }
    }
}

/// What the watchdog sees of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub in_flight: usize,
    pub waiting: Waiting,
    pub reader_steps: u64,
    pub budget_pauses: u64,
    pub writing: bool,
    pub writer_steps: u64,
}

impl State {
    /// Queues a request begun.
    pub fn begun(&self, request: InFlight) {
        self.fetches.set(self.fetches.get() + usize::from(request.origin.is_fetch()));
        self.answers.borrow_mut().push_back(Turn::Waiting(request));
        self.in_flight.set(self.in_flight.get() + 1);
        wake(&self.writer);
    }

    /// Ends when fewer than `limit` requests are under way.
    pub async fn fewer_than(&self, limit: usize) {
        poll_fn(|context| {
            if self.in_flight.get() < limit {
                return Poll::Ready(());
            }
            remember(&self.reader, context);
            Poll::Pending
        })
        .await;
    }

    /// Ends when no request is under way and every answer is written.
    pub async fn at_rest(&self) {
        poll_fn(|context| {
            if self.is_at_rest() {
                return Poll::Ready(());
            }
            remember(&self.reader, context);
            Poll::Pending
        })
        .await;
    }

    /// True if no request is under way and every answer is written.
    pub fn is_at_rest(&self) -> bool {
        self.in_flight.get() == 0 && !self.writing.get()
    }

    /// True if a fetch is under way.
    pub fn has_fetches(&self) -> bool {
        self.fetches.get() > 0
    }

    /// No more requests will come: the writer ends after the last answer.
    pub fn end_of_requests(&self) {
        self.no_more_requests.set(true);
        wake(&self.writer);
    }

    /// The next answer in the order of the requests; `None` after the last.
    pub async fn next_answer(&self) -> Option<Answered> {
        poll_fn(|context| self.poll_answer(context)).await
    }

    /// The next answer, if it was there when [`State::next_answer`] last looked.
    pub fn answer_at_hand(&self) -> Option<Answered> {
        let mut answers = self.answers.borrow_mut();
        if !answers.front().is_some_and(Turn::is_answered) {
            return None;
        }
        let Some(Turn::Answered(answered)) = answers.pop_front() else { return None };
        drop(answers);
        self.in_flight.set(self.in_flight.get() - 1);
        self.fetches.set(self.fetches.get() - usize::from(answered.origin.is_fetch()));
        wake(&self.reader);
        Some(answered)
    }

    /// All that wait are asked, whichever of them has woken the writer: they are few, and each is cheaper
    /// to ask than to be told apart by a waker of its own.
    fn poll_answer(&self, context: &mut Context<'_>) -> Poll<Option<Answered>> {
        if let Some(answered) = self.answer_at_hand() {
            return Poll::Ready(Some(answered));
        }
        remember(&self.writer, context);
        for turn in self.answers.borrow_mut().iter_mut() {
            if let Turn::Waiting(request) = turn
                && let Poll::Ready(answered) = request.poll(context)
            {
                *turn = Turn::Answered(answered);
            }
        }
        match self.answer_at_hand() {
            Some(answered) => Poll::Ready(Some(answered)),
            None if self.is_at_end() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// True after the last answer.
    fn is_at_end(&self) -> bool {
        self.no_more_requests.get() && self.answers.borrow().is_empty()
    }

    /// The reader says what it waits for.
    pub fn reader_waits(&self, waiting: Waiting) {
        let before = self.waiting.replace(waiting);
        let resumed = before == Waiting::Budget && matches!(waiting, Waiting::Rest(_));
        let within_frame = waiting == Waiting::Budget || resumed;
        let changes = if within_frame { &self.budget_pauses } else { &self.reader_steps };
        changes.set(changes.get().wrapping_add(1));
    }

    /// The writer begins to write, has written some, or is done.
    pub fn writer_step(&self, writing: bool) {
        self.writing.set(writing);
        self.writer_steps.set(self.writer_steps.get().wrapping_add(1));
        if !writing {
            wake(&self.reader);
        }
    }

    pub fn progress(&self) -> Progress {
        Progress {
            in_flight: self.in_flight.get(),
            waiting: self.waiting.get(),
            reader_steps: self.reader_steps.get(),
            budget_pauses: self.budget_pauses.get(),
            writing: self.writing.get(),
            writer_steps: self.writer_steps.get(),
        }
    }
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn remember(waker: &RefCell<Option<Waker>>, context: &Context<'_>) {
    let mut waker = waker.borrow_mut();
    match &*waker {
        Some(known) if known.will_wake(context.waker()) => {}
        _ => *waker = Some(context.waker().clone()),
    }
}
