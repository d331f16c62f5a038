//! Journals as a broker wrote them, and with an entry damaged.

use std::fs;
use std::path::PathBuf;

use super::Survey;
use crate::ids::{PartitionId, TopicId};
use crate::inspect::plain_disk::{PlainDisk, now};
use crate::journal::scan::fuzz::example;

/// A directory that is removed when the test ends.
struct Dir(PathBuf);

impl Dir {
    fn with(name: &str, journal: &[u8]) -> Dir {
        let exe = std::env::current_exe().unwrap();
        let target = exe.ancestors().nth(3).unwrap();
        let dir = target.join(format!("survey-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("00000000.journal"), journal).unwrap();
        Dir(dir)
    }

    fn survey(&self, floor: u32) -> Survey {
        now(Survey::take(&PlainDisk, &self.0, floor, &mut |_, _| {})).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where the entries of [`example`] begin.
const STARTS: [usize; 3] = [0, 4096, 8192];

fn partition(index: u32) -> PartitionId {
    PartitionId { topic_id: TopicId([9; 16]), index }
}

#[test]
fn fragments_are_found_and_loaded_as_they_were_written() {
    let dir = Dir::with("whole", &[&example([1, 2, 3])[..], &[0; 8192]].concat());
    let survey = dir.survey(0);
    assert_eq!((survey.files[0].entries, survey.faults.len()), (3, 0));
    assert_eq!((survey.files[0].torn_at, survey.files[0].headless_at), (None, None));
    let loaded = now(survey.load(&PlainDisk, partition(2), (0, 0))).unwrap();
    let found: Vec<_> = loaded.iter().map(|f| (f.position, f.bytes.len())).collect();
    assert_eq!(found, [(4096, 1500), (8192, 3000), (12_288, 4500)]);
    assert!(loaded.iter().all(|f| f.bytes.iter().all(|byte| *byte == 7)));
    let later = now(survey.load(&PlainDisk, partition(2), (5, 12_000))).unwrap();
    assert_eq!(later.len(), 1, "only what reaches behind that place");
    assert_eq!(dir.survey(4).files[0].entries, 0, "dead below the floor");
}

#[test]
fn a_damaged_entry_is_told_by_its_place() {
    let damaged = |name: &str, number: usize| {
        let mut bytes = example([1, 2, 3]);
        bytes[STARTS[number] + 100] ^= 1;
        Dir::with(name, &bytes).survey(0)
    };
    let first = damaged("first", 0);
    assert_eq!((first.files[0].entries, first.files[0].headless_at), (0, Some(4096)));
    assert_eq!(first.files[0].headless_ends[&partition(2)], (5, 12_288 + 4500));
    let middle = damaged("middle", 1);
    assert_eq!((middle.files[0].entries, middle.faults.len()), (2, 1));
    let last = damaged("last", 2);
    assert_eq!((last.files[0].entries, last.files[0].torn_at), (2, Some(8192)));
    assert_eq!(last.faults.len(), 0, "it may never have been acknowledged");
}
