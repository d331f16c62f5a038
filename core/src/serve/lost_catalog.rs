//! Topics without a catalog: a half-deleted data directory, whose topics a start would take for
//! deleted ones.

use std::path::Path;

use corelane_storage::runtime::{BLOCK_BYTES, DirEntry, Runtime};
use corelane_storage::store::Boot;

use super::ServeError;

/// Refuses a directory that has partitions but no catalog; before a new catalog is made.
pub async fn refuse<R: Runtime>(
    runtime: &R,
    data_dir: &Path,
    boot: &Boot,
) -> Result<(), ServeError> {
    let disk = |source| ServeError::Store { shard: 0, source };
    let names = runtime.list(data_dir).await.map_err(|error| disk(error.into()))?;
    if has_catalog(&names) || !boot.has_partitions(runtime).await.map_err(disk)? {
        return Ok(());
    }
    Err(ServeError::CatalogLost(data_dir.to_owned()))
}

/// A first generation without any record does not count: no topic was ever made in it. A later one
/// does, as the last of its topics may have been deleted.
fn has_catalog(names: &[DirEntry]) -> bool {
    let files = names
        .iter()
        .filter(|entry| entry.name.starts_with("catalog.") && entry.name.ends_with(".log"));
    let mut counts = files
        .map(|entry| entry.name != "catalog.000001.log" || entry.len_bytes > BLOCK_BYTES as u64);
    counts.any(|counts| counts)
}

#[cfg(test)]
mod tests {
    use corelane_storage::runtime::DirEntry;

    use super::has_catalog;

    fn named(name: &str, len_bytes: u64) -> DirEntry {
        DirEntry { name: name.to_owned(), is_dir: false, len_bytes, modified_ms: 0 }
    }

    #[test]
    fn what_counts_as_a_catalog() {
        assert!(!has_catalog(&[named("manifest", 8192), named("journal", 0)]));
        assert!(!has_catalog(&[named("catalog.000001.log", 0)]));
        assert!(!has_catalog(&[named("catalog.000001.log", 4096)]));
        assert!(has_catalog(&[named("catalog.000001.log", 8192)]));
        assert!(has_catalog(&[named("catalog.000007.log", 4096)]));
    }
}
