//! From the shard of a connection to the coordinator, and back.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use corelane_storage::ids::PartitionId;
use corelane_storage::runtime::Runtime;
use futures_util::future::{Either, join_all, select};

use super::coordinator::{BeatContext, Coordinator, JoinContext, TopicSearch};
use super::host::{Parked, load};
use super::placement::{OFFSETS_TOPIC, partition_of};
use super::turn::Turn;
use crate::api::topics::uuid;
use crate::catalog::Topic;
use crate::shard::Shard;

/// How long a change waits for the disk (`offsets.commit.timeout.ms`).
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

impl Shard {
    /// Starts what the groups of this shard need for as long as it runs.
    pub fn start_groups(self: &Rc<Self>) {
        load::start(self);
    }

    /// The partition that keeps a group.
    ///
    /// # Errors
    /// NOT_COORDINATOR before the first group, COORDINATOR_NOT_AVAILABLE without an id.
    pub fn group_partition(&self, group: &str) -> Result<PartitionId, ErrorCode> {
        let topic = self.topic(OFFSETS_TOPIC).ok_or(ErrorCode::NotCoordinator)?;
        let index = partition_of(group, topic.partitions);
        Ok(PartitionId { topic_id: topic.id, index })
    }

    /// Takes a step of the coordinator of `group`, without waiting for what it writes.
    ///
    /// # Errors
    /// Why there is no coordinator.
    pub async fn ask_group<T: Send + 'static>(
        self: &Rc<Self>,
        group: &str,
        work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let id = self.group_partition(group)?;
        let step = move |shard: &Rc<Shard>| {
            let host = shard.groups.host(shard, id)?;
            host.step(shard, work).map(|(value, _stored)| value)
        };
        self.call(self.owner(id), step).await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Takes a step of the coordinator of `group`; what it has written is durable when this returns.
    ///
    /// # Errors
    /// Why there is no coordinator; COORDINATOR_NOT_AVAILABLE if the disk does not take it in time.
    pub async fn change_group<T: Send + 'static>(
        self: &Rc<Self>,
        group: &str,
        work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let mut work = Some(work);
        let once = move |coordinator: &mut Coordinator, turn: &mut Turn<'_>| match work.take() {
            Some(work) => ControlFlow::Break(work(coordinator, turn)),
            None => unreachable!("the first step is the last one"),
        };
        self.change_group_in_steps(group, once).await
    }

    /// Takes steps of the coordinator of `group`, with pauses between them, until one breaks; what they
    /// have written is durable when this returns.
    ///
    /// # Errors
    /// As [`Shard::change_group`].
    pub async fn change_group_in_steps<T: Send + 'static>(
        self: &Rc<Self>,
        group: &str,
        work: impl FnMut(&mut Coordinator, &mut Turn<'_>) -> ControlFlow<T> + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let id = self.group_partition(group)?;
        let change = move |shard: &Rc<Shard>| {
            let shard = shard.clone();
            async move {
                let change = async {
                    let host = shard.groups.host(&shard, id)?;
                    let (value, stored) = host.steps(&shard, work).await?;
                    match stored.wait().await {
                        true => Ok(value),
                        false => Err(ErrorCode::CoordinatorNotAvailable),
                    }
                };
                let deadline = shard.group_time().monotonic + STORE_TIMEOUT;
                let changed = shard.until(deadline, change).await;
                changed.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
            }
        };
        let changed = self.call_async(self.owner(id), change).await;
        changed.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Looks at what the coordinator of `group` has, with pauses, until `work` breaks. With
    /// `is_settled`, after what is on its way to the disk by now has come there.
    ///
    /// # Errors
    /// As [`Shard::change_group`].
    pub async fn read_group<T: Send + 'static>(
        self: &Rc<Self>,
        group: &str,
        is_settled: bool,
        mut work: impl FnMut(&Coordinator) -> ControlFlow<T> + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let id = self.group_partition(group)?;
        let read = move |shard: &Rc<Shard>| {
            let shard = shard.clone();
            async move {
                let host = shard.groups.host(&shard, id)?;
                if is_settled {
                    let deadline = shard.group_time().monotonic + STORE_TIMEOUT;
                    let settled = shard.until(deadline, host.settled().wait()).await;
                    settled.filter(|done| *done).ok_or(ErrorCode::CoordinatorNotAvailable)?;
                }
                loop {
                    if let ControlFlow::Break(value) = host.look(&mut work)? {
                        return Ok(value);
                    }
                    shard.runtime.yield_now().await;
                }
            }
        };
        let read = self.call_async(self.owner(id), read).await;
        read.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// Lets a member join; returns when its rebalance has ended.
    ///
    /// # Errors
    /// Why there is no coordinator.
    pub async fn join_group(
        self: &Rc<Self>,
        request: JoinGroupRequest,
        context: JoinContext,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let (to, answer) = flume::bounded(1);
        let id = self.group_partition(&request.group_id)?;
        let park = move |shard: &Rc<Shard>| {
            let host = shard.groups.host(shard, id)?;
            host.park(shard, Parked::Join(to), |coordinator, waiter, turn| {
                coordinator.join(&request, &context, waiter, turn);
            })
        };
        let parked = self.call(self.owner(id), park).await;
        parked.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))?;
        self.late_answer(answer).await
    }

    /// Gets a member its share; returns when the leader has brought it.
    ///
    /// # Errors
    /// Why there is no coordinator.
    pub async fn sync_group(
        self: &Rc<Self>,
        request: SyncGroupRequest,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let (to, answer) = flume::bounded(1);
        let id = self.group_partition(&request.group_id)?;
        let park = move |shard: &Rc<Shard>| {
            let host = shard.groups.host(shard, id)?;
            host.park(shard, Parked::Sync(to), |coordinator, waiter, turn| {
                coordinator.sync(&request, waiter, turn);
            })
        };
        let parked = self.call(self.owner(id), park).await;
        parked.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))?;
        self.late_answer(answer).await
    }

    /// A member of the consumer protocol lives, joins or leaves; returns when it is known what it is to own, and that is
    /// durable.
    ///
    /// # Errors
    /// Why there is no coordinator.
    pub async fn beat_group(
        self: &Rc<Self>,
        request: ConsumerGroupHeartbeatRequest,
        context: BeatContext,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let (to, answer) = flume::bounded(1);
        let id = self.group_partition(&request.group_id)?;
        let park = move |shard: &Rc<Shard>| {
            let host = shard.groups.host(shard, id)?;
            host.park(shard, Parked::Beat(to), |coordinator, waiter, turn| {
                coordinator.beat(&request, &context, waiter, turn);
            })
        };
        let parked = self.call(self.owner(id), park).await;
        parked.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))?;
        self.late_answer(answer).await
    }

    /// Waits without a place in any mailbox. A broker that stops sends its members away.
    async fn late_answer<T>(&self, answer: flume::Receiver<T>) -> Result<T, ErrorCode> {
        match select(answer.recv_async(), self.stopping.recv_async()).await {
            Either::Left((Ok(answer), _)) => Ok(answer),
            Either::Left((Err(_), _)) | Either::Right(_) => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Looks at what the coordinators of all groups have, one after the other on each shard, with pauses,
    /// until `work` breaks; it gets what it has returned before of the same one.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS or COORDINATOR_NOT_AVAILABLE if one of them can't say.
    pub async fn read_all_groups<T: Default + Send + 'static>(
        self: &Rc<Self>,
        work: impl Fn(&Coordinator, &mut T) -> ControlFlow<()> + Clone + Send + 'static,
    ) -> Result<Vec<T>, ErrorCode> {
        let Some(topic) = self.topic(OFFSETS_TOPIC) else { return Ok(Vec::new()) };
        let calls = (0..self.count).map(|to| {
            let (work, topic) = (work.clone(), topic.clone());
            let read = move |shard: &Rc<Shard>| {
                let shard = shard.clone();
                async move {
                    let mut found = Vec::new();
                    for id in topic.partition_ids().filter(|id| shard.owner(*id) == shard.id) {
                        let host = shard.groups.host(&shard, id)?;
                        let mut of_one = T::default();
                        while host.look(|groups| work(groups, &mut of_one))?.is_continue() {
                            shard.runtime.yield_now().await;
                        }
                        found.push(of_one);
                        shard.runtime.yield_now().await;
                    }
                    Ok(found)
                }
            };
            self.call_async(to, read)
        });
        let mut all = Vec::new();
        for answer in join_all(calls).await {
            all.extend(answer.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))?);
        }
        Ok(all)
    }

    /// Forgets the offsets of a deleted topic that this shard's groups have.
    pub async fn forget_topic(self: &Rc<Self>, topic: &Topic) {
        if *topic.name == *OFFSETS_TOPIC {
            return self.groups.close(topic.id);
        }
        for host in self.groups.all() {
            let mut search = TopicSearch::default();
            let forgotten = host.steps(self, |coordinator, turn| {
                match coordinator.topic_deleted(&topic.name, uuid(topic.id), &mut search, turn) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            // One that is loading, or has failed, has its offsets told from new ones by the topic's id.
            let _ = forgotten.await;
        }
    }
}
