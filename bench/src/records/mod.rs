//! What records are like, and batches of them: built once, before the clock starts, and sent again
//! and again.
//!
//! - [`settings`]: sizes, keys, compression and content, as a user names them
//! - [`keys`]: which keys, how often
//! - [`payload`]: the bytes of values
//! - [`pool`]: batches of all that, bounded in bytes and time

mod keys;
mod payload;
mod pool;
mod settings;

pub use keys::Keys;
pub(crate) use pool::Pool;
pub use pool::PoolReport;
pub use settings::RecordSettings;
