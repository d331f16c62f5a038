//! What the broker can be asked about itself: counters, gauges, health.
//!
//! Each shard counts for itself, in plain numbers. A scrape asks every shard for a copy
//! ([`snapshot`]), which it makes in slices; all else happens on the HTTP port's thread.
//!
//! - [`counters`]: what a shard counts, beside its partitions and its storage
//! - [`stages`]: how long each stage of a request takes
//! - [`status`]: whether the broker lives and serves
//! - [`snapshot`]: one shard's numbers at one instant
//! - [`groups`]: how far its groups have read
//! - `slices.rs`: how a shard makes it without being held
//! - [`scrape`]: from all shards' snapshots to one page
//! - `process.rs`: what the kernel says of this process
//! - `families.rs`: every metric there is; docs/metrics.md is made from it
//! - `text.rs`: Prometheus' text format
//! - `render/`: snapshots as text

pub mod counters;
mod families;
pub mod groups;
mod process;
mod render;
pub mod scrape;
pub mod slices;
pub mod snapshot;
pub mod stages;
pub mod status;
mod text;
