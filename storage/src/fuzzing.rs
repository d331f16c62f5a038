//! What a fuzzer calls, for everything here that reads bytes of a disk or of a producer. Each
//! function takes any bytes and panics if something does not hold.
//!
//! Nearly everything is behind a checksum, which no fuzzer guesses: so each function looks at the
//! bytes twice, as they are and with their checksums (and lengths) made right.
//!
//! `cargo fuzz` (see `docs/fuzzing.md`) feeds them for as long as one likes, the tests with mutated
//! valid bytes from one seed.

mod memory_file;
#[cfg(test)]
mod tests;

pub use crate::batch::fuzz::{batch, records};
pub use crate::command_log::fuzz::command_log;
pub use crate::index::fuzz::index;
pub use crate::journal::scan::fuzz::journal;
pub use crate::log::fuzz_checkpoint::checkpoint;
pub use crate::manifest::fuzz::manifest;
pub use crate::producers::fuzz::producers;

pub(crate) use memory_file::MemoryFile;

/// The blocks that `bytes` begin and end in: where formats of whole blocks look for something.
pub(crate) fn block_starts(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    (0..bytes.len()).step_by(crate::runtime::BLOCK_BYTES)
}
