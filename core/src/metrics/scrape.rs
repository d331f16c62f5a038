//! From all shards' snapshots to one page, on the HTTP port's thread.
//!
//! One scrape at a time asks the shards. Who comes meanwhile shares the next one, so a thousand
//! scrapers cost the shards no more than two.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_tuning::Space;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::render::{Facts, ListenerView, ShardView, page};
use super::snapshot::ShardSnapshot;
use super::status::{Phase, Status};
use super::{process, render};
use crate::shard::admission::{Admission, ConnectionCounters, Refused};

pub use super::text::CONTENT_TYPE;

/// How long shards have to answer; Prometheus gives a scrape 10 s.
const SHARD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the file system has to say how full it is.
const SPACE_TIMEOUT: Duration = Duration::from_millis(500);

/// Pages that may be on their way to clients at once, each to any number of them: some 900 bytes
/// for each partition.
const PAGES_MAX: usize = 4;

/// A shard is asked for its numbers.
pub struct Question {
    reply: flume::Sender<ShardSnapshot>,
}

impl Question {
    /// True if nobody waits for the answer any more.
    pub fn is_stale(&self) -> bool {
        self.reply.is_disconnected()
    }

    /// Answers it.
    pub fn answer(self, snapshot: ShardSnapshot) {
        // Fails only if nobody waits any more.
        let _ = self.reply.try_send(snapshot);
    }
}

/// Where each shard is asked, and where it takes the questions from.
pub fn questions(shards: usize) -> (Vec<flume::Sender<Question>>, Vec<flume::Receiver<Question>>) {
    (0..shards).map(|_| flume::bounded(1)).unzip()
}

/// Where the numbers are.
pub struct Sources {
    /// How the broker is.
    pub status: Arc<Status>,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Each shard.
    pub shards: Vec<flume::Sender<Question>>,
    /// Names of the listeners, in the order of the configuration.
    pub listeners: Vec<String>,
    /// Their connections.
    pub admission: Admission,
}

/// Makes pages.
pub struct Scraper {
    sources: Sources,
    state: Mutex<State>,
    pages: Arc<Semaphore>,
    /// Scrapes that wait for their turn.
    waiting: AtomicUsize,
    /// One thread at a time asks a file system that may hang.
    space: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    views: Vec<ShardView>,
    /// The last page, and when it was begun; only while somebody waits who may share it.
    last: Option<(Instant, Bytes)>,
}

/// A page on its way; when it is gone, another may come.
struct Leaving {
    page: String,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        self.page.as_bytes()
    }
}

/// A scrape that waits for its turn.
struct Waits<'a>(&'a AtomicUsize);

impl Waits<'_> {
    fn new(waiting: &AtomicUsize) -> Waits<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waits(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Scraper {
    /// Asks `sources`.
    pub fn new(sources: Sources) -> Scraper {
        let state = State { views: vec![ShardView::default(); sources.shards.len()], last: None };
        Scraper {
            sources,
            state: Mutex::new(state),
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            waiting: AtomicUsize::new(0),
            space: Arc::new(Semaphore::new(1)),
        }
    }

    /// A page that was begun after this call; `None` if clients are slow to take those before.
    pub async fn scrape(&self) -> Option<Bytes> {
        let asked = Instant::now();
        let waits = Waits::new(&self.waiting);
        let mut state = self.state.lock().await;
        drop(waits);
        let shared = state.last.take().filter(|(begun, _)| *begun >= asked);
        let (begun, page) = match shared {
            Some(shared) => shared,
            None => {
                let permit = self.pages.clone().try_acquire_owned().ok()?;
                let begun = Instant::now();
                let page = self.page(&mut state.views).await;
                (begun, Bytes::from_owner(Leaving { page, _permit: permit }))
            }
        };
        let is_wanted = self.waiting.load(Ordering::Relaxed) > 0;
        state.last = is_wanted.then(|| (begun, page.clone()));
        Some(page)
    }

    async fn page(&self, views: &mut [ShardView]) -> String {
        let Sources { status, shards, .. } = &self.sources;
        let is_serving = status.phase() != Phase::Recovering;
        let (space, ()) = futures_util::future::join(self.space(), async {
            if is_serving {
                ask_all(shards, views, SHARD_TIMEOUT).await;
            }
        })
        .await;
        let now = Instant::now();
        let facts = Facts {
            process: process::read(),
            uptime: now.saturating_duration_since(status.began()),
            is_ready: status.readiness(now).is_good,
            space,
            listeners: self.listeners(),
            shards: views.to_vec(),
        };
        page(&facts)
    }

    fn listeners(&self) -> Vec<ListenerView> {
        let Sources { listeners, admission, .. } = &self.sources;
        let view = |(name, counters): (&String, &ConnectionCounters)| ListenerView {
            name: name.clone(),
            accepted: counters.accepted(),
            refused: Refused::ALL.map(|reason| (reason, counters.refused(reason))),
        };
        listeners.iter().zip(admission.counters()).map(view).collect()
    }

    async fn space(&self) -> Option<Space> {
        let permit = self.space.clone().try_acquire_owned().ok()?;
        let dir = self.sources.data_dir.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            corelane_tuning::space(&dir).ok()
        });
        timeout(SPACE_TIMEOUT, asked).await.ok()?.ok()?
    }
}

/// Asks all shards at once; those that do not answer in time are not up.
async fn ask_all(
    shards: &[flume::Sender<Question>],
    views: &mut [render::ShardView],
    patience: Duration,
) {
    let answers = futures_util::future::join_all(shards.iter().map(|shard| ask(shard, patience)));
    for (view, answer) in views.iter_mut().zip(answers.await) {
        view.is_up = answer.is_some();
        view.last = answer.map(Arc::new).or(view.last.take());
    }
}

async fn ask(shard: &flume::Sender<Question>, patience: Duration) -> Option<ShardSnapshot> {
    let (reply, answer) = flume::bounded(1);
    // Full: the question before still lies there.
    shard.try_send(Question { reply }).ok()?;
    timeout(patience, answer.recv_async()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn views(shards: usize) -> Vec<ShardView> {
        vec![ShardView::default(); shards]
    }

    #[test]
    fn a_stuck_shard_is_down_and_its_last_answer_is_kept() {
        runtime().block_on(async {
            let (ask, taken) = questions(2);
            let mut views = views(2);
            let answers = |shard: usize| {
                let taken = taken[shard].clone();
                async move {
                    let question = taken.recv_async().await.unwrap();
                    question.answer(ShardSnapshot { calls: 7, ..ShardSnapshot::default() });
                }
            };
            let patience = Duration::from_secs(3_600);
            let (_, _, ()) = futures_util::future::join3(
                answers(0),
                answers(1),
                ask_all(&ask, &mut views, patience),
            )
            .await;
            assert!(views.iter().all(|view| view.is_up));
            let patience = Duration::from_millis(50);
            let (_, ()) =
                futures_util::future::join(answers(0), ask_all(&ask, &mut views, patience)).await;
            assert!(views[0].is_up && !views[1].is_up);
            assert_eq!(views[1].last.as_ref().unwrap().calls, 7);
            // The stuck one still has the question, and is not asked again before it takes it.
            let (_, ()) =
                futures_util::future::join(answers(0), ask_all(&ask, &mut views, patience)).await;
            assert!(!views[1].is_up);
            assert!(taken[1].try_recv().unwrap().is_stale());
            assert!(taken[1].is_empty());
        });
    }
}
