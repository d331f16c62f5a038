//! Which core a thread runs on.

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::{BenchError, system};

/// Pins the calling thread, and those that it starts afterwards, to one core; without one does
/// nothing.
///
/// # Errors
/// [`BenchError::Argument`] for a core that is not there, or that the process may not use.
pub(crate) fn pin(core: Option<usize>) -> Result<(), BenchError> {
    let Some(core) = core else { return Ok(()) };
    if core >= CpuSet::MAX_CPU {
        return Err(BenchError::Argument(format!("there is no core {core}")));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| match error {
        Errno::INVAL => BenchError::Argument(format!(
            "this machine has no core {core} that the process may use: `nproc` tells how many it may"
        )),
        error => system("pinning to a core")(error),
    })
}
