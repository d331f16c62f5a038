//! Tests of the runtime against the real kernel, on the filesystem of the target directory.

mod blocking;
mod disk;
mod lock;
mod operation;
mod readiness;
mod send_file;
mod shards;
mod signals;
mod tcp;
mod wakeups;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{ShardRuntime, Shards, ShardsConfig};

/// A directory below the target directory (a real disk, where /tmp may be memory), removed at the
/// end.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let exe = std::env::current_exe().unwrap();
        let target = exe.ancestors().nth(3).unwrap();
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = target.join("runtime-tests").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        TempDir(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `main` on each of `shards` shards; its results.
fn on_shards<T, F, M>(shards: usize, main: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(ShardRuntime) -> M + Clone + Send + 'static,
    M: Future<Output = T> + 'static,
{
    on_shards_of(ShardsConfig { shards, ..Default::default() }, main)
}

/// As [`on_shards`], of any configuration.
fn on_shards_of<T, F, M>(config: ShardsConfig, main: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(ShardRuntime) -> M + Clone + Send + 'static,
    M: Future<Output = T> + 'static,
{
    let running = Shards::start(&config, main).unwrap();
    running.join().into_iter().map(Result::unwrap).collect()
}

/// Runs `main` on a single shard.
fn on_shard<T, F, M>(main: F) -> T
where
    T: Send + 'static,
    F: Fn(ShardRuntime) -> M + Clone + Send + 'static,
    M: Future<Output = T> + 'static,
{
    on_shards(1, main).remove(0)
}

/// This test binary again, to run the one ignored test `name` as a child process. Named so that it
/// is the one that runs, also when a build has replaced or removed it meanwhile.
fn child(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}
