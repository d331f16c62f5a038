//! The command line of what all loads have in common beside the load: which broker, how often,
//! against whom, and where the result goes.

use std::path::PathBuf;

use clap::Args;
use corelane_bench::plan::Target;
use corelane_bench::series::SeriesArgs;
use corelane_bench::spawn::{Contender, SpawnArgs};
use corelane_bench::sweep::{SearchArgs, SweepArgs};

/// Which broker, how often, against whom, and where the result goes.
#[derive(Clone, Debug, Args)]
pub struct TargetOptions {
    /// Address and port of a broker, or several with commas between
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    #[arg(help_heading = TARGET)]
    pub bootstrap: String,

    /// Process of the broker: its CPU time, memory and disk bytes are watched, with its children's
    /// [default: the one that listens on the port, if it is here and can be seen]
    #[arg(long, value_name = "PID", conflicts_with = "spawn", help_heading = TARGET)]
    pub broker_pid: Option<u32>,

    /// Start a Corelane of this program for each run, on an empty directory; it is gone afterwards
    #[arg(long, conflicts_with = "bootstrap", help_heading = TARGET)]
    pub spawn: bool,

    /// Directory below which brokers are started: on the disk that is meant
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = TARGET)]
    pub spawn_dir: PathBuf,

    /// Cores of the brokers that are started [default: all]
    #[arg(long, value_name = "N,N", value_delimiter = ',', help_heading = TARGET)]
    pub spawn_cores: Vec<usize>,

    /// A further word for `serve` of the brokers that are started, as --spawn-arg=--durability
    /// --spawn-arg=strict
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = TARGET)]
    pub spawn_arg: Vec<String>,

    /// Another broker to run the same against, in turn: A B A B
    ///
    /// HOST:PORT: one that runs already. corelane: one of this program, started for each run. null,
    /// null-write: the null broker, which does only what physics demands, without or with a disk
    /// behind it. cmd:COMMAND: a command that starts a broker when the command line of `corelane
    /// serve` is put behind it. May be given several times.
    #[arg(long, value_name = "TARGET", help_heading = COMPARISON)]
    pub against: Vec<Contender>,

    /// Short for --against null
    #[arg(long, help_heading = COMPARISON)]
    pub null: bool,

    /// Runs of each broker [default: 1; 3 with --against]; with --sweep, measurements of a rate
    /// that is in doubt [default: 3]
    #[arg(long, value_name = "N", help_heading = COMPARISON)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: Option<u32>,

    /// Find the highest rate at which 99 of 100 requests are answered within --p99-max
    #[arg(long, requires = "p99_max", conflicts_with_all = ["against", "null"])]
    #[arg(help_heading = SWEEP)]
    pub sweep: bool,

    /// The bound of --sweep, as 500us, 5ms or 1s
    #[arg(long, value_name = "TIME", value_parser = time_us, requires = "sweep")]
    #[arg(help_heading = SWEEP)]
    pub p99_max: Option<f64>,

    /// First rate that --sweep tries, per second: records, or requests where there are none
    #[arg(long, value_name = "N", default_value_t = 10_000.0, value_parser = rate)]
    #[arg(help_heading = SWEEP)]
    pub rate_first: f64,

    /// Lowest rate that --sweep tries
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = rate)]
    #[arg(help_heading = SWEEP)]
    pub rate_min: f64,

    /// Highest rate that --sweep tries
    #[arg(long, value_name = "N", default_value_t = 1e8, value_parser = rate)]
    #[arg(help_heading = SWEEP)]
    pub rate_max: f64,

    /// How exactly --sweep finds the rate
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    #[arg(help_heading = SWEEP)]
    pub rate_within: f64,

    /// Say how far the broker is from what `bench ceiling --json` has found
    #[arg(long, value_name = "FILE", conflicts_with = "with_ceiling", help_heading = RESULT)]
    pub ceiling: Option<PathBuf>,

    /// Measure first what the machine can do, on the disk under this directory, and say how far
    /// from it the broker is
    #[arg(long, value_name = "DIR", help_heading = RESULT)]
    pub with_ceiling: Option<PathBuf>,

    /// Write the result to this file as JSON
    #[arg(long, value_name = "FILE", help_heading = RESULT)]
    pub json: Option<PathBuf>,
}

const TARGET: &str = "Broker";
const COMPARISON: &str = "Comparison";
const SWEEP: &str = "Sweep";
const RESULT: &str = "Result";

/// Runs of each broker in a comparison, and measurements of a doubtful rate in a sweep.
const REPEATS: u32 = 3;

