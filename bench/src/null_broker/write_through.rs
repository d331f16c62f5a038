//! Batches to the disk: direct writes of aligned blocks, several at once, into one file that is
//! used again from its start when it is full.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::event::{EventfdFlags, eventfd};

use crate::direct_file::{ALIGN_BYTES, AlignedBlock, open_unnamed, preallocate};
use crate::error::BenchError;

/// Bytes of a block, the largest write.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes under way at once, each by a thread of its own.
const DEPTH: usize = 4;

/// Bytes of the file.
const FILE_BYTES: u64 = 1 << 30;

/// Number of a block; all up to it are written once [`WriteThrough::written`] returns it.
pub(super) type Ticket = u64;

struct Job {
    ticket: Ticket,
    block: AlignedBlock,
    bytes: usize,
    position: u64,
}

struct Done {
    ticket: Ticket,
    block: AlignedBlock,
    result: io::Result<()>,
}

/// The disk behind the null broker. Copies once, into the block that is written from.
pub(super) struct WriteThrough {
    jobs: flume::Sender<Job>,
    done: flume::Receiver<Done>,
    /// Counts the blocks that are done, for whoever waits for sockets meanwhile.
    wake: Arc<OwnedFd>,
    free: Vec<AlignedBlock>,
    filling: AlignedBlock,
    filled_bytes: usize,
    filling_ticket: Ticket,
    position: u64,
    written: Ticket,
    written_early: BTreeSet<Ticket>,
    is_direct: bool,
}

impl WriteThrough {
    /// A file of 1 GiB without a name below `dir`.
    ///
    /// # Errors
    /// [`BenchError::File`] if there is no room for it.
    pub(super) fn open(dir: &Path) -> Result<WriteThrough, BenchError> {
        let failed =
            |operation| move |source| BenchError::File { operation, path: dir.to_owned(), source };
        let (file, is_direct) = open_unnamed(dir).map_err(failed("creating a file in"))?;
        preallocate(&file, FILE_BYTES).map_err(failed("reserving space in"))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| failed("making an eventfd for")(errno.into()))?;
        let (file, wake) = (Arc::new(file), Arc::new(wake));
        let (jobs, take_job) = flume::bounded(DEPTH);
        let (tell, done) = flume::bounded(DEPTH);
        for _ in 0..DEPTH {
            let writer = Writer {
                file: file.clone(),
                wake: wake.clone(),
                jobs: take_job.clone(),
                done: tell.clone(),
            };
            thread::Builder::new()
                .name("null-disk".to_owned())
                .spawn(move || writer.run())
                .map_err(failed("starting a thread for"))?;
        }
        Ok(WriteThrough {
            jobs,
            done,
            wake,
            free: (0..DEPTH).map(|_| AlignedBlock::new(BLOCK_BYTES)).collect(),
            filling: AlignedBlock::new(BLOCK_BYTES),
            filled_bytes: 0,
            filling_ticket: 1,
            position: 0,
            written: 0,
            written_early: BTreeSet::new(),
            is_direct,
        })
    }

    /// False if the filesystem refuses O_DIRECT.
    pub(super) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Copies `bytes` to the end of the stream; waits for a block if all are being written.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.filled_bytes == BLOCK_BYTES {
                self.submit()?;
            }
            let count = bytes.len().min(BLOCK_BYTES - self.filled_bytes);
            let (now, later) = bytes.split_at(count);
            let start = self.filled_bytes;
            self.filling.bytes_mut()[start..start + count].copy_from_slice(now);
            self.filled_bytes += count;
            bytes = later;
        }
        Ok(())
    }

    /// The ticket of all that was put so far.
    pub(super) fn ticket(&self) -> Ticket {
        if self.filled_bytes > 0 { self.filling_ticket } else { self.filling_ticket - 1 }
    }

    /// Starts to write what was put, unless as many writes are under way as may be: then it goes
    /// with what is put meanwhile.
    pub(super) fn end_round(&mut self) -> io::Result<()> {
        if self.filled_bytes > 0 && !self.free.is_empty() { self.submit() } else { Ok(()) }
    }

    /// The last ticket up to which all is written.
    pub(super) fn written(&mut self) -> io::Result<Ticket> {
        // Only wakes count; how many they were does not matter.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        while let Ok(done) = self.done.try_recv() {
            self.finish(done)?;
        }
        Ok(self.written)
    }

    fn submit(&mut self) -> io::Result<()> {
        if self.free.is_empty() {
            let done = self.done.recv().map_err(io::Error::other)?;
            self.finish(done)?;
        }
        let Some(next) = self.free.pop() else { return Ok(()) };
        let mut block = std::mem::replace(&mut self.filling, next);
        let bytes = self.filled_bytes.next_multiple_of(ALIGN_BYTES);
        block.bytes_mut()[self.filled_bytes..bytes].fill(0);
        let job = Job { ticket: self.filling_ticket, block, bytes, position: self.position };
        self.filling_ticket += 1;
        self.filled_bytes = 0;
        self.position += bytes as u64;
        if self.position + BLOCK_BYTES as u64 > FILE_BYTES {
            self.position = 0;
        }
        self.jobs.send(job).map_err(|_| io::Error::other("the writing threads have ended"))
    }

    fn finish(&mut self, done: Done) -> io::Result<()> {
        done.result?;
        self.free.push(done.block);
        self.written_early.insert(done.ticket);
        while self.written_early.remove(&(self.written + 1)) {
            self.written += 1;
        }
        Ok(())
    }
}

/// Readable when a block is done.
impl AsFd for WriteThrough {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

struct Writer {
    file: Arc<File>,
    wake: Arc<OwnedFd>,
    jobs: flume::Receiver<Job>,
    done: flume::Sender<Done>,
}

impl Writer {
    /// Ends with its [`WriteThrough`].
    fn run(self) {
        while let Ok(Job { ticket, block, bytes, position }) = self.jobs.recv() {
            let result = self.file.write_all_at(&block.bytes()[..bytes], position);
            if self.done.send(Done { ticket, block, result }).is_err() {
                return;
            }
            // Only a counter of 2^64 - 2 refuses.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, WriteThrough};

    #[test]
    fn tickets_are_honoured_in_order_whatever_the_sizes() {
        let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let mut disk = WriteThrough::open(&dir).unwrap();
        assert_eq!((disk.ticket(), disk.written().unwrap()), (0, 0));
        let mut last = 0;
        for len in [1, 5000, BLOCK_BYTES, 3 * BLOCK_BYTES + 1, 100, 2 * BLOCK_BYTES] {
            disk.put(&vec![7; len]).unwrap();
            assert!(disk.ticket() > last || len < BLOCK_BYTES, "{len} bytes");
            last = disk.ticket();
            disk.end_round().unwrap();
        }
        while disk.written().unwrap() < last {
            disk.end_round().unwrap();
            std::thread::yield_now();
        }
        assert_eq!(disk.written().unwrap(), last);
        assert_eq!(disk.ticket(), last);
    }
}
