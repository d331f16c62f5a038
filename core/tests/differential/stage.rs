//! A broker, a connection to it, and what became of each request.

use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::{Encoder, Uuid};
use corelane_net::messages::{
    Api, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, DeleteTopicsRequest,
    InitProducerIdRequest, MetadataRequest, MetadataRequestTopic, MetadataResponse, Request,
    Response,
};

use crate::batches;
use crate::fields::{self, Field};
use crate::harness::broker::Broker;
use crate::harness::requests::serves;
use crate::harness::wire;
use crate::masks::Masks;
use crate::recording::Recording;

/// Longer than any answer takes; after it there is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// A request without an answer: the connection was closed, or nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unanswered {
    Closed,
    Silence,
}
/// Apache Kafka applies changes some time after it has answered. Corelane has applied them.
const KAFKA_SETTLES: Duration = Duration::from_millis(400);

/// Plays one scenario on one connection.
pub struct Stage<'a> {
    broker: &'a Broker,
    connection: wire::Connection,
    correlation_id: i32,
    masks: Masks,
    recording: Recording,
}

impl<'a> Stage<'a> {
    pub fn open(broker: &'a Broker) -> Stage<'a> {
        let data_dir = broker.data_dir();
        let masks = Masks::new(broker.address().port(), data_dir.to_str().expect("UTF-8"));
        let mut stage = Stage {
            broker,
            connection: connect(broker),
            correlation_id: 0,
            masks,
            recording: Recording::default(),
        };
        stage.learn_node();
        stage
    }

    /// The broker's node id, and the epoch in which new partitions begin: that of a topic made to see it.
    fn learn_node(&mut self) {
        let probe = "epoch-probe";
        let answer = self.metadata(&[probe]);
        self.masks.node_id = answer.controller_id;
        if answer.topics[0].partitions.is_empty() {
            self.create_topic(probe, 1, &[]);
        }
        let answer = self.metadata(&[probe]);
        self.masks.leader_epoch = answer.topics[0].partitions[0].leader_epoch;
    }

    pub fn finish(self) -> Recording {
        self.recording
    }

    pub fn broker(&self) -> &Broker {
        self.broker
    }

    /// Another connection, for what is not recorded.
    pub fn connect(&self) -> wire::Connection {
        connect(self.broker)
    }

    pub fn node_id(&self) -> i32 {
        self.masks.node_id
    }

    /// The epoch in which new partitions begin.
    pub fn leader_epoch(&self) -> i32 {
        self.masks.leader_epoch
    }

    /// Asks, records every field of the answer, and returns it; `None` if there was none.
    pub fn ask(
        &mut self,
        step: &str,
        version: i16,
        request: impl Into<Request>,
    ) -> Option<Response> {
        let answer = self.exchange(version, &request.into());
        self.record(step, answer.clone());
        answer.ok()
    }

    /// Asks at each of these versions; the steps are named `v3: STEP`.
    pub fn ask_at(
        &mut self,
        versions: &[i16],
        step: &str,
        request: impl Into<Request> + Clone,
    ) -> Vec<Option<Response>> {
        let ask =
            |version: &i16| self.ask(&format!("v{version}: {step}"), *version, request.clone());
        versions.iter().map(ask).collect()
    }

    /// Sends a frame that the codec would not write; the answer is read as `api`'s of `version`.
    pub fn ask_raw(&mut self, step: &str, raw: &wire::Request, api: Api, version: i16) {
        let sent = self.connection.send(raw).and_then(|_| self.receive(api, version));
        let answer = self.reconnected_unless(sent);
        self.record(step, answer);
    }

    /// Sends a request that is not answered: the answer to a second one tells that the first was taken.
    pub fn send_unanswered(&mut self, step: &str, version: i16, request: impl Into<Request>) {
        let request = request.into();
        let frame = self.encode(version, &request);
        let probe = wire::Request { api_key: Api::ApiVersions.key(), version: 0, body: vec![] };
        let taken = self
            .connection
            .send_raw(&frame)
            .and_then(|()| self.connection.send(&probe))
            .and_then(|_| self.receive(Api::ApiVersions, 0));
        let unanswered = match self.reconnected_unless(taken) {
            Ok(_) => Unanswered::Silence,
            Err(unanswered) => unanswered,
        };
        self.record(step, Err(unanswered));
    }

    /// Asks without recording.
    pub fn call(&mut self, version: i16, request: &Request) -> Option<Response> {
        self.exchange(version, request).ok()
    }

    fn exchange(&mut self, version: i16, request: &Request) -> Result<Response, Unanswered> {
        let frame = self.encode(version, request);
        let answer =
            self.connection.send_raw(&frame).and_then(|()| self.receive(request.api(), version));
        self.reconnected_unless(answer)
    }

    /// Creates a topic, waits until it serves, and returns its id. The records' fixed timestamps are years old:
    /// unless `configs` says otherwise, the topic keeps them for ever.
    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let keep = [("retention.ms", "-1")];
        let given = configs.iter().any(|(name, _)| *name == keep[0].0);
        let keep = if given { &[][..] } else { &keep };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().chain(keep).map(config).collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let Some(Response::CreateTopics(answer)) = self.call(7, &request.into()) else {
            panic!("{name}: CreateTopics is not answered");
        };
        assert!(answer.topics[0].error_code.is_none(), "{name}: {:?}", answer.topics[0]);
        self.wait_until_served(name, partitions);
        let id = answer.topics[0].topic_id;
        self.masks.learn(&id.to_string(), name);
        id
    }

