//! The command line of `corelane group`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo};

use super::client::ClientOptions;
use crate::commands::consume::start::Start;

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List consumer groups
    ///
    /// On a terminal a table; otherwise a line for each group with tabs between: group, state, type,
    /// protocol type. What the broker does not tell is '-'.
    #[command(after_long_help = "Examples:
  corelane group list
  corelane group list --state stable --state empty
  corelane group list --json | jq -r '.groups[].group'

Exit codes: 0 listed; 1 not; 2 the command line is wrong; 3 some brokers did not tell.")]
    List(ListOptions),

    /// Describe groups: how far they have read, how far they lag, who is in
    ///
    /// Each partition of which a group has committed an offset, or that one of its members reads. The
    /// lag is the partition's end less the committed offset; '-' where nothing is committed, or where
    /// the topic does not exist any more.
    #[command(after_long_help = "Examples:
  corelane group describe billing
  corelane group describe billing --members
  corelane group describe --all-groups | sort -t$'\\t' -k7,7nr | head
  corelane group describe billing --json | jq .groups[0].lag

Exit codes: 0 described; 1 none of them; 2 the command line is wrong; 3 some of them.")]
    Describe(DescribeOptions),

    /// Delete groups without members, and the offsets they have committed
    ///
    /// Asks before it does, on a terminal; elsewhere --yes is needed.
    #[command(after_long_help = "Examples:
  corelane group delete billing-test
  corelane group delete --yes billing-test billing-old

Exit codes: 0 deleted; 1 none of them; 2 the command line is wrong, or --yes is missing; 3 some
of them.")]
    Delete(DeleteOptions),

    /// Say from where a group goes on
    ///
    /// Shows what it would do. With --execute it commits the new offsets; a group that has members is
    /// refused, for they would commit theirs on top. An offset outside of the log becomes its start or
    /// its end. A group that does not exist is made.
    #[command(after_long_help = "Examples:
  corelane group reset-offsets billing --all-topics --to-earliest
  corelane group reset-offsets billing --topic orders:0,1 --to-offset 4200 --execute
  corelane group reset-offsets billing --topic orders --to-datetime 2026-01-31T12:00:00Z
  corelane group reset-offsets billing --topic orders --shift-by -100 --execute
  corelane group reset-offsets billing --all-topics --to-current --export > billing.csv
  corelane group reset-offsets billing --from-file billing.csv --execute

Exit codes: 0 shown, or done; 1 nothing was done; 2 the command line is wrong; 3 some offsets were
changed.")]
    ResetOffsets(Box<ResetOptions>),

    /// Forget offsets that a group has committed
    ///
    /// Of topics that no member reads. Asks before it does, on a terminal; elsewhere --yes is needed.
    #[command(after_long_help = "Examples:
  corelane group delete-offsets billing --topic orders
  corelane group delete-offsets --yes billing --topic orders:3 --topic refunds

Exit codes: 0 forgotten; 1 none of them; 2 the command line is wrong, or --yes is missing; 3 some
of them.")]
    DeleteOffsets(DeleteOffsetsOptions),
}

/// Options of `corelane group list`.
#[derive(Clone, Debug, Args)]
pub struct ListOptions {
    /// Only groups in this state, as stable or empty; may be given several times
    #[arg(long, value_name = "STATE")]
    pub state: Vec<String>,

    /// Only groups of this type, as classic, consumer, share or streams; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Vec<String>,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Which groups.
#[derive(Clone, Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["names", "all_groups"])]
pub struct Which {
    /// The groups
    #[arg(value_name = "GROUP")]
    pub names: Vec<String>,

    /// All groups there are
    #[arg(long)]
    pub all_groups: bool,
}

/// Options of `corelane group describe`.
#[derive(Clone, Debug, Args)]
pub struct DescribeOptions {
    /// Which groups.
    #[command(flatten)]
    pub which: Which,

    /// Show who is in, instead of offsets
    ///
    /// Lines of group, member, instance id, host, client id, number of partitions, partitions.
    #[arg(long, group = "view")]
    pub members: bool,

    /// Show a line for each group, instead of offsets
    ///
    /// Lines of group, state, type, protocol type, assignor, coordinator, members, lag.
    #[arg(long, group = "view")]
    pub state: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane group delete`.
#[derive(Clone, Debug, Args)]
pub struct DeleteOptions {
    /// Which groups.
    #[command(flatten)]
    pub which: Which,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane group reset-offsets`.
#[derive(Clone, Debug, Args)]
#[group(id = "target", required = true, multiple = false, args = ["to_earliest", "to_latest",
    "to_current", "to_offset", "to_datetime", "by_duration", "shift_by", "from_file"])]
pub struct ResetOptions {
    /// The group
    pub group: String,

    /// A topic, or some of its partitions, as orders or orders:0,1; may be given several times
    #[arg(long, short, value_name = "TOPIC[:N,..]")]
    #[arg(required_unless_present_any = ["all_topics", "from_file"])]
    #[arg(conflicts_with_all = ["all_topics", "from_file"])]
    pub topic: Vec<TopicPartitions>,

    /// All partitions of which the group has committed an offset
    #[arg(long, conflicts_with = "from_file")]
    pub all_topics: bool,

    /// To the first record there is
    #[arg(long)]
    pub to_earliest: bool,

    /// To the end: only what is produced from now on
    #[arg(long)]
    pub to_latest: bool,

