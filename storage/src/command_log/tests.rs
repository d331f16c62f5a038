use std::rc::Rc;
use std::time::Duration;

use super::format::{DecodedHeader, decode_header, decode_record, header, put_record};
use super::*;
use crate::sim::{Crash, FaultRates, Kind, Rng, SimRuntime, Simulation};

type Payloads = Vec<Vec<u8>>;

const DIR: &str = "/data";

fn log_path() -> PathBuf {
    Path::new(DIR).join("catalog.log")
}

fn generation_path(generation: u64) -> PathBuf {
    LogName::new(&log_path()).generation_path(generation)
}

async fn open_on(rt: &SimRuntime) -> Result<(CommandLog<SimRuntime>, Payloads), CommandLogError> {
    rt.create_dir_all(Path::new(DIR)).await?;
    CommandLog::open(rt, &log_path()).await
}

/// Opens the log in a world without faults.
fn open(sim: &Simulation) -> Result<(CommandLog<SimRuntime>, Payloads), CommandLogError> {
    let rt = sim.runtime();
    sim.run_until(open_on(&rt))
}

/// A log of three records: one block, two blocks, empty.
fn three_records(sim: &Simulation) -> Payloads {
    let (log, found) = open(sim).unwrap();
    assert!(found.is_empty());
    let payloads = vec![b"one".to_vec(), vec![2; 8_000], Vec::new()];
    sim.run_until(async {
        for payload in &payloads {
            log.append(payload).await.unwrap();
        }
    });
    payloads
}

/// Puts `bytes` in place of a generation.
fn plant(sim: &Simulation, generation: u64, bytes: &[u8]) {
    let rt = sim.runtime();
    sim.run_until(async {
        let file = rt.open(&generation_path(generation), OpenMode::Create).await.unwrap();
        write_bytes(&file, 0, bytes).await.unwrap();
        file.truncate(bytes.len() as u64).await.unwrap();
    });
}

#[test]
fn gives_back_what_was_appended() {
    let sim = Simulation::new(1);
    let payloads = three_records(&sim);
    sim.crash(Crash::PowerLoss);
    let (log, found) = open(&sim).unwrap();
    assert_eq!(found, payloads);
    assert_eq!((log.record_count(), log.len_bytes()), (3, 5 * 4096));
    assert_eq!(sim.bytes_of(&generation_path(1)).unwrap().len(), 5 * 4096);
}

#[test]
fn a_rewrite_replaces_everything_and_frees_the_old_file() {
    let sim = Simulation::new(2);
    three_records(&sim);
    let (log, _) = open(&sim).unwrap();
    let many: Payloads = (0..400u32).map(|i| i.to_le_bytes().repeat(1_000)).collect();
    sim.run_until(async {
        log.rewrite(&many).await.unwrap();
        log.append(b"behind").await.unwrap();
    });
    assert_eq!(log.record_count(), 401);
    sim.crash(Crash::PowerLoss);
    let (_, found) = open(&sim).unwrap();
    assert_eq!(found[..400], many);
    assert_eq!(found[400..], [b"behind".to_vec()]);
    assert_eq!(sim.bytes_of(&generation_path(1)), None);
}

#[test]
fn formats_give_back_what_went_in_and_any_change_shows() {
    let block = header(3, 9);
    assert_eq!(decode_header(&block, 3), DecodedHeader::Valid { initial_records: 9 });
    assert_eq!(decode_header(&block, 4), DecodedHeader::Invalid);
    let mut record = Vec::new();
    put_record(&mut record, 3, 8, b"payload");
    let found = decode_record(&record, 3).unwrap();
    assert_eq!((found.sequence, found.payload, found.total_bytes), (8, &b"payload"[..], 4096));
    assert_eq!(decode_record(&record, 2), None);
    for at in 0..4096 {
        let flip = |bytes: &[u8]| {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1;
            flipped
        };
        assert_eq!(decode_header(&flip(&block), 3), DecodedHeader::Invalid, "byte {at}");
        let padding = at >= 32 + 7;
        assert_eq!(decode_record(&flip(&record), 3).is_some(), padding, "byte {at}");
    }
    for end in 0..39 {
        assert_eq!(decode_record(&record[..end], 3), None);
    }
}

