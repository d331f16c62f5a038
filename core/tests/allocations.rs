//! What a small request costs in allocations. The broker runs in this process, so that they can be counted: all but
//! those of the client's thread. Each request waits for the one before, and so pays for its journal entry alone.

mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use corelane::cli::{Cli, Command};
use corelane::serve::{self, ServeError};
use harness::batch::Batch;
use harness::broker::free_address;
use harness::options::Options;
use harness::requests::{
    FetchLimits, create_ready_topic, error, fetch, fetched, produce, produced,
};
use harness::wire::{Connection, Request};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    // A thread that is ending has no flag any more.
    if !IS_CLIENT.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, new_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn start(address: SocketAddr, data_dir: &str) -> JoinHandle<Result<(), ServeError>> {
    let arguments = Options { shards: 1, ..Options::default() };
    let arguments = arguments.arguments(&address.to_string(), data_dir);
    let line = std::iter::once("corelane".to_string()).chain(arguments);
    let Command::Serve(options) = Cli::parse_from(line).command else { panic!("not serve") };
    std::thread::spawn(move || serve::run(options))
}

fn connect(address: SocketAddr) -> Connection {
    for _ in 0..3_000 {
        if let Ok(connection) = Connection::open(address) {
            return connection;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the broker does not serve");
}

/// Allocations of one of many equal requests, once the first of them have taken what is kept.
fn per_request(connection: &mut Connection, request: &Request, check: impl Fn(&[u8])) -> f64 {
    const REQUESTS: usize = 100;
    let mut of_a_hundred = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..REQUESTS {
            check(&connection.call(request).expect("an answer"));
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    // What the broker does meanwhile of its own accord is not in all of them.
    let least = (0..20).map(|_| of_a_hundred()).min().expect("twenty");
    least as f64 / REQUESTS as f64
}

#[test]
fn a_small_request_costs_few_allocations() {
    IS_CLIENT.set(true);
    let address = free_address();
    let data_dir = std::env::temp_dir().join(format!("allocations-{}", std::process::id()));
    let broker = start(address, data_dir.to_str().expect("a path of UTF-8"));
    let mut connection = connect(address);
    create_ready_topic(&mut connection, "few", 1);
    let batch = Batch::of(&[&[7; 100]]).encode();
    let ask = produce(1, "few", &[(0, &batch)]);
    let produces = per_request(&mut connection, &ask, |answer| {
        assert_eq!(produced(answer).expect("Produce v3")[0].error, error::NONE);
    });
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: batch.len() as i32 };
    let ask = fetch("few", &[(0, 5)], limits);
    let fetches = per_request(&mut connection, &ask, |answer| {
        let fetched = fetched(answer).expect("Fetch v4");
        assert_eq!((fetched[0].error, fetched[0].records.len()), (error::NONE, batch.len()));
    });
    println!("{produces} allocations a produce, {fetches} a fetch");
    assert!(!broker.is_finished(), "it serves for as long as this process lives");
    // It may just be writing there.
    let _ = std::fs::remove_dir_all(&data_dir);
    assert!(produces <= 10.0, "{produces} allocations a produce");
    assert!(fetches <= 36.0, "{fetches} allocations a fetch");
}
