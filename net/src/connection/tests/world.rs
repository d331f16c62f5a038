//! A world for connections: one thread, a clock moved by hand, streams in memory, and a service
//! whose answers the test gives. Nothing happens that the test does not cause.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::budget::ByteBudget;
use crate::codec::Encoder;
use crate::connection::{Carried, Closed, End, Shared, serve};
use crate::extent::Part;
use crate::limits::Limits;
use crate::messages::{
    Api, ApiVersionsRequest, FetchRequest, MetadataRequest, PartitionProduceData, ProduceRequest,
    Request, Response, TopicProduceData,
};
use crate::service::{Answer, Exchange, Pending, RequestContext, Service};
use crate::stream::{Stream, Timer};

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Task = (Arc<Flag>, Pin<Box<dyn Future<Output = ()>>>);

/// Runs tasks until none can go on.
#[derive(Default)]
pub struct Executor {
    tasks: RefCell<Vec<Task>>,
}

impl Executor {
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.borrow_mut().push((flag, Box::pin(task)));
        self.run();
    }

    pub fn run(&self) {
        let mut tasks = self.tasks.borrow_mut();
        let mut polled = true;
        while polled {
            polled = false;
            tasks.retain_mut(|(flag, task)| {
                if !flag.0.swap(false, Ordering::SeqCst) {
                    return true;
                }
                polled = true;
                let waker = Waker::from(Arc::clone(flag));
                task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
        }
    }
}

/// A clock moved by hand.
#[derive(Clone, Default)]
pub struct Clock(Rc<ClockInner>);

#[derive(Default)]
struct ClockInner {
    now: Cell<Duration>,
    sleepers: RefCell<Vec<Waker>>,
    yields: Cell<usize>,
}

impl Timer for Clock {
    fn now(&self) -> Duration {
        self.0.now.get()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        let end = self.0.now.get() + duration;
        poll_fn(move |context| {
            if self.0.now.get() >= end {
                return Poll::Ready(());
            }
            self.0.sleepers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        self.0.yields.set(self.0.yields.get() + 1);
        let mut yielded = false;
        poll_fn(move |context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl Clock {
    /// How often a task let others have their turn.
    pub fn yields(&self) -> usize {
        self.0.yields.get()
    }
}

/// Both ends of a stream.
#[derive(Clone, Default)]
pub struct Wire(Rc<WireInner>);

#[derive(Default)]
struct WireInner {
    to_broker: RefCell<VecDeque<u8>>,
    to_client: RefCell<Vec<u8>>,
    /// Bytes that the client's side takes before it is full.
    room_bytes: Cell<usize>,
    /// Most bytes of one read or write; 0 is no limit.
    step_bytes: Cell<usize>,
    ended: Cell<bool>,
    shut_down: Cell<bool>,
    reads: Cell<usize>,
    writes: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
}

impl WireInner {
    fn step(&self, bytes: usize) -> usize {
        if self.step_bytes.get() == 0 { bytes } else { bytes.min(self.step_bytes.get()) }
    }

    fn wake(&self) {
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    fn poll_read(&self, buf: &mut BytesMut, max_bytes: usize) -> Option<usize> {
        let mut to_broker = self.to_broker.borrow_mut();
        let len = self.step(to_broker.len().min(max_bytes));
        if len == 0 && !self.ended.get() {
            return None;
        }
        self.reads.set(self.reads.get() + 1);
        buf.extend(to_broker.drain(..len));
        Some(len)
    }

    fn poll_write(&self, parts: &[Part]) -> Option<usize> {
        let all = parts.iter().map(sent).collect::<Vec<_>>().concat();
        assert!(!all.is_empty(), "a write of nothing");
        let len = self.step(all.len().min(self.room_bytes.get()));
        if len == 0 {
            return None;
        }
        self.writes.set(self.writes.get() + 1);
        self.room_bytes.set(self.room_bytes.get() - len);
        self.to_client.borrow_mut().extend_from_slice(&all[..len]);
        Some(len)
    }
}

/// The bytes of a part; an extent of these tests is one of a `Vec<u8>`.
fn sent(part: &Part) -> Vec<u8> {
    match part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::Extent(extent) => {
            let source = extent.source::<Vec<u8>>().expect("an extent of these tests");
            source[extent.from() as usize..][..extent.len_bytes()].to_vec()
        }
    }
}

async fn until<T>(wire: &WireInner, mut ready: impl FnMut() -> Option<T>) -> T {
    poll_fn(|context| match ready() {
        Some(value) => Poll::Ready(value),
        None => {
            wire.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        }
    })
    .await
}

impl Stream for Wire {
    async fn read(&self, buf: &mut BytesMut, max_bytes: usize) -> io::Result<usize> {
        assert!(max_bytes > 0, "a read of nothing");
        Ok(until(&self.0, || self.0.poll_read(buf, max_bytes)).await)
    }

    async fn write(&self, parts: &[Part]) -> io::Result<usize> {
        Ok(until(&self.0, || self.0.poll_write(parts)).await)
    }

    fn shutdown(&self) {
        self.0.shut_down.set(true);
    }

    fn peer(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 4711))
    }
}

/// A service whose answers the test gives, by correlation id.
#[derive(Clone, Default)]
pub struct Broker(Rc<BrokerInner>);

#[derive(Default)]
struct BrokerInner {
    begun: RefCell<Vec<RequestContext>>,
    requests: RefCell<Vec<Request>>,
    answers: RefCell<HashMap<i32, Answer>>,
    wakers: RefCell<Vec<Waker>>,
    told: RefCell<Vec<Told>>,
    leaves_after: Cell<usize>,
    panics_at: Cell<Option<i32>>,
}

/// What the service was told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub api: Api,
    pub request_bytes: usize,
    pub response_bytes: usize,
}

impl Broker {
    pub fn told(&self) -> Vec<Told> {
        self.0.told.borrow().clone()
    }

    /// Correlation ids of the requests begun, in order.
    pub fn begun(&self) -> Vec<i32> {
        self.0.begun.borrow().iter().map(|context| context.correlation_id).collect()
    }

    pub fn contexts(&self) -> Vec<RequestContext> {
        self.0.begun.borrow().clone()
    }

    /// Lets the connection leave once so many requests are begun.
    pub fn leave_after(&self, requests: usize) {
        self.0.leaves_after.set(requests);
    }

    /// Has the request of this correlation id answered with a panic.
    pub fn panic_at(&self, correlation_id: i32) {
        self.0.panics_at.set(Some(correlation_id));
    }

    pub fn requests(&self) -> Vec<Request> {
        self.0.requests.borrow().clone()
    }
}

impl Service for Broker {
    async fn begin(&self, request: Request, context: &RequestContext) -> Pending {
        self.0.begun.borrow_mut().push(context.clone());
        self.0.requests.borrow_mut().push(request);
        let (inner, id) = (Rc::clone(&self.0), context.correlation_id);
        if inner.panics_at.get() == Some(id) {
            return Box::pin(async { panic!("as the test wants it") });
        }
        Box::pin(poll_fn(move |context| match inner.answers.borrow_mut().remove(&id) {
            Some(answer) => Poll::Ready(answer),
            None => {
                inner.wakers.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        }))
    }

    fn leaves(&self) -> bool {
        let after = self.0.leaves_after.get();
        after > 0 && self.0.begun.borrow().len() >= after
    }

    fn answered(&self, exchange: &Exchange<'_>) {
        let Exchange { api, request_bytes, response_bytes, .. } = *exchange;
        self.0.told.borrow_mut().push(Told { api, request_bytes, response_bytes });
    }
}

/// All of it, with as many connections as a test opens.
pub struct World {
    pub executor: Executor,
    pub clock: Clock,
    pub budget: ByteBudget,
    pub limits: Limits,
}

impl Default for World {
    fn default() -> World {
        World::with(Limits::default(), 64 << 20)
    }
}

impl World {
    pub fn with(limits: Limits, budget_bytes: usize) -> World {
        let budget = ByteBudget::new("test", budget_bytes, limits.request_bytes_max);
        World { executor: Executor::default(), clock: Clock::default(), budget, limits }
    }

    pub fn connect(&self) -> Client<'_> {
        let wire = Wire::default();
        wire.0.room_bytes.set(usize::MAX);
        self.begin(wire, Carried::default())
    }

    /// Goes on with a connection that has left, before a broker that knows nothing of it.
    pub fn go_on(&self, left: &Client<'_>) -> Client<'_> {
        let carried = left.left.take().expect("it has left");
        self.begin(left.wire.clone(), carried)
    }

    fn begin(&self, wire: Wire, carried: Carried) -> Client<'_> {
        let client = Client {
            world: self,
            wire,
            broker: Broker::default(),
            closed: Rc::default(),
            left: Rc::default(),
        };
        let shared = Shared::new("plain", self.limits.clone(), self.budget.clone());
        let (wire, clock) = (client.wire.clone(), self.clock.clone());
        let (broker, closed) = (client.broker.clone(), Rc::clone(&client.closed));
        let left = Rc::clone(&client.left);
        self.executor.spawn(async move {
            match serve(wire, clock, broker, shared, carried).await {
                End::Closed(reason) => drop(closed.replace(Some(reason))),
                End::Left(_, carried) => drop(left.replace(Some(carried))),
            }
        });
        client
    }

    /// Lets time pass, second by second.
    pub fn pass(&self, duration: Duration) {
        for _ in 0..duration.as_secs() {
            self.clock.0.now.set(self.clock.0.now.get() + Duration::from_secs(1));
            self.clock.0.sleepers.take().into_iter().for_each(Waker::wake);
            self.executor.run();
        }
    }
}

/// The client's end of one connection.
pub struct Client<'a> {
    pub world: &'a World,
    pub wire: Wire,
    pub broker: Broker,
    pub closed: Rc<RefCell<Option<Closed>>>,
    pub left: Rc<RefCell<Option<Carried>>>,
}

impl Client<'_> {
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.wire.0.to_broker.borrow_mut().extend(bytes);
        self.wire.0.wake();
        self.world.executor.run();
    }

    pub fn send(&self, requests: &[(i32, Request)]) {
        self.send_bytes(&frames(requests));
    }

    pub fn answer(&self, correlation_id: i32, answer: Answer) {
        self.broker.0.answers.borrow_mut().insert(correlation_id, answer);
        self.broker.0.wakers.take().into_iter().for_each(Waker::wake);
        self.world.executor.run();
    }

    /// Answers with the default body of the request's API.
    pub fn answer_default(&self, correlation_id: i32) {
        let contexts = self.broker.contexts();
        let context = contexts.iter().find(|c| c.correlation_id == correlation_id).unwrap();
        self.answer(correlation_id, Answer::Send(default_response(context.api)));
    }

    /// The client closes its sending side.
    pub fn end(&self) {
        self.wire.0.ended.set(true);
        self.wire.0.wake();
        self.world.executor.run();
    }

    /// The client takes this many more bytes.
    pub fn set_room(&self, bytes: usize) {
        self.wire.0.room_bytes.set(bytes);
        self.wire.0.wake();
        self.world.executor.run();
    }

    pub fn set_step(&self, bytes: usize) {
        self.wire.0.step_bytes.set(bytes);
    }

    /// Frames received, without their prefixes.
    pub fn received(&self) -> Vec<Bytes> {
        let mut rest = Bytes::from(self.wire.0.to_client.borrow().clone());
        let mut frames = Vec::new();
        while rest.len() >= 4 {
            let len = rest.split_to(4).iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            frames.push(rest.split_to(len));
        }
        assert!(rest.is_empty(), "half a frame");
        frames
    }

    /// Correlation ids received, in order.
    pub fn received_ids(&self) -> Vec<i32> {
        let id = |frame: Bytes| frame[..4].iter().fold(0, |id, &byte| id << 8 | i32::from(byte));
        self.received().into_iter().map(id).collect()
    }

    pub fn received_bytes(&self) -> usize {
        self.wire.0.to_client.borrow().len()
    }

    /// Bytes sent that the broker has not read.
    pub fn unread_bytes(&self) -> usize {
        self.wire.0.to_broker.borrow().len()
    }

    pub fn reads(&self) -> usize {
        self.wire.0.reads.get()
    }

    pub fn writes(&self) -> usize {
        self.wire.0.writes.get()
    }

    /// Why the connection ended; it must have, and have shut the stream down.
    pub fn closed(&self) -> String {
        assert!(self.wire.0.shut_down.get(), "not shut down");
        self.closed.borrow().as_ref().expect("still open").to_string()
    }

    pub fn has_left(&self) -> bool {
        self.left.borrow().is_some()
    }

    pub fn is_open(&self) -> bool {
        self.closed.borrow().is_none()
    }
}

