//! A power loss may take a file's length, and with it zeros that a batch really has.

use super::*;
use crate::batch::BatchBuilder;
use crate::runtime::{File, OpenMode};

#[test]
fn zeros_behind_a_lost_length_can_be_read() {
    let zeros = BatchBuilder::new().value(1, vec![0; 300_000]).build();
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        broker.append(&zeros).await;
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let segment = log_dir().join("00000000000000000000.log");
        let file = sim.runtime().open(&segment, OpenMode::ReadWrite).await.unwrap();
        file.truncate(100_000 - 100_000 % 4096).await.unwrap();
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        assert_eq!(broker.log.offsets().high_watermark, 1);
        let lease = broker.log.read(0, 1 << 20).await.unwrap().leases.remove(0);
        let slices = lease.load().await.unwrap();
        assert_eq!(slices.iter().map(|s| s.len()).sum::<usize>(), zeros.len());
    });
}
