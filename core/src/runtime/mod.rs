//! The thin layer around the executor (glommio) and io_uring. Nothing else in Corelane names them.
//!
//! - [`shards`]: N pinned executor threads, started together or not at all, and joined
//! - [`shard_runtime`]: the handle to one shard; implements storage's `Runtime`
//! - [`reactor`]: what runs when no task does: the ring's turns, sleep and waking up
//! - [`ring`]: the shard's io_uring: queueing, submission, completion, readiness of sockets
//! - [`operation`]: one operation of that ring, from its first submission to its result
//! - [`timers`]: who sleeps until when
//! - [`long_work`]: turns of long work, one at a time
//! - [`wakes`]: wake-ups at home and from other threads
//! - [`disk_file`]: files over the calling shard's ring
//! - [`directory`]: blocking metadata operations: open, list, create, remove, sync
//! - [`blocking`]: the few threads on which those run
//! - [`listener`], [`stream`]: TCP: bind, accept, hand over to a shard, read, write
//! - [`send_file`], [`pipe`]: file to socket without a copy
//! - [`signals`]: SIGTERM and SIGINT as an awaited event
//! - [`data_dir_lock`]: one process per data directory
//! - [`task`]: a task whose panic ends only itself
//! - [`thread_time`]: what a thread costs

mod blocking;
pub mod data_dir_lock;
mod directory;
pub mod disk_file;
pub mod listener;
mod long_work;
mod operation;
mod pipe;
mod reactor;
mod ring;
pub mod send_file;
pub mod shard_runtime;
pub mod shards;
pub mod signals;
pub mod stream;
mod task;
mod thread_time;
mod timers;
mod wakes;

#[cfg(test)]
mod tests;

pub use data_dir_lock::{DataDirLock, LockError};
pub use disk_file::DiskFile;
pub use listener::{TcpListener, bind};
pub use send_file::SendableFile;
pub use shard_runtime::{RingCounters, ShardRuntime};
pub use shards::{ShardError, Shards, ShardsConfig, usable_cores};
pub use signals::Signals;
pub use stream::TcpStream;
pub use thread_time::{ThreadTime, thread_clock};