#[test]
fn a_torn_last_record_is_cut() {
    let sim = Simulation::new(3);
    let payloads = three_records(&sim);
    let whole = sim.bytes_of(&generation_path(1)).unwrap();
    for torn_end in [2 * 4096 + 512, 3 * 4096, 3 * 4096 + 512, 4 * 4096] {
        // The second record, of two blocks, becomes the last one.
        let mut bytes = whole[..4 * 4096].to_vec();
        bytes[torn_end - 512..].fill(0);
        plant(&sim, 1, &bytes);
        let (log, found) = open(&sim).unwrap();
        assert_eq!(found, payloads[..1]);
        assert_eq!(sim.bytes_of(&generation_path(1)).unwrap().len(), 2 * 4096);
        sim.run_until(async { log.append(b"next").await.unwrap() });
        assert_eq!(open(&sim).unwrap().1, [payloads[0].clone(), b"next".to_vec()]);
    }
}

#[test]
fn a_bad_record_before_a_good_one_is_damage_and_nothing_is_changed() {
    for position in [4096, 4096 + 33, 2 * 4096 + 20, 3 * 4096 + 1] {
        let sim = Simulation::new(4);
        three_records(&sim);
        sim.disk().rot(&generation_path(1), position, 3);
        let before = sim.bytes_of(&generation_path(1));
        let at = if position < 2 * 4096 { 4096 } else { 2 * 4096 };
        match open(&sim).unwrap_err() {
            CommandLogError::Damaged { path, position, .. } => {
                assert_eq!((path, position), (generation_path(1), at));
            }
            other => panic!("{other}"),
        }
        assert_eq!(sim.bytes_of(&generation_path(1)), before);
    }
}

#[test]
fn records_of_a_rewrite_are_never_taken_for_a_torn_tail() {
    let sim = Simulation::new(5);
    let (log, _) = open(&sim).unwrap();
    sim.run_until(async { log.rewrite([b"a", b"b"]).await.unwrap() });
    sim.disk().rot(&generation_path(2), 2 * 4096, 0);
    assert!(matches!(open(&sim).unwrap_err(), CommandLogError::Damaged { position: 8192, .. }));
}

#[test]
fn unreadable_headers_and_other_versions_are_refused() {
    let sim = Simulation::new(6);
    three_records(&sim);
    let whole = sim.bytes_of(&generation_path(1)).unwrap();
    sim.disk().rot(&generation_path(1), 100, 0);
    assert!(matches!(open(&sim).unwrap_err(), CommandLogError::Damaged { position: 0, .. }));
    let mut newer = whole;
    newer[4] = 2;
    newer[8..12].fill(0);
    let crc = crc32fast::hash(&newer[..4096]);
    newer[8..12].copy_from_slice(&crc.to_le_bytes());
    plant(&sim, 1, &newer);
    let error = open(&sim).unwrap_err();
    assert!(matches!(error, CommandLogError::OtherVersion { found: 2, supported: 1, .. }));
}

#[test]
fn a_full_disk_keeps_the_log_usable() {
    let sim = Simulation::new(7);
    let mut payloads = three_records(&sim);
    let (log, _) = open(&sim).unwrap();
    sim.disk().set_space_bytes(sim.disk().used_bytes() + 4096);
    sim.run_until(async {
        let no_space = |error| matches!(error, CommandLogError::Disk(e) if e.is_no_space());
        assert!(no_space(log.append(&[9; 5_000]).await.unwrap_err()));
        assert!(no_space(log.rewrite([[8; 5_000]]).await.unwrap_err()));
        log.append(b"fits").await.unwrap();
        assert!(no_space(log.append(b"does not").await.unwrap_err()));
        sim.disk().set_space_bytes(u64::MAX);
        log.append(b"fits again").await.unwrap();
    });
    payloads.extend([b"fits".to_vec(), b"fits again".to_vec()]);
    assert_eq!(open(&sim).unwrap().1, payloads);
}

#[test]
fn what_a_failed_append_left_behind_is_never_taken_for_a_record() {
    let sim = Simulation::new(10);
    let (log, _) = open(&sim).unwrap();
    // Its second block looks like the record that would follow a shorter one in its place.
    let mut nested = vec![0; BLOCK_BYTES - 32];
    put_record(&mut nested, 1, 1, b"never appended");
    sim.disk().fail_nth(Kind::Sync, 1);
    sim.run_until(async {
        log.append(&nested).await.unwrap_err();
        log.append(b"short").await.unwrap();
    });
    sim.crash(Crash::Kill);
    assert_eq!(open(&sim).unwrap().1, [b"short".to_vec()]);
}

