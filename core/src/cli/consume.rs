//! The command line of `corelane consume`.

use clap::Args;

use super::client::ClientOptions;
use super::escapes::unescape;
use super::produce::Delimiter;
use crate::commands::consume::format::Format;
use crate::commands::consume::start::Start;

/// Options of `corelane consume`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Formats:
  raw       the value, and --delimiter
  json      an object on a line: topic, partition, offset, timestamp (ms since 1970, null if none),
            key, value, headers; what is not UTF-8 is told as base64, in key_base64 and value_base64
  TEMPLATE  any text with %t topic, %p partition, %o offset, %k key, %v (or %s) value, %h headers
            (a=b,c=d), %T timestamp in ms, %K and %S bytes of key and value (-1 if null), %% and
            the escapes \\n \\r \\t \\0 \\\\ \\xNN

Examples:
  corelane consume greetings
  corelane consume orders --follow
  corelane consume orders --timestamp -10m --format json | jq .value
  corelane consume orders --partition 3 --offset -5 --format '%p:%o %k=%v\\n'
  corelane consume images --count 1 --delimiter '' > picture.png

Exit codes: 0 all was printed, or the reader of the output has gone; 1 a failure; 2 the command
line is wrong; 130 interrupted.")]
pub struct ConsumeOptions {
    /// The topic
    pub topic: String,

    /// Go on with what is produced from now on, until interrupted
    ///
    /// Without it: from the beginning to where each partition ends now, as cat does with a file. With
    /// it: from the end on, as tail -f does, unless another start is given.
    #[arg(long, short)]
    pub follow: bool,

    /// Start with the first record
    #[arg(long, group = "start")]
    pub from_beginning: bool,

    /// Start with this offset of each partition; -N is N records before its end
    #[arg(long, short, value_name = "N", allow_hyphen_values = true, group = "start")]
    #[arg(value_parser = Start::offset)]
    pub offset: Option<Start>,

    /// Start with the first record of this time or later
    ///
    /// As 2026-01-31T12:00:00Z, 2026-01-31 (midnight UTC), 1767225600000 (ms since 1970), or -10m (ago;
    /// ms, s, m, h, d).
    #[arg(long, short, value_name = "TIME", allow_hyphen_values = true, group = "start")]
    #[arg(value_parser = Start::timestamp)]
    pub timestamp: Option<Start>,

    /// Only these partitions, with commas between [default: all]
    #[arg(long, short, value_name = "N,..", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Vec<i32>,

    /// End after so many records
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,

    /// What is printed of each record: raw, json, or a template [default: raw]
    #[arg(long, short = 'F', value_name = "FORMAT", value_parser = Format::parse)]
    #[arg(conflicts_with = "json")]
    pub format: Option<Format>,

    /// What is printed behind each value of the raw format; escapes as in templates, may be empty
    #[arg(long, value_name = "TEXT", default_value = "\\n", value_parser = output_delimiter)]
    pub delimiter: Delimiter,

    /// Print only records whose transactions are committed, and wait for those not decided
    #[arg(long)]
    pub read_committed: bool,

    /// Pass over damaged batches and tell of them on stderr, instead of failing
    #[arg(long)]
    pub skip_corrupt: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

fn output_delimiter(text: &str) -> Result<Delimiter, String> {
    unescape(text).map(Delimiter)
}
