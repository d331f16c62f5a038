//! Loads as they are written.

use clap::Parser;
use corelane_bench::consume::{ConsumeArgs, Source};
use corelane_bench::delivery::DeliveryArgs;
use corelane_bench::load::Pace;
use corelane_bench::mixed::MixedArgs;
use corelane_bench::ping_pong::{PingApi, PingPongArgs};
use corelane_bench::produce::{ProduceArgs, ProducePace};

use crate::cli::{BenchCommand, Cli, Command};

fn parse(line: &str) -> Result<BenchCommand, clap::Error> {
    let line = format!("corelane bench {line}");
    match Cli::try_parse_from(line.split_whitespace())?.command {
        Command::Bench(command) => Ok(*command),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_load_is_read() {
    let line = "produce --acks -1 --rate 1e6 --core 0,2 --batch-bytes 16KiB --connections 8 \
                --duration 500ms --keys zipf:1000:1.2 --compression zstd:5 --compressibility 0.5 \
                --partitions 9 --partitions-per-request 3 --spin";
    let Ok(BenchCommand::Produce(options)) = parse(line) else { panic!("{line}") };
    let args = ProduceArgs::from(&options);
    assert_eq!(args.pace, ProducePace::RecordsPerSecond(1e6));
    let settings = &args.settings;
    assert_eq!((settings.in_flight, settings.records.batch_bytes), (None, 16 << 10));
    assert_eq!((args.load.cores, settings.connections), (vec![0, 2], 8));
    assert_eq!(settings.records.keys.to_string(), "zipf:1000:1.2");
    assert_eq!(settings.records.compression.to_string(), "zstd:5");
    assert_eq!((settings.partitions, settings.partitions_per_request), (9, 3));
    assert!(args.load.spin);
}

#[test]
fn every_workload_has_its_pace() {
    let Ok(BenchCommand::E2e(options)) = parse("e2e") else { panic!("e2e") };
    let args = DeliveryArgs::from(&options);
    assert_eq!((args.pace, args.settings.readers), (ProducePace::RecordsPerSecond(1e5), 1));
    let line = "fan-out --readers 7 --in-flight 2";
    let Ok(BenchCommand::FanOut(options)) = parse(line) else { panic!("{line}") };
    let args = DeliveryArgs::from(&options);
    assert_eq!((args.pace, args.settings.readers), (ProducePace::InFlight(2), 7));
    assert_eq!(args.settings.produce.records_per_s, None);
    let line = "mixed --mix fetch=1 --rate 500";
    let Ok(BenchCommand::Mixed(options)) = parse(line) else { panic!("{line}") };
    let args = MixedArgs::from(&options);
    assert_eq!(args.pace, Pace::RequestsPerSecond(500.0));
    assert_eq!(args.settings.mix.to_string(), "produce=0,fetch=1,metadata=0");
    let line = "ping-pong --api produce --in-flight 4";
    let Ok(BenchCommand::PingPong(options)) = parse(line) else { panic!("{line}") };
    let args = PingPongArgs::from(&options);
    assert_eq!((args.pace, args.settings.api), (Pace::InFlight(4), PingApi::Produce));
    let line = "consume --prepare 1GB --partitions 3 --record-bytes 1KiB";
    let Ok(BenchCommand::Consume(options)) = parse(line) else { panic!("{line}") };
    let Source::Prepared { prepare_bytes, partitions, records } =
        ConsumeArgs::from(&options).settings.source
    else {
        panic!("{line}")
    };
    assert_eq!((prepare_bytes, partitions, records.record_bytes), (1_000_000_000, 3, 1024));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [
        "produce --rate 5 --in-flight 3",
        "produce --topic t --partitions 3",
        "produce --acks 2",
        "produce --in-flight 0",
        "produce --keys uniform:0",
        "produce --compression brotli",
        "produce --compression lz4:3",
        "produce --payload-file f --compressibility 0.5",
        "consume",
        "consume --topic t --prepare 1GB",
        "consume --topic t --partitions 3",
        "consume --topic t --keys uniform:3",
        "fan-out --readers 0",
        "e2e --rate 5 --in-flight 1",
        "mixed --mix produce=0",
        "ping-pong --connections 0",
        "ping-pong --api join-group",
        "ping-pong --duration 1y",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