    /// To where it stands; where nothing is committed, to the end
    #[arg(long)]
    pub to_current: bool,

    /// To this offset
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub to_offset: Option<i64>,

    /// To the first record of this time or later
    ///
    /// As 2026-01-31T12:00:00Z (without Z or an offset it is UTC, too), 2026-01-31 (midnight UTC),
    /// 1767225600000 (ms since 1970), or -10m (ago; ms, s, m, h, d).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub to_datetime: Option<Start>,

    /// To the first record of so long ago or later, as 10m, 1h 30m, 7d or PT1H30M
    #[arg(long, value_name = "DURATION", value_parser = ago)]
    pub by_duration: Option<Start>,

    /// So many records forward, or with -N back
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub shift_by: Option<i64>,

    /// To the offsets of a file ('-': standard input) with lines of topic,partition,offset
    ///
    /// Lines of group,topic,partition,offset will do, too; those of other groups are passed over.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,

    /// Do it, instead of showing what would be done
    #[arg(long)]
    pub execute: bool,

    /// Print lines of topic,partition,offset, as --from-file takes them
    #[arg(long, conflicts_with = "json")]
    pub export: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane group delete-offsets`.
#[derive(Clone, Debug, Args)]
pub struct DeleteOffsetsOptions {
    /// The group
    pub group: String,

    /// A topic, or some of its partitions, as orders or orders:0,1; may be given several times
    #[arg(long, short, value_name = "TOPIC[:N,..]", required = true)]
    pub topic: Vec<TopicPartitions>,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Its name.
    pub topic: String,
    /// The partitions; none is all of them.
    pub partitions: Vec<i32>,
}

impl FromStr for TopicPartitions {
    type Err = String;

    fn from_str(text: &str) -> Result<TopicPartitions, String> {
        let wrong = || "expected a topic, or TOPIC:0,1 for some of its partitions".to_owned();
        let (topic, partitions) = match text.split_once(':') {
            None => (text, Vec::new()),
            Some((topic, numbers)) => {
                let number = |text: &str| text.trim().parse().ok().filter(|number| *number >= 0);
                let numbers: Option<Vec<i32>> = numbers.split(',').map(number).collect();
                (topic, numbers.ok_or_else(wrong)?)
            }
        };
        match topic.is_empty() {
            true => Err(wrong()),
            false => Ok(TopicPartitions { topic: topic.to_owned(), partitions }),
        }
    }
}

/// Kafka's own tool takes times without a zone, and means UTC.
fn moment(text: &str) -> Result<Start, String> {
    Start::timestamp(text).or_else(|error| Start::timestamp(&format!("{text}Z")).or(Err(error)))
}

fn ago(text: &str) -> Result<Start, String> {
    let duration = text.parse::<Span>().and_then(|span| {
        let days_are_24_hours = SpanRelativeTo::days_are_24_hours();
        span.to_duration(days_are_24_hours)
    });
    let ago_ms = duration.ok().and_then(|duration| i64::try_from(duration.as_millis()).ok());
    let ago_ms = ago_ms.filter(|ms| *ms >= 0);
    let wrong = || "expected a duration such as 10m, 1h 30m, 7d or PT1H30M".to_owned();
    ago_ms.map(Start::Ago).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{ResetOptions, Start, TopicPartitions, ago, moment};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        reset: ResetOptions,
    }

    fn parse(line: &str) -> Result<ResetOptions, clap::Error> {
        let words = ["reset-offsets"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.reset)
    }

    #[test]
    fn one_target_and_one_scope_are_asked_for() {
        let options = parse("g --topic a:0,2 --topic b --shift-by -5").unwrap();
        let whole = |topic: &str| TopicPartitions { topic: topic.to_owned(), partitions: vec![] };
        let some = TopicPartitions { partitions: vec![0, 2], ..whole("a") };
        assert_eq!((options.topic, options.shift_by), (vec![some, whole("b")], Some(-5)));
        assert!(parse("g --from-file x.csv --execute").is_ok());
        assert!(parse("g --all-topics --to-datetime -10m --json").is_ok());
        for wrong in [
            "g --to-latest",
            "g --all-topics",
            "g --all-topics --to-latest --to-earliest",
            "g --all-topics --topic a --to-latest",
            "g --from-file x --topic a",
            "g --from-file x --to-latest",
            "g --all-topics --to-offset -1",
            "g --all-topics --to-latest --json --export",
            "g --topic a: --to-latest",
            "g --topic a:-1 --to-latest",
            "g --topic :1 --to-latest",
            "--all-topics --to-latest",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_durations_are_read() {
        assert_eq!(moment("2026-01-31T12:00:00.000"), moment("2026-01-31T12:00:00Z"));
        assert_eq!(moment("-10m"), Ok(Start::Ago(600_000)));
        assert!(moment("noon").is_err());
        for (text, ms) in [("10m", 600_000), ("PT1H30M", 5_400_000), ("P7D", 604_800_000)] {
            assert_eq!(ago(text), Ok(Start::Ago(ms)), "{text}");
        }
        assert_eq!(ago("1d 1h"), Ok(Start::Ago(90_000_000)));
        for wrong in ["", "10", "-10m", "P1M", "1y", "x"] {
            assert!(ago(wrong).is_err(), "{wrong}");
        }
    }
}
