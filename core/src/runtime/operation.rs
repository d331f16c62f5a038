//! One operation of the ring, from its first submission to its result.
//!
//! It owns everything the kernel may touch on its behalf (memory, descriptor) and decides, from
//! the kernel's answer alone, whether it is done, goes on (short transfer) or tries again. No I/O.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use corelane_storage::buffer::{AlignedBuf, AlignedSlice};
use corelane_storage::runtime::block_floor;
use io_uring::squeue::Entry;
use io_uring::{opcode, types};

/// Largest single transfer; the kernel itself cuts at 2 GiB - 4 KiB.
const TRANSFER_BYTES_MAX: usize = 1 << 30;

/// How often one step is tried again on EAGAIN, about 1 ms apart, before EAGAIN is the result.
pub(super) const EAGAIN_RETRIES_MAX: u32 = 1000;

/// What is asked of the kernel.
pub(super) enum Work {
    /// pwrite of all of `data`.
    Write { data: AlignedSlice, position: u64, done: usize },
    /// pread of `len` bytes or up to the end of the file.
    Read { buf: AlignedBuf, position: u64, len: usize, done: usize, reached: usize },
    /// fdatasync.
    SyncData,
    /// fallocate, mode 0.
    Allocate { position: u64, len: u64 },
    /// ftruncate.
    Truncate { len: u64 },
    /// splice of up to `len` bytes into an empty pipe, which may be fewer.
    Splice { into: Arc<OwnedFd>, position: u64, len: usize, moved: usize },
    /// Wait until the descriptor is readable (a listening socket: has a connection).
    Readable,
    /// Wait until the descriptor takes bytes, or will never again.
    Writable,
}

impl Work {
    /// Bytes known to be transferred so far, of a read, write or splice.
    pub(super) fn done_bytes(&self) -> usize {
        match self {
            Work::Write { done, .. } | Work::Read { done, .. } => *done,
            Work::Splice { moved, .. } => *moved,
            _ => 0,
        }
    }
}

/// What follows from a completion.
#[derive(Debug)]
pub(super) enum Step {
    /// Submit what remains.
    Again,
    /// Submit what remains, a moment later.
    Later,
    /// It is done.
    Done(io::Result<()>),
}

/// An operation and what it needs until the kernel is done with it.
pub(super) struct Operation {
    pub(super) work: Work,
    file: Arc<OwnedFd>,
    stalls: u32,
}

impl Operation {
    pub(super) fn new(work: Work, file: Arc<OwnedFd>) -> Self {
        Operation { work, file, stalls: 0 }
    }

    /// The submission for what remains. The caller keeps `self` unmoved-in-content (neither
    /// dropped nor its buffer replaced) until the completion of this entry was seen.
    pub(super) fn entry(&mut self) -> Entry {
        let fd = types::Fd(self.file.as_raw_fd());
        match &mut self.work {
            Work::Write { data, position, done } => {
                let rest = &data[*done..];
                let len = rest.len().min(TRANSFER_BYTES_MAX) as u32;
                opcode::Write::new(fd, rest.as_ptr(), len).offset(*position + *done as u64).build()
            }
            Work::Read { buf, position, len, done, .. } => {
                let at = *done;
                let want = (*len - at).min(TRANSFER_BYTES_MAX) as u32;
                // The buffer was made for this read: it is unshared and holds `len` bytes.
                let rest = buf.unshared_mut().map_or(&mut [][..], |whole| &mut whole[at..]);
                let want = want.min(rest.len() as u32);
                opcode::Read::new(fd, rest.as_mut_ptr(), want).offset(*position + at as u64).build()
            }
            Work::SyncData => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
            Work::Allocate { position, len } => {
                opcode::Fallocate::new(fd, *len).offset(*position).mode(0).build()
            }
            Work::Truncate { len } => opcode::Ftruncate::new(fd, *len).build(),
            Work::Splice { into, position, len, .. } => {
                let to = types::Fd(into.as_raw_fd());
                let len = (*len).min(TRANSFER_BYTES_MAX) as u32;
                opcode::Splice::new(fd, *position as i64, to, -1, len).build()
            }
            Work::Readable => opcode::PollAdd::new(fd, libc::POLLIN as u32).build(),
            Work::Writable => opcode::PollAdd::new(fd, libc::POLLOUT as u32).build(),
        }
    }

    /// Judges the kernel's answer: a count of bytes, or a negated errno.
    pub(super) fn completed(&mut self, result: i32) -> Step {
        if result < 0 {
            return self.failed(-result);
        }
        let transferred = result as usize;
        match &mut self.work {
            Work::Write { data, done, .. } => {
                let reached = *done + transferred;
                if reached >= data.len() {
                    return Step::Done(Ok(()));
                }
                // Direct I/O goes on at a block boundary: a block written in part is written
                // again, with the same bytes.
                let resume = block_floor(reached as u64) as usize;
                if resume == *done {
                    return self.no_progress();
                }
                *done = resume;
                Step::Again
            }
            Work::Read { buf, len, done, reached, .. } => {
                let total = (*done + transferred).min(*len);
                // A short read may be the end of the file or an interruption: only asking again,
                // from the last block boundary, and getting nothing new proves the end.
                if total == *len || total <= *reached {
                    buf.set_filled(total.max(*reached));
                    return Step::Done(Ok(()));
                }
                *reached = total;
                *done = block_floor(total as u64) as usize;
                Step::Again
            }
            Work::Splice { moved, .. } => {
                *moved = transferred;
                Step::Done(Ok(()))
            }
            _ => Step::Done(Ok(())),
        }
    }

    fn failed(&mut self, errno: i32) -> Step {
        match errno {
            libc::EINTR => Step::Again,
            libc::EAGAIN if self.stalls < EAGAIN_RETRIES_MAX => {
                self.stalls += 1;
                Step::Later
            }
            errno => Step::Done(Err(io::Error::from_raw_os_error(errno))),
        }
    }

    fn no_progress(&mut self) -> Step {
        if self.stalls < EAGAIN_RETRIES_MAX {
            self.stalls += 1;
            return Step::Later;
        }
        Step::Done(Err(io::Error::from(io::ErrorKind::WriteZero)))
    }

    /// True if it may wait without end (on a peer, not on a disk) and must be cancelled when
    /// nobody awaits it any more.
    pub(super) fn is_poll(&self) -> bool {
        matches!(self.work, Work::Readable | Work::Writable)
    }
}
