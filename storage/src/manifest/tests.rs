use std::rc::Rc;
use std::time::Duration;

use super::slot::{Decoded, decode, encode};
use super::*;
use crate::buffer::AlignedBuf;
use crate::sim::{Crash, FaultRates, Kind, SimRuntime, Simulation};

fn fields() -> ManifestFields {
    ManifestFields {
        cluster_id: *b"0123456789abcdef",
        start_epoch: 7,
        journal_floor: 5,
        next_producer_id: 3_000,
        stopped_cleanly: true,
    }
}

#[test]
fn a_slot_gives_back_what_went_in_and_any_change_shows() {
    let block = encode(9, &fields());
    let bytes = block.as_bytes();
    assert_eq!(decode(bytes), Decoded::Good { sequence: 9, fields: fields() });
    for at in 0..BLOCK_BYTES {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 4;
        assert_eq!(decode(&flipped), Decoded::Damaged, "byte {at}");
    }
    for end in [0, 1, 60, 4095] {
        assert_eq!(decode(&bytes[..end]), Decoded::Damaged);
    }
}

const DIR: &str = "/data";

fn manifest_path() -> PathBuf {
    Path::new(DIR).join(MANIFEST_FILE)
}

/// Opens the manifest of a world without faults, as cluster `1111...`.
fn open(sim: &Simulation) -> Result<Manifest<SimRuntime>, ManifestError> {
    let rt = sim.runtime();
    sim.run_until(async {
        rt.create_dir_all(Path::new(DIR)).await.unwrap();
        Manifest::open(&rt, Path::new(DIR), [1; 16]).await
    })
}

/// Puts `bytes` (whole blocks) in the manifest's place.
fn plant(sim: &Simulation, bytes: &[u8]) {
    let rt = sim.runtime();
    sim.run_until(async {
        rt.create_dir_all(Path::new(DIR)).await.unwrap();
        let file = rt.open(&manifest_path(), OpenMode::Create).await.unwrap();
        file.truncate(0).await.unwrap();
        let mut buf = AlignedBuf::with_capacity(bytes.len());
        buf.put(bytes);
        file.write_at(0, buf.slice(0, bytes.len())).await.unwrap();
    });
}

#[test]
fn is_created_once_and_read_again() {
    let sim = Simulation::new(1);
    let manifest = open(&sim).unwrap();
    assert_eq!(manifest.fields().cluster_id, [1; 16]);
    assert_eq!((manifest.fields().start_epoch, manifest.fields().next_producer_id), (-1, 0));
    sim.run_until(async {
        manifest.update(|f| f.start_epoch += 1).await.unwrap();
        assert_eq!(manifest.reserve_producer_ids(1_000).await.unwrap(), 0..1_000);
        assert_eq!(manifest.reserve_producer_ids(10).await.unwrap(), 1_000..1_010);
        manifest.update(|f| f.stopped_cleanly = true).await.unwrap();
    });
    sim.crash(Crash::PowerLoss);
    let again = open(&sim).unwrap();
    assert_eq!(again.fields(), manifest.fields());
    assert_eq!(again.fields().next_producer_id, 1_010);
    assert_eq!(sim.bytes_of(&manifest_path()).unwrap().len(), SLOTS_BYTES);
}

#[test]
fn damage_newer_versions_and_lost_manifests_are_refused_and_nothing_is_overwritten() {
    let sim = Simulation::new(2);
    open(&sim).unwrap();
    let good = sim.bytes_of(&manifest_path()).unwrap();

    let garbage = vec![7; SLOTS_BYTES];
    plant(&sim, &garbage);
    let error = open(&sim).unwrap_err();
    assert!(matches!(error, ManifestError::Damaged { .. }) && error.to_string().contains(DIR));
    assert_eq!(sim.bytes_of(&manifest_path()).unwrap(), garbage);

    let mut newer = good.clone();
    for slot in newer.chunks_mut(BLOCK_BYTES) {
        slot[12..14].copy_from_slice(&9u16.to_le_bytes());
        slot[8..12].fill(0);
        let crc = crc32fast::hash(slot);
        slot[8..12].copy_from_slice(&crc.to_le_bytes());
    }
    plant(&sim, &newer);
    let error = open(&sim).unwrap_err();
    assert!(matches!(error, ManifestError::OtherVersion { found: 9, supported: 1, .. }));
    assert_eq!(sim.bytes_of(&manifest_path()).unwrap(), newer);

    let rt = sim.runtime();
    sim.run_until(async {
        rt.create_dir_all(&Path::new(DIR).join("topics")).await.unwrap();
        rt.remove_file(&manifest_path()).await.unwrap();
    });
    assert!(
        matches!(open(&sim).unwrap_err(), ManifestError::Missing { found, .. } if found == "topics")
    );
    plant(&sim, &garbage[..BLOCK_BYTES]);
    assert!(matches!(open(&sim).unwrap_err(), ManifestError::Missing { .. }));
    plant(&sim, &good);
    assert_eq!(open(&sim).unwrap().fields().cluster_id, [1; 16]);
}

