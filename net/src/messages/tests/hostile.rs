//! Frames that no client sends: mutated, cut, random. No decoder may panic, or allocate more than
//! its allowance; a counting allocator watches.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};

use super::round_trip::{every_version, request_frame, response_frame};
use crate::codec::decode::allowance_bytes;
use crate::codec::generate::{Source, mutate};
use crate::fuzzing::{check_request, check_response};
use crate::messages::{PartitionProduceData, ProduceRequest, Request, Response, TopicProduceData};

struct Counting;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATED_BYTES.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        count(new_bytes.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, new_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `f` allocates on this thread, freed or not.
fn allocated_bytes<T>(f: impl FnOnce() -> T) -> usize {
    let before = ALLOCATED_BYTES.get();
    std::hint::black_box(f());
    ALLOCATED_BYTES.get() - before
}

/// Sharing a frame for the first time costs `bytes` one small allocation.
const SHARE_BYTES: usize = 64;

fn feed(frame: Vec<u8>, all_as_response: bool) {
    let frame = Bytes::from(frame);
    let limit = allowance_bytes(frame.len()) + SHARE_BYTES;
    let used = allocated_bytes(|| Request::decode(&frame));
    assert!(used <= limit, "{used} bytes for a frame of {}: {frame:?}", frame.len());
    check_request(&frame);
    if all_as_response {
        for (api, version) in every_version() {
            let used = allocated_bytes(|| Response::decode(api, version, &frame));
            assert!(used <= limit, "{api:?} v{version}: {used} bytes for {}", frame.len());
            check_response(api, version, &frame);
        }
    }
}

#[test]
fn mutated_requests() {
    let mut source = Source(1);
    for round in 0..300 {
        for (api, version) in every_version() {
            let request = Request::generate(api, api.version(version), &mut source);
            let frame = request_frame(&request, version);
            // The header is left alone mostly, so that bodies are reached.
            let mut bad = mutate(&frame, &mut source);
            if round % 4 != 0 {
                let header_bytes = 17.min(bad.len()).min(frame.len());
                bad[..header_bytes].copy_from_slice(&frame[..header_bytes]);
            }
            feed(bad, false);
        }
    }
}

#[test]
fn mutated_responses() {
    let mut source = Source(2);
    for _ in 0..200 {
        for (api, version) in every_version() {
            let response = Response::generate(api, api.version(version), &mut source);
            let bad = Bytes::from(mutate(&response_frame(&response, version), &mut source));
            check_response(api, version, &bad);
            let used = allocated_bytes(|| Response::decode(api, version, &bad));
            let limit = allowance_bytes(bad.len()) + SHARE_BYTES;
            assert!(used <= limit, "{api:?} v{version}: {used} bytes for {}", bad.len());
        }
    }
}

#[test]
fn random_bytes() {
    let mut source = Source(3);
    for _ in 0..2_000 {
        let len = source.below(300);
        // Small bytes make plausible lengths, random ones do not.
        let small = source.one_in(2);
        let mut frame: Vec<u8> =
            (0..len).map(|_| source.next() as u8 & if small { 3 } else { 0xff }).collect();
        feed(frame.clone(), true);
        for (api, version) in every_version() {
            let header = [api.key().to_be_bytes(), version.to_be_bytes()].concat();
            frame.splice(..frame.len().min(4), header);
            feed(frame.clone(), false);
        }
    }
}

/// However many its batches: they are asked for one by one.
#[test]
fn a_produce_request_is_decoded_without_allocation() {
    for (version, partitions) in [(3, 1), (9, 1), (13, 1), (13, 1024)] {
        let partition = |index| PartitionProduceData { index, records: Some(vec![7; 1024].into()) };
        let topic = TopicProduceData {
            partition_data: (0..partitions).map(partition).collect(),
            ..Default::default()
        };
        let request = ProduceRequest { topic_data: vec![topic].into(), ..Default::default() };
        // As a connection has it: cut out of a buffer that other frames share.
        let mut buf = BytesMut::from(&request_frame(&request.clone().into(), version)[..]);
        let _before = buf.split_to(0);
        let frame = buf.freeze();
        let walk = || {
            let Ok((_, Request::Produce(request))) = Request::decode(&frame) else { panic!() };
            request
                .topic_data
                .into_iter()
                .map(|topic| topic.partition_data.into_iter().count())
                .sum()
        };
        let mut walked = 0;
        assert_eq!(allocated_bytes(|| walked = walk()), 0, "v{version}");
        assert_eq!(walked, partitions as usize);
    }
}

/// The limit is not vacuous: what a frame of tiny elements may cost is near it.
#[test]
fn the_allowance_is_reached_but_not_passed() {
    let count = 1000u32;
    let mut frame = vec![0, 3, 0, 1, 0, 0, 0, 7, 255, 255];
    frame.extend_from_slice(&count.to_be_bytes());
    (0..count).for_each(|_| frame.extend_from_slice(&[0, 1, b't']));
    let frame = Bytes::from(frame);
    let used = allocated_bytes(|| Request::decode(&frame).unwrap());
    assert!(used * 2 > allowance_bytes(frame.len()), "{used}");
    assert!(used <= allowance_bytes(frame.len()) + SHARE_BYTES, "{used}");
}
