//! Commands that neither serve nor measure.
//!
//! - [`tune`]: `corelane tune`, the machine under a broker
//! - [`log`]: `corelane log`, a data directory without a broker
//! - `output.rs`: printing for people and for pipes

pub mod log;
mod output;
pub mod tune;
