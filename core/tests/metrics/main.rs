//! The HTTP port of the real program: its figures against what was done, its form, its health.
//!
//! - `figures.rs`: what is counted
//! - `form.rs`: the page, the documentation and the dashboard
//! - `groups.rs`: how far groups have read
//! - `many.rs`: 10,000 partitions, many scrapers
//! - `health.rs`: `/healthz` and `/readyz` from start to stop; ports that are taken
//! - `hostile.rs`: clients that mean harm

#[path = "../harness/mod.rs"]
mod harness;

mod figures;
mod form;
mod groups;
mod health;
mod hostile;
mod many;

use harness::options::Options;

/// A broker whose HTTP port the system chooses.
fn watched() -> Options {
    Options { http_listen: Some("127.0.0.1:0"), ..Options::default() }
}
