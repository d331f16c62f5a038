//! The topic that is written to.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, CreatableTopic, CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest,
    LATEST_TIMESTAMP, MetadataRequest, MetadataRequestTopic, MetadataResponse, Response,
};

use super::control::{Control, refused};
use super::offsets::offsets;
use crate::error::BenchError;
use crate::stop::Stop;

/// How long a new topic may be without leaders.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// How often leaders are asked for meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Milliseconds that the broker may take to make or delete a topic.
const TIMEOUT_MS: i32 = 30_000;

/// A topic, and where its partitions are.
pub(crate) struct Topic {
    pub(crate) name: Str,
    /// Zero if the broker knows no ids.
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    /// Made by this run: only then is it ever deleted.
    is_own: bool,
}

/// A partition, and the `host:port` of the broker that leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) index: i32,
    pub(crate) leader: String,
}

impl Topic {
    /// The topic of this name, which must exist.
    pub(crate) fn find(control: &mut Control, name: &str) -> Result<Topic, BenchError> {
        let name = Str::from(name);
        match describe(control, &name)? {
            Described::Topic(mut topic) => {
                topic.is_own = false;
                Ok(topic)
            }
            Described::Absent => Err(BenchError::NoSuchTopic(name.to_string())),
            Described::Leaderless => Err(no_leader(&name, Duration::ZERO)),
        }
    }

    /// A topic that only tests know.
    #[cfg(test)]
    pub(crate) fn of_test(name: &str, partitions: i32) -> Topic {
        let partition = |index| Partition { index, leader: "127.0.0.1:1".to_owned() };
        let partitions = (0..partitions).map(partition).collect();
        Topic { name: name.into(), id: Uuid::ZERO, partitions, is_own: false }
    }

    /// Makes a topic that no other run has, and waits until all its partitions have leaders.
    pub(crate) fn create(
        control: &mut Control,
        partitions: u32,
        stop: &Stop,
    ) -> Result<Topic, BenchError> {
        let name = own_name();
        let version = control.version(Api::CreateTopics)?;
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.clone(),
                num_partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
                // The broker's default may be said from version 4 on (KIP-464).
                replication_factor: if version >= 4 { -1 } else { 1 },
                ..Default::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let Response::CreateTopics(response) = control.call(&request.into())? else {
            return Err(BenchError::Unsupported(Api::CreateTopics));
        };
        let result = response.topics.first();
        let code = result.map_or(ErrorCode::UnknownServerError, |result| result.error_code);
        if !code.is_none() {
            let message = result.and_then(|result| result.error_message.as_deref());
            return Err(refused(&format!("creating topic {name}"), code, message));
        }
        // From here on it exists, and goes whatever happens.
        let made = Topic { name, id: Uuid::ZERO, partitions: Vec::new(), is_own: true };
        match wait_until_served(control, &made.name, stop) {
            Ok(topic) => Ok(Topic { is_own: true, ..topic }),
            Err(error) => {
                // The first error says more than that of the deletion could.
                let _ = made.delete_if_own(control);
                Err(error)
            }
        }
    }

