use super::{Divergence, PartitionError, check_leader_epoch, diverges};

#[test]
fn leader_epochs_fence() {
    assert!(check_leader_epoch(-1, 5).is_ok());
    assert!(check_leader_epoch(5, 5).is_ok());
    assert!(matches!(
        check_leader_epoch(4, 5),
        Err(PartitionError::FencedLeaderEpoch { asked: 4, current: 5 })
    ));
    assert!(matches!(
        check_leader_epoch(6, 5),
        Err(PartitionError::UnknownLeaderEpoch { asked: 6, current: 5 })
    ));
}

#[test]
fn a_log_diverges_where_its_epoch_ended() {
    assert_eq!(diverges(3, 100, Some((3, 100))), None);
    assert_eq!(diverges(3, 40, Some((3, 100))), None);
    let at = |epoch, end_offset| Some(Divergence { epoch, end_offset });
    assert_eq!(diverges(3, 101, Some((3, 100))), at(3, 100), "it has more than we kept");
    assert_eq!(diverges(3, 50, Some((2, 60))), at(2, 60), "we never had that epoch");
    assert_eq!(diverges(3, 50, None), at(-1, -1));
}
