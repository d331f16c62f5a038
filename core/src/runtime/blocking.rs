//! The few threads on which blocking metadata operations run.
//!
//! glommio's own pool loses the waiter of a closure that panics and has one thread per executor,
//! so that one slow `remove_dir_all` holds up every `open` behind it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::task::panic_message;

/// Jobs that wait for a thread; beyond it the asking task waits.
const QUEUED_JOBS_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the pool; its threads end with the last handle.
#[derive(Clone)]
pub(crate) struct BlockingPool {
    jobs: flume::Sender<Job>,
}

impl BlockingPool {
    /// Starts `threads` threads with the affinity of the caller.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, queue) = flume::bounded::<Job>(QUEUED_JOBS_MAX);
        for index in 0..threads {
            let queue = queue.clone();
            thread::Builder::new().name(format!("blocking-{index}")).spawn(move || {
                while let Ok(job) = queue.recv() {
                    job();
                }
            })?;
        }
        Ok(BlockingPool { jobs })
    }

    /// Runs `work` on a thread of the pool. If the returned future is dropped, `work` still runs
    /// once it was queued. A panic in `work` is an error here and harms nothing else.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (reply, answer) = flume::bounded(1);
        let job: Job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                Err(io::Error::other(format!("panicked: {}", panic_message(&*panic))))
            });
            // The asker may be gone: nobody wants the result then.
            let _ = reply.send(result);
        });
        let gone = || io::Error::other("the threads for blocking operations have ended");
        self.jobs.send_async(job).await.map_err(|_| gone())?;
        answer.recv_async().await.map_err(|_| gone())?
    }
}