#[test]
fn a_rewrite_that_fails_late_leaves_the_log_in_doubt_until_it_is_opened_again() {
    let sim = Simulation::new(8);
    three_records(&sim);
    let (log, old) = open(&sim).unwrap();
    sim.disk().fail_nth(Kind::Sync, 2); // that of the header
    sim.run_until(async {
        assert!(matches!(log.rewrite([b"new"]).await, Err(CommandLogError::Disk(_))));
        assert!(matches!(log.append(b"x").await, Err(CommandLogError::InDoubt { .. })));
    });
    sim.crash(Crash::PowerLoss);
    let found = open(&sim).unwrap().1;
    assert!(found == old || found == [b"new".to_vec()], "{found:?}");
}

#[test]
fn payloads_have_a_limit() {
    let sim = Simulation::new(9);
    let (log, _) = open(&sim).unwrap();
    let large = vec![0; PAYLOAD_BYTES_MAX + 1];
    sim.run_until(async {
        assert!(matches!(log.append(&large).await, Err(CommandLogError::TooLarge { .. })));
        log.append(b"small").await.unwrap();
    });
}

#[test]
fn other_files_are_not_generations() {
    let name = LogName::new(&log_path());
    assert_eq!(name.generation_of("catalog.000012.log"), Some(12));
    assert_eq!(name.generation_of("catalog.1000000.log"), Some(1_000_000));
    for other in ["catalog.log", "catalog.12.log", "catalog.+00012.log", "x.000012.log", ""] {
        assert_eq!(name.generation_of(other), None, "{other}");
    }
}

/// What the log may hold: the acknowledged state, or that of a change since then that failed or
/// was cut short.
#[derive(Default)]
struct Allowed {
    acknowledged: Payloads,
    maybe: Vec<Payloads>,
}

/// One process: appends and rewrites until it fails for good, noting what the log may hold.
async fn process(
    rt: &SimRuntime,
    rng: &Rng,
    allowed: &Rc<RefCell<Allowed>>,
) -> Result<(), CommandLogError> {
    let (log, found) = open_on(rt).await?;
    {
        let mut allowed = allowed.borrow_mut();
        let known = found == allowed.acknowledged || allowed.maybe.contains(&found);
        assert!(known, "{} records, should be {}", found.len(), allowed.acknowledged.len());
        *allowed = Allowed { acknowledged: found, maybe: Vec::new() };
    }
    for _ in 0..40 {
        let mut wanted = allowed.borrow().acknowledged.clone();
        let result = if rng.within(0..6) == 0 {
            wanted.retain(|_| rng.coin());
            allowed.borrow_mut().maybe.push(wanted.clone());
            log.rewrite(&wanted).await
        } else {
            let payload = vec![rng.next() as u8; rng.within(0..9_000) as usize];
            wanted.push(payload.clone());
            allowed.borrow_mut().maybe.push(wanted.clone());
            log.append(&payload).await
        };
        match result {
            Ok(()) => *allowed.borrow_mut() = Allowed { acknowledged: wanted, maybe: Vec::new() },
            // Only a new process finds out whether the rewrite before it holds.
            Err(CommandLogError::InDoubt { .. }) => return Ok(()),
            Err(CommandLogError::Disk(_)) => {}
            Err(error) => return Err(error),
        }
        rt.sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_crashes_anywhere_and_faults() {
    for seed in 0..600 {
        let sim = Simulation::new(seed);
        let allowed = Rc::new(RefCell::new(Allowed::default()));
        for _ in 0..12 {
            let eio = if sim.rng().coin() { 20_000 } else { 0 };
            let rates = FaultRates { write_eio: eio, sync_eio: eio, ..FaultRates::default() };
            sim.disk().set_fault_rates(rates);
            let room = sim.rng().within(0..400_000);
            let space = if sim.rng().coin() { u64::MAX } else { sim.disk().used_bytes() + room };
            sim.disk().set_space_bytes(space);
            sim.disk().crash_after_operations(sim.rng().within(1..150));
            let rt = sim.runtime();
            match sim.run_until_crash(process(&rt, sim.rng(), &allowed)) {
                None | Some(Ok(()) | Err(CommandLogError::Disk(_))) => {}
                Some(Err(error)) => panic!("seed {seed}: {error}"),
            }
            sim.crash(if sim.rng().coin() { Crash::Kill } else { Crash::PowerLoss });
        }
    }
}
