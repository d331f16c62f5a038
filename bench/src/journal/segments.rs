//! Where journalled records end up: a file for each partition, filled in long direct writes by a
//! thread of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crate::direct_file::{AlignedBlock, open_unnamed, preallocate};
use crate::error::BenchError;

/// Bytes of one write.
const RUN_BYTES: usize = 128 << 10;

/// Bytes of all files together; each is used again from its start.
const FILES_BYTES: u64 = 1 << 30;

/// Partitions at most: the file of each holds two runs.
const PARTITIONS_MAX: usize = (FILES_BYTES / (2 * RUN_BYTES as u64)) as usize;

/// Writes that wait; with more, whoever appends waits.
const WAITING_MAX: usize = 16;

struct Job {
    partition: usize,
    position: u64,
    block: AlignedBlock,
}

struct Partition {
    filling: Option<AlignedBlock>,
    filled_bytes: usize,
    position: u64,
}

/// The files, and what is on its way to them.
pub(super) struct Segments {
    partitions: Vec<Partition>,
    file_bytes: u64,
    jobs: flume::Sender<Job>,
    free: flume::Receiver<AlignedBlock>,
    writer: JoinHandle<io::Result<u64>>,
}

pub(super) fn check(partitions: usize, record_bytes: usize) -> Result<(), BenchError> {
    if !(1..=PARTITIONS_MAX).contains(&partitions) || record_bytes > RUN_BYTES {
        return Err(BenchError::Argument(format!(
            "records of {record_bytes} bytes to {partitions} partitions: at most {RUN_BYTES} bytes and \
             {PARTITIONS_MAX} partitions"
        )));
    }
    Ok(())
}

impl Segments {
    /// Files without names below `dir`, and the thread that fills them.
    pub(super) fn open(dir: &Path, partitions: usize) -> io::Result<Segments> {
        let run_bytes = RUN_BYTES as u64;
        let file_bytes = FILES_BYTES / partitions as u64 / run_bytes * run_bytes;
        let mut files = Vec::with_capacity(partitions);
        for _ in 0..partitions {
            let (file, _) = open_unnamed(dir)?;
            preallocate(&file, file_bytes)?;
            files.push(file);
        }
        let (jobs, take_job) = flume::bounded(WAITING_MAX);
        let (give_back, free) = flume::unbounded();
        let writer = thread::Builder::new()
            .name("segments".to_owned())
            .spawn(move || write(&files, &take_job, &give_back))?;
        let partition = |_| Partition { filling: None, filled_bytes: 0, position: 0 };
        let partitions = (0..partitions).map(partition).collect();
        Ok(Segments { partitions, file_bytes, jobs, free, writer })
    }

    /// The `number`th record, to the partition whose turn it is.
    pub(super) fn append(&mut self, number: u64, mut record: &[u8]) -> io::Result<()> {
        let partitions = self.partitions.len() as u64;
        let index = (number % partitions) as usize;
        while !record.is_empty() {
            let free = &self.free;
            let partition = &mut self.partitions[index];
            let block = partition.filling.get_or_insert_with(|| {
                free.try_recv().unwrap_or_else(|_| AlignedBlock::new(RUN_BYTES))
            });
            let count = record.len().min(RUN_BYTES - partition.filled_bytes);
            let (now, later) = record.split_at(count);
            block.bytes_mut()[partition.filled_bytes..][..count].copy_from_slice(now);
            partition.filled_bytes += count;
            record = later;
            if partition.filled_bytes == RUN_BYTES {
                self.submit(index)?;
            }
        }
        Ok(())
    }

    fn submit(&mut self, index: usize) -> io::Result<()> {
        let partition = &mut self.partitions[index];
        let Some(block) = partition.filling.take() else { return Ok(()) };
        let job = Job { partition: index, position: partition.position, block };
        partition.filled_bytes = 0;
        partition.position = (partition.position + RUN_BYTES as u64) % self.file_bytes;
        self.jobs.send(job).map_err(|_| io::Error::other("the writing thread has ended"))
    }

    /// Waits for what is on its way; bytes that were written.
    pub(super) fn finish(self) -> io::Result<u64> {
        drop(self.jobs);
        self.writer.join().map_err(|_| io::Error::other("the writing thread has panicked"))?
    }
}

fn write(
    files: &[File],
    jobs: &flume::Receiver<Job>,
    free: &flume::Sender<AlignedBlock>,
) -> io::Result<u64> {
    let mut written = 0;
    while let Ok(Job { partition, position, block }) = jobs.recv() {
        files[partition].write_all_at(block.bytes(), position)?;
        written += block.bytes().len() as u64;
        // Nobody takes it any more at the end.
        let _ = free.send(block);
    }
    Ok(written)
}
