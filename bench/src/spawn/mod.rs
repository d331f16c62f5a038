//! Brokers of our own: started for a run on an empty directory, watched, and gone afterwards.
//!
//! - [`contender`]: what can be measured: a broker that runs already, or one that is started
//! - [`broker_process`]: a started broker, from its command line to its end
//! - [`scratch`]: the directory of all that is started; it is gone at the end, or at the next start
//! - [`listening`]: which process has a port

mod broker_process;
mod contender;
mod listening;
mod scratch;
#[cfg(test)]
mod tests;

pub(crate) use broker_process::{confine, cpu_set};
pub use contender::{Contender, Serving, SpawnArgs};
pub use listening::broker_pid;
pub use scratch::Scratch;