#[test]
fn ids_come_to_an_end() {
    let sim = Simulation::new(3);
    let manifest = open(&sim).unwrap();
    sim.run_until(async {
        manifest.update(|f| f.next_producer_id = i64::MAX - 5).await.unwrap();
        let exhausted = manifest.reserve_producer_ids(6).await;
        assert!(matches!(exhausted, Err(ManifestError::ProducerIdsExhausted)));
        assert_eq!(manifest.reserve_producer_ids(5).await.unwrap().end, i64::MAX);
    });
}

#[test]
fn an_abandoned_change_blocks_the_next() {
    let sim = Simulation::new(4);
    let manifest = open(&sim).unwrap();
    sim.run_until(async {
        let mut change = Box::pin(manifest.update(|f| f.start_epoch += 1));
        std::future::poll_fn(|cx| {
            assert!(change.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(change);
        let next = manifest.update(|f| f.start_epoch += 1).await;
        assert!(matches!(next, Err(ManifestError::Abandoned { .. })));
    });
}

/// What a run of many processes, crashes and faults was told by the manifest.
#[derive(Default)]
struct Told {
    cluster_id: Option<[u8; 16]>,
    epoch: i32,
    ids: Vec<Range<i64>>,
}

/// One process: opens, raises the epoch, reserves ids from several tasks until it fails.
async fn process(rt: &SimRuntime, told: &Rc<RefCell<Told>>, id: u8) -> Result<(), ManifestError> {
    rt.create_dir_all(Path::new(DIR)).await?;
    let manifest = Rc::new(Manifest::open(rt, Path::new(DIR), [id; 16]).await?);
    let fields = manifest.fields();
    if let Some(cluster_id) = told.borrow_mut().cluster_id.replace(fields.cluster_id) {
        assert_eq!(cluster_id, fields.cluster_id);
    }
    assert!(fields.start_epoch >= told.borrow().epoch, "the epoch went back");
    told.borrow_mut().epoch = fields.start_epoch;
    manifest.update(|f| f.start_epoch += 1).await?;
    told.borrow_mut().epoch = manifest.fields().start_epoch;
    rt.create_dir_all(&Path::new(DIR).join("topics")).await?;
    for count in 1..4 {
        let (manifest, told, rt2) = (manifest.clone(), told.clone(), rt.clone());
        rt.spawn(async move {
            while let Ok(ids) = manifest.reserve_producer_ids(count * 10).await {
                told.borrow_mut().ids.push(ids);
                rt2.sleep(Duration::from_millis(5)).await;
            }
        });
    }
    rt.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Runs `seed`; true if no id was given out twice.
fn ids_are_unique(seed: u64) -> bool {
    let sim = Simulation::new(seed);
    let told = Rc::new(RefCell::new(Told { epoch: -1, ..Told::default() }));
    for round in 0..12 {
        let eio = if sim.rng().coin() { 150_000 } else { 0 };
        let rates = FaultRates { write_eio: eio, sync_eio: eio, ..FaultRates::default() };
        sim.disk().set_fault_rates(rates);
        sim.disk().crash_after_operations(sim.rng().within(1..60));
        let rt = sim.runtime();
        match sim.run_until_crash(process(&rt, &told, round)) {
            None | Some(Ok(()) | Err(ManifestError::Disk(_))) => {}
            Some(Err(error)) => panic!("{error}"),
        }
        sim.crash(if sim.rng().coin() { Crash::Kill } else { Crash::PowerLoss });
    }
    let mut ids = told.take().ids;
    ids.sort_by_key(|range| range.start);
    ids.windows(2).all(|pair| pair[0].end <= pair[1].start)
}

#[test]
fn epochs_and_producer_ids_never_repeat_over_crashes_and_faults() {
    for seed in 0..400 {
        assert!(ids_are_unique(seed), "seed {seed}");
    }
}

#[test]
fn giving_out_ids_before_they_are_durable_is_caught() {
    let _mutant = mutants::activate(Mutant::ReuseProducerId);
    assert!((0..20).any(|seed| !ids_are_unique(seed)));
}

#[test]
fn what_was_once_read_holds_even_if_its_sync_had_failed() {
    for seed in 0..300 {
        let sim = Simulation::new(seed);
        let manifest = open(&sim).unwrap();
        sim.disk().fail_nth(Kind::Sync, 1);
        sim.run_until(manifest.update(|f| f.start_epoch = 5)).unwrap_err();
        sim.crash(Crash::Kill);
        let manifest = open(&sim).unwrap();
        let read = manifest.fields().start_epoch;
        sim.disk().crash_after_operations(sim.rng().within(1..4));
        assert!(sim.run_until_crash(manifest.update(|f| f.start_epoch = 9)).is_none());
        sim.crash(Crash::PowerLoss);
        assert!(open(&sim).unwrap().fields().start_epoch >= read, "seed {seed}");
    }
}
