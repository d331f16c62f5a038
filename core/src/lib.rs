//! Corelane: what runs on each CPU core.
//!
//! - [`runtime`]: executor, disk ring, sockets, signals: the only code that names glommio and io_uring

pub mod runtime;
