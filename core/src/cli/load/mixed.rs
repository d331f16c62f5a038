//! `corelane bench mixed`.

use clap::Args;
use corelane_bench::mixed::{Mix, MixedArgs, MixedSettings};

use super::{LoadOptions, RequestPace, WriteOptions, fetch_bytes};

/// Settings of `corelane bench mixed`.
#[derive(Clone, Debug, Args)]
pub struct MixedOptions {
    /// What all loads have in common.
    #[command(flatten)]
    pub load: LoadOptions,

    /// What is produced.
    #[command(flatten)]
    pub write: WriteOptions,

    /// Weights of the kinds of requests
    #[arg(long, value_name = "WEIGHTS", default_value = "produce=70,fetch=25,metadata=5")]
    pub mix: Mix,

    /// When requests leave.
    #[command(flatten)]
    pub pace: RequestPace,

    /// Bytes of a fetch at most; it asks for the newest batch that its connection has written
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = fetch_bytes)]
    pub fetch_bytes: u32,
}

impl From<&MixedOptions> for MixedArgs {
    fn from(options: &MixedOptions) -> MixedArgs {
        let (connections, in_flight) = (options.load.connections, options.pace.in_flight());
        MixedArgs {
            pace: options.pace.pace(),
            settings: MixedSettings {
                mix: options.mix,
                produce: options.write.to_settings(connections, in_flight, None),
                requests_per_s: options.pace.rate,
                fetch_bytes: options.fetch_bytes,
            },
            is_confirmed: options.write.yes,
            load: options.load.to_args(),
        }
    }
}
