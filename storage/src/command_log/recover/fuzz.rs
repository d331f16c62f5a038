//! Any bytes as a command log.

use super::format::fuzz::seal;
use super::format::{DecodedHeader, decode_header, header, put_record};
use super::read_records;
use crate::fuzzing::MemoryFile;
use crate::runtime::BLOCK_BYTES;

/// Which generation the bytes are read as.
const GENERATION: u64 = 1;

/// A log file: the commands that are read from it are read again when they were written.
pub fn command_log(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    seal(&mut sealed);
    check(&sealed);
}

fn check(bytes: &[u8]) {
    let DecodedHeader::Valid { initial_records } = decode_header(bytes, GENERATION) else { return };
    let read = |bytes: &[u8], initial_records| {
        read_records(MemoryFile::new(bytes), GENERATION, bytes, initial_records)
    };
    let Ok((found, payloads)) = read(bytes, initial_records) else { return };
    assert!(payloads.len() as u64 >= initial_records);
    assert!(found.active.end <= bytes.len().next_multiple_of(BLOCK_BYTES) as u64);
    assert!(found.last_record < found.active.end);
    let written = log_of(&payloads);
    let (_, again) = read(&written, payloads.len() as u64).expect("written here");
    assert_eq!(again, payloads);
}

fn log_of(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = header(GENERATION, payloads.len() as u64);
    for (sequence, payload) in (0..).zip(payloads) {
        put_record(&mut bytes, GENERATION, sequence, payload);
    }
    bytes
}

/// A log of three commands.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    log_of(&[b"one".to_vec(), vec![2; 5000], Vec::new()])
}
