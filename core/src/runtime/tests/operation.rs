//! Decisions on the kernel's answers, without a kernel.

use std::fs::File;
use std::sync::Arc;

use corelane_storage::buffer::AlignedBuf;

use crate::runtime::operation::{EAGAIN_RETRIES_MAX, Operation, Step, Work};

fn operation(work: Work) -> Operation {
    Operation::new(work, Arc::new(File::open("/dev/null").unwrap().into()))
}

fn write(len: usize) -> Operation {
    let mut buf = AlignedBuf::with_capacity(len);
    buf.put(&vec![7; len]);
    operation(Work::Write { data: buf.slice(0, len), position: 8192, done: 0 })
}

fn read(len: usize) -> Operation {
    let buf = AlignedBuf::with_capacity(len);
    operation(Work::Read { buf, position: 0, len, done: 0, reached: 0 })
}

fn filled(operation: &Operation) -> usize {
    match &operation.work {
        Work::Read { buf, .. } => buf.filled(),
        _ => panic!("a read"),
    }
}

#[test]
fn a_full_write_is_done() {
    assert!(matches!(write(8192).completed(8192), Step::Done(Ok(()))));
}

#[test]
fn a_short_write_goes_on_at_the_block_where_it_stopped() {
    let mut write = write(16384);
    assert!(matches!(write.completed(5000), Step::Again));
    assert_eq!(write.work.done_bytes(), 4096);
    assert!(matches!(write.completed(4096), Step::Again));
    assert_eq!(write.work.done_bytes(), 8192);
    assert!(matches!(write.completed(8192), Step::Done(Ok(()))));
}

#[test]
fn a_write_that_never_moves_ends_with_an_error() {
    let mut write = write(4096);
    for _ in 0..EAGAIN_RETRIES_MAX {
        assert!(matches!(write.completed(0), Step::Later));
    }
    assert!(matches!(write.completed(0), Step::Done(Err(_))));
}

#[test]
fn interruptions_are_tried_again_and_lasting_refusals_end() {
    let mut sync = operation(Work::SyncData);
    assert!(matches!(sync.completed(-libc::EINTR), Step::Again));
    for _ in 0..EAGAIN_RETRIES_MAX {
        assert!(matches!(sync.completed(-libc::EAGAIN), Step::Later));
    }
    let Step::Done(Err(error)) = sync.completed(-libc::EAGAIN) else { panic!("an end") };
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
}

#[test]
fn errors_keep_their_errno() {
    let Step::Done(Err(error)) = write(4096).completed(-libc::ENOSPC) else { panic!("an end") };
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
}

#[test]
fn a_full_read_is_done() {
    let mut read = read(8192);
    assert!(matches!(read.completed(8192), Step::Done(Ok(()))));
    assert_eq!(filled(&read), 8192);
}

#[test]
fn a_short_read_asks_again_until_nothing_new_comes() {
    // Interrupted at 4096, then the file ends at 9000.
    let mut read = read(16384);
    assert!(matches!(read.completed(4096), Step::Again));
    assert!(matches!(read.completed(4904), Step::Again));
    assert_eq!(read.work.done_bytes(), 8192);
    assert!(matches!(read.completed(9000 - 8192), Step::Done(Ok(()))));
    assert_eq!(filled(&read), 9000);
}

#[test]
fn a_read_behind_the_end_is_empty() {
    let mut read = read(4096);
    assert!(matches!(read.completed(0), Step::Done(Ok(()))));
    assert_eq!(filled(&read), 0);
}