    /// Deletes the topic if this run has made it; never another.
    ///
    /// # Errors
    /// As the broker refuses: then the topic is left behind.
    pub(crate) fn delete_if_own(&self, control: &mut Control) -> Result<(), BenchError> {
        if !self.is_own {
            return Ok(());
        }
        let state = DeleteTopicState { name: Some(self.name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest {
            topics: vec![state],
            topic_names: vec![self.name.clone()],
            timeout_ms: TIMEOUT_MS,
        };
        let Response::DeleteTopics(response) = control.call(&request.into())? else {
            return Err(BenchError::Unsupported(Api::DeleteTopics));
        };
        match response.responses.first() {
            Some(result) if !result.error_code.is_none() => Err(refused(
                &format!("deleting topic {}", self.name),
                result.error_code,
                result.error_message.as_deref(),
            )),
            _ => Ok(()),
        }
    }
}

/// Unlike any other's: process and time.
fn own_name() -> Str {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Str::from(format!("corelane-bench-{}-{}", std::process::id(), since.as_nanos()))
}

/// Waits until all partitions have leaders, and these know it: a broker may tell of a leader before
/// the leader itself has heard of it.
fn wait_until_served(control: &mut Control, name: &Str, stop: &Stop) -> Result<Topic, BenchError> {
    let began = Instant::now();
    loop {
        if let Described::Topic(topic) = describe(control, name)?
            && is_served(&topic)?
        {
            return Ok(topic);
        }
        if stop.is_set() {
            return Err(BenchError::Interrupted);
        }
        if began.elapsed() >= LEADERS_TIMEOUT {
            return Err(no_leader(name, began.elapsed()));
        }
        thread::sleep(ASK_AGAIN);
    }
}

fn is_served(topic: &Topic) -> Result<bool, BenchError> {
    let leaders = topic.partitions.iter().map(|partition| &partition.leader);
    for leader in leaders.collect::<BTreeSet<_>>() {
        let theirs = topic.partitions.iter().filter(|partition| partition.leader == *leader);
        let indexes: Vec<i32> = theirs.map(|partition| partition.index).collect();
        let mut control = Control::connect(leader)?;
        match offsets(&mut control, &topic.name, &indexes, LATEST_TIMESTAMP) {
            Ok(_) => {}
            Err(BenchError::Refused {
                code:
                    ErrorCode::NotLeaderOrFollower
                    | ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::LeaderNotAvailable
                    | ErrorCode::ReplicaNotAvailable,
                ..
            }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn no_leader(name: &Str, waited: Duration) -> BenchError {
    BenchError::NoLeader { topic: name.to_string(), waited_s: waited.as_secs() }
}

enum Described {
    Topic(Topic),
    Absent,
    Leaderless,
}

fn describe(control: &mut Control, name: &Str) -> Result<Described, BenchError> {
    let asked = MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![asked]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    match control.call(&request.into())? {
        Response::Metadata(response) => read_description(name, &response),
        _ => Err(BenchError::Unsupported(Api::Metadata)),
    }
}

fn read_description(name: &Str, response: &MetadataResponse) -> Result<Described, BenchError> {
    let Some(topic) = response.topics.first() else { return Ok(Described::Absent) };
    match topic.error_code {
        ErrorCode::None => {}
        ErrorCode::UnknownTopicOrPartition => return Ok(Described::Absent),
        ErrorCode::LeaderNotAvailable => return Ok(Described::Leaderless),
        code => return Err(refused(&format!("describing topic {name}"), code, None)),
    }
    let leader = |id| {
        let broker = response.brokers.iter().find(|broker| broker.node_id == id)?;
        let host = if broker.host.contains(':') {
            format!("[{}]", broker.host)
        } else {
            broker.host.to_string()
        };
        Some(format!("{host}:{}", broker.port))
    };
    let partitions = topic.partitions.iter().map(|partition| {
        let leader = leader(partition.leader_id)?;
        Some(Partition { index: partition.partition_index, leader })
    });
    Ok(match partitions.collect::<Option<Vec<_>>>() {
        Some(mut partitions) if !partitions.is_empty() => {
            partitions.sort_by_key(|partition| partition.index);
            // They are indexes from here on.
            let is_numbered = |(nth, partition): (i32, &Partition)| partition.index == nth;
            if !(0..).zip(&partitions).all(is_numbered) {
                let (topic, count) = (name.to_string(), partitions.len());
                return Err(BenchError::Partitions { topic, count });
            }
            let (name, id) = (name.clone(), topic.topic_id);
            Described::Topic(Topic { name, id, partitions, is_own: false })
        }
        _ => Described::Leaderless,
    })
}

#[cfg(test)]
mod tests {
    use corelane_net::messages::{
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::{Described, read_description};
    use crate::error::BenchError;

    fn described(indexes: &[i32]) -> Result<Described, BenchError> {
        let partition = |index: &i32| MetadataResponsePartition {
            partition_index: *index,
            leader_id: 1,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            partitions: indexes.iter().map(partition).collect(),
            ..Default::default()
        };
        let broker = MetadataResponseBroker { node_id: 1, ..Default::default() };
        let (topics, brokers) = (vec![topic], vec![broker]);
        let response = MetadataResponse { topics, brokers, ..Default::default() };
        read_description(&"t".into(), &response)
    }

    #[test]
    fn partitions_are_numbered_from_0_or_refused() {
        let Ok(Described::Topic(topic)) = described(&[2, 0, 1]) else { panic!("refused") };
        assert!(topic.partitions.iter().map(|partition| partition.index).eq(0..3));
        for wrong in [&[-1][..], &[1], &[0, 2], &[0, 0], &[0, i32::MAX], &[i32::MIN, 0]] {
            let refused = described(wrong);
            assert!(matches!(refused, Err(BenchError::Partitions { .. })), "{wrong:?}");
        }
    }
}
