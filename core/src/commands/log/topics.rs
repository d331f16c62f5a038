//! What the catalog of a data directory says.

use std::path::PathBuf;

use corelane_storage::command_log::CommandLogError;
use corelane_storage::ids::TopicId;
use corelane_storage::inspect::DataDir;

use super::Error;
use crate::catalog::command::DecodeError;
use crate::catalog::{Catalog, Command};

/// Why the catalog is not known.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Its log can't be read.
    #[error(transparent)]
    Log(#[from] CommandLogError),
    /// There is none.
    #[error("{} has no catalog (catalog.*.log)", .0.display())]
    Missing(PathBuf),
    /// A record of it is whole, but no command.
    #[error("the catalog's log, record {number}: {source}")]
    Command {
        /// Which, from 0.
        number: usize,
        /// Why.
        source: DecodeError,
    },
}

/// A catalog, as a start would read it.
pub struct ReadCatalog {
    /// The topics.
    pub catalog: Catalog,
    /// Where its last record is unreadable, and what a start does about it.
    pub cut: Option<(PathBuf, u64, String)>,
    /// Files that a start removes.
    pub invalid: Vec<PathBuf>,
}

/// Reads the catalog as a start would.
pub fn read(dir: &DataDir) -> Result<ReadCatalog, CatalogError> {
    let missing = || CatalogError::Missing(dir.path().to_owned());
    let commands = dir.commands("catalog.log")?.ok_or_else(missing)?;
    let mut catalog = Catalog::default();
    for (number, payload) in commands.payloads.iter().enumerate() {
        let command =
            Command::decode(payload).map_err(|source| CatalogError::Command { number, source })?;
        catalog.apply(&command);
    }
    let what = format!(
        "the last record is unreadable ({} bytes): torn, or damaged; the next start cuts it",
        commands.torn_bytes
    );
    let cut = (commands.torn_bytes > 0).then_some((commands.path, commands.end_bytes, what));
    Ok(ReadCatalog { catalog, cut, invalid: commands.invalid })
}

/// The id of the topic that `text` names, by name or by id in hexadecimal digits.
pub fn find(catalog: Option<&Catalog>, text: &str) -> Result<TopicId, Error> {
    let by_name = catalog.and_then(|catalog| catalog.topic(text)).map(|topic| topic.id);
    by_name.or_else(|| TopicId::from_hex(text)).ok_or_else(|| Error::NoTopic(text.to_owned()))
}