impl TargetOptions {
    /// Who is measured, and how often; without the ceiling.
    pub fn to_series(&self) -> SeriesArgs {
        let first = if self.spawn {
            Contender::Corelane
        } else {
            let Self { bootstrap, broker_pid, .. } = self.clone();
            Contender::Running(Target { bootstrap, broker_pid })
        };
        let mut contenders = vec![first];
        contenders.extend(self.against.iter().cloned());
        let null = Contender::Null { writes: false };
        if self.null && !contenders.contains(&null) {
            contenders.push(null);
        }
        let repeats = if contenders.len() > 1 { REPEATS } else { 1 };
        SeriesArgs {
            contenders,
            repeats: self.repeats.unwrap_or(repeats),
            spawn: SpawnArgs {
                dir: self.spawn_dir.clone(),
                cores: self.spawn_cores.clone(),
                args: self.spawn_arg.clone(),
            },
            ceiling: None,
        }
    }

    /// What is searched for, if anything is.
    pub fn to_sweep(&self) -> Option<SweepArgs> {
        let p99_max_us = self.p99_max.filter(|_| self.sweep)?;
        Some(SweepArgs {
            p99_max_us,
            search: SearchArgs {
                first: self.rate_first,
                min: self.rate_min.min(self.rate_max),
                max: self.rate_max,
                factor: 1.0 + self.rate_within,
                repeats: self.repeats.unwrap_or(REPEATS),
            },
        })
    }
}

/// A time in microseconds: a number, and us, ms or s.
fn time_us(text: &str) -> Result<f64, String> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let parsed = units.iter().find_map(|(unit, unit_us)| {
        let count: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(count * unit_us)
    });
    parsed
        .filter(|us| *us > 0.0 && *us <= 3.6e9)
        .ok_or_else(|| "expected a time of at most an hour, such as 500us, 2.5ms or 1s".to_owned())
}

/// Events a second.
fn rate(text: &str) -> Result<f64, String> {
    let parsed = text.trim().parse::<f64>().ok();
    parsed
        .filter(|rate| *rate > 0.0 && *rate <= 1e10)
        .ok_or_else(|| "expected a number above 0, such as 50000 or 1e6".to_owned())
}

/// A share, as 5% or 0.05.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let parsed = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.trim().parse::<f64>().ok(),
    };
    parsed
        .filter(|share| (0.0..=10.0).contains(share))
        .ok_or_else(|| "expected a share of 0 to 1000 percent, such as 5% or 0.05".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use corelane_bench::spawn::Contender;

    use super::{TargetOptions, percent, rate, time_us};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        target: TargetOptions,
    }

    fn parse(line: &str) -> Result<TargetOptions, clap::Error> {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.target)
    }

    #[test]
    fn contenders_are_read_in_their_order() {
        let options = parse("--spawn --against null --against cmd:kafka.sh --against h:1").unwrap();
        let series = options.to_series();
        let names: Vec<_> = series.contenders.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["corelane", "null", "cmd:kafka.sh", "h:1"]);
        assert_eq!(series.repeats, 3);
        let series = parse("--spawn-arg --durability --spawn-arg strict").unwrap().to_series();
        assert_eq!((series.repeats, series.contenders.len()), (1, 1));
        assert_eq!(series.spawn.args, ["--durability", "strict"]);
        let series = parse("--null --against null --repeats 7").unwrap().to_series();
        assert_eq!((series.repeats, series.contenders.len()), (7, 2));
        assert_eq!(series.contenders[1], Contender::Null { writes: false });
        for wrong in [
            "--spawn --bootstrap h:1",
            "--against cmd:",
            "--against nobody",
            "--repeats 0",
            "--sweep",
            "--p99-max 1ms",
            "--sweep --p99-max 1ms --null",
            "--ceiling a --with-ceiling b",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sweep_is_read() {
        assert_eq!(parse("").unwrap().to_sweep(), None);
        let sweep = parse("--sweep --p99-max 2.5ms --rate-max 50").unwrap().to_sweep().unwrap();
        assert_eq!((sweep.p99_max_us, sweep.search.repeats), (2500.0, 3));
        assert_eq!((sweep.search.min, sweep.search.max), (50.0, 50.0));
        assert!((sweep.search.factor - 1.05).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(time_us("500us"), Ok(500.0));
        assert_eq!(time_us("1 s"), Ok(1e6));
        assert_eq!((percent("5%"), percent("0.5")), (Ok(0.05), Ok(0.5)));
        assert_eq!(rate("1e6"), Ok(1e6));
        for wrong in ["", "0ms", "-1s", "5", "NaNs", "infs", "9999999s"] {
            assert!(time_us(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "-1%", "NaN", "inf", "x%", "2000%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "-5", "NaN", "inf"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