pub fn default_response(api: Api) -> Response {
    match api {
        Api::Produce => Response::Produce(Default::default()),
        Api::Fetch => Response::Fetch(Default::default()),
        Api::ApiVersions => Response::ApiVersions(Default::default()),
        _ => Response::Metadata(Default::default()),
    }
}

/// The versions in which the tests speak.
pub fn version_of(api: Api) -> i16 {
    match api {
        Api::Produce => 9,
        Api::Fetch => 12,
        Api::ApiVersions => 3,
        _ => 9,
    }
}

pub fn frames(requests: &[(i32, Request)]) -> Vec<u8> {
    let mut out = Encoder::new();
    for (id, request) in requests {
        let version = version_of(request.api());
        request.encode(version, *id, Some("test"), &mut out).unwrap();
    }
    out.take_bytes().to_vec()
}

pub fn produce(records: impl Into<Bytes>) -> Request {
    let partition = PartitionProduceData { index: 0, records: Some(records.into()) };
    let topic = TopicProduceData {
        name: "topic".into(),
        partition_data: vec![partition].into(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, topic_data: vec![topic].into(), ..Default::default() }.into()
}

pub fn fetch() -> Request {
    FetchRequest::default().into()
}

pub fn metadata() -> Request {
    MetadataRequest::default().into()
}

pub fn api_versions() -> Request {
    let (name, version) = ("kitten".into(), "1.2".into());
    ApiVersionsRequest {
        client_software_name: name,
        client_software_version: version,
        ..Default::default()
    }
    .into()
}