    pub fn wait_until_served(&mut self, name: &str, partitions: i32) {
        let mut connection = connect(self.broker);
        for _ in 0..500 {
            if serves(&mut connection, name, partitions) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("topic {name} does not serve");
    }

    /// Deletes a topic and waits until the broker no longer knows it.
    pub fn delete_topic(&mut self, name: &str) {
        let request = DeleteTopicsRequest {
            topic_names: vec![name.into()],
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        self.call(5, &request.into()).expect("DeleteTopics is answered");
        for _ in 0..500 {
            if !self.metadata(&[name]).topics[0].error_code.is_none() {
                return self.settle();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("topic {name} is still there");
    }

    /// An idempotent producer's id. Kafka has none until its controller has given it some.
    pub fn producer_id(&mut self) -> i64 {
        let asked = InitProducerIdRequest { transaction_timeout_ms: 60_000, ..Default::default() };
        let asked = Request::from(asked);
        for _ in 0..100 {
            match self.call(4, &asked) {
                Some(Response::InitProducerId(answer)) if answer.error_code.is_none() => {
                    return answer.producer_id;
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        panic!("no producer id");
    }

    /// Waits until a change is in force.
    pub fn settle(&self) {
        if !self.broker.is_corelane() {
            std::thread::sleep(KAFKA_SETTLES);
        }
    }

    fn metadata(&mut self, topics: &[&str]) -> MetadataResponse {
        let topic = |name: &&str| MetadataRequestTopic {
            name: Some((*name).into()),
            ..MetadataRequestTopic::default()
        };
        let request = MetadataRequest {
            topics: Some(topics.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        match self.call(12, &request.into()) {
            Some(Response::Metadata(answer)) => answer,
            other => panic!("Metadata is not answered: {other:?}"),
        }
    }

    fn encode(&mut self, version: i16, request: &Request) -> Bytes {
        self.correlation_id += 1;
        let mut out = Encoder::new();
        request
            .encode(version, self.correlation_id, Some("differential"), &mut out)
            .unwrap_or_else(|error| panic!("{:?} v{version}: {error}", request.api()));
        out.take_bytes()
    }

    fn receive(&mut self, api: Api, version: i16) -> std::io::Result<Response> {
        let (correlation_id, body) = self.connection.receive()?;
        let frame = [&correlation_id.to_be_bytes()[..], &body].concat();
        let (_, response) = Response::decode(api, version, &frame.into())
            .unwrap_or_else(|error| panic!("the answer to {api:?} v{version}: {error}"));
        Ok(response)
    }

    /// Without an answer the next request goes over a new connection.
    fn reconnected_unless(
        &mut self,
        answer: std::io::Result<Response>,
    ) -> Result<Response, Unanswered> {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        answer.map_err(|error| {
            self.connection = connect(self.broker);
            match error.kind() {
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                    Unanswered::Closed
                }
                TimedOut | WouldBlock => Unanswered::Silence,
                _ => panic!("no answer: {error}"),
            }
        })
    }

    fn record(&mut self, step: &str, answer: Result<Response, Unanswered>) {
        let fields = match answer {
            Err(Unanswered::Closed) => vec![("answer".into(), "closed".into())],
            Err(Unanswered::Silence) => vec![("answer".into(), "none".into())],
            Ok(answer) => self.fields_of(answer),
        };
        self.recording.push(step, fields);
    }

    fn fields_of(&mut self, mut answer: Response) -> Vec<Field> {
        batches::describe_all(&mut answer);
        if let Response::ConsumerGroupDescribe(answer) = &mut answer {
            // Their order is nobody's promise.
            answer.groups.iter_mut().for_each(|group| {
                group.members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
            });
        }
        let mut value = fields::parse(&format!("{answer:#?}"));
        self.masks.apply(&mut value);
        let mut found = fields::flatten(&value);
        if let Response::Fetch(answer) = &answer {
            // A consumer may rely on the order in which partitions share an answer.
            let order = answer.responses.iter().flat_map(|topic| &topic.partitions);
            let order: Vec<i32> = order.map(|partition| partition.partition_index).collect();
            found.push(("order".into(), format!("{order:?}")));
        }
        found
    }
}

fn connect(broker: &Broker) -> wire::Connection {
    let connection = broker.connect();
    connection.stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time-out");
    connection
}
