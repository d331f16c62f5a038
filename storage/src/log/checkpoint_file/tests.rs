use std::path::Path;

use super::*;
use crate::ids::TopicId;

#[test]
fn what_no_broker_would_write_is_a_fault() {
    let id = PartitionId { topic_id: TopicId([9; 16]), index: 2 };
    let decode = || Checkpoint::decode(&fuzz::example(), id, Path::new("checkpoint.a"), 1);
    let whole = || decode().expect("of this version").expect("whole");
    assert_eq!(whole().fault(), None);
    assert_eq!(Checkpoint::of_nothing(1).fault(), None);
    let faults: [fn(&mut Checkpoint); 6] = [
        |one| one.log_start = -1,
        |one| one.end.segment_base = -1,
        |one| one.end.offset = one.end.segment_base - 1,
        // The bytes that it carries would begin before the segment.
        |one| one.end.position = 1,
        |one| one.end.position = u64::MAX - 4095 + 100,
        |one| one.remainder.push(0),
    ];
    for (number, fault) in faults.iter().enumerate() {
        let mut checkpoint = whole();
        fault(&mut checkpoint);
        assert!(checkpoint.fault().is_some(), "{number}");
    }
}
