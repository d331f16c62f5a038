//! The command line of what all loads have in common beside the load: which broker, how often, and
//! where the result goes.

use std::path::PathBuf;

use clap::Args;
use corelane_bench::plan::Target;

/// Which broker, and where the result goes.
#[derive(Clone, Debug, Args)]
pub struct TargetOptions {
    /// Address and port of a broker, or several with commas between
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap: String,

    /// Process of the broker: its CPU time, memory and disk bytes are watched, with its children's
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,

    /// Write the result to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl From<&TargetOptions> for Target {
    fn from(options: &TargetOptions) -> Target {
        Target { bootstrap: options.bootstrap.clone(), broker_pid: options.broker_pid }
    }
}
