//! Measuring: what a machine can do, and how much of it a broker makes use of.
//!
//! What a machine can do:
//! - [`ceiling`]: disk, network, memcpy and CRC-32C, by plain threads and system calls
//! - [`journal`]: records that wait for an fdatasync, and nothing else
//! - [`null_broker`]: a broker that does only what physics demands: the limit of one core
//! - [`yardstick`]: how far a broker is from it
//!
//! How much of it a broker makes use of:
//! - [`produce`], [`consume`], [`delivery`], [`mixed`], [`ping_pong`]: workloads: what is asked, and
//!   what an answer must say
//! - [`foreign`]: the same through clients of others
//! - [`plan`]: a workload with its settings, as often and against whom it is wanted
//! - [`load`]: requests on a schedule or a fixed number under way, over plain threads and
//!   non-blocking sockets; latencies from the intended time, and the naive ones beside them
//! - [`records`]: what records are like; batches, built once and sent again and again
//! - [`usage`]: what client, broker and machine spent meanwhile
//! - [`load_report`]: the outcome, for people and as JSON; [`environment`], [`disk`],
//!   [`broker_facts`]: of what machine and what broker
//!
//! Against whom, and how often:
//! - [`spawn`]: brokers that are started for a run, and are gone afterwards
//! - [`series`]: several runs, against several brokers in turn: A B A B, and their ratios
//! - [`sweep`]: one rate after another, up to the highest that keeps a bound
//! - [`comparison`]: two results: better, worse or the same
//! - [`figures`], [`spread`]: what is compared; the least, the middle and the largest of it
//!
//! What all of it uses:
//! - [`wire`], `poller`: frames to and from non-blocking sockets, without the broker's runtime
//! - `client`: topics made and deleted, one request at a time
//! - [`stop`], [`error`]: how a run ends early, and why
//! - `cores`, `direct_file`: pinning, and files past the page cache

pub mod broker_facts;
pub mod ceiling;
mod client;
pub mod comparison;
pub mod consume;
mod cores;
pub mod delivery;
mod direct_file;
pub mod disk;
pub mod environment;
pub mod error;
pub mod figures;
pub mod foreign;
pub mod journal;
pub mod load;
pub mod load_report;
pub mod mixed;
pub mod null_broker;
pub mod ping_pong;
pub mod plan;
mod poller;
pub mod produce;
pub mod records;
pub mod series;
pub mod spawn;
pub mod spread;
pub mod stop;
pub mod sweep;
pub mod usage;
pub mod wire;
pub mod yardstick;

pub use error::BenchError;
pub use stop::Stop;
pub use yardstick::Yardstick;
