//! The shard's journal: one sequential direct-I/O stream for all bytes that are too few to be
//! written to their segments in full blocks.
//!
//! ```text
//! format.rs   the bytes of an entry (one group commit) and its fragments
//! company.rs  whether an entry waits a moment for more
//! writer.rs   assembling entries, writing them one at a time, syncing, reusing files
//! scan.rs     at start: which fragments count, in which order, and what is damaged
//! survey.rs   the same without a start, in bounded memory
//! ```

pub(crate) mod company;
pub(crate) mod format;
pub(crate) mod scan;
pub(crate) mod survey;
pub(crate) mod writer;
