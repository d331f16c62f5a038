//! What a socket's watch tells its reader, also when more happens at once than there is room for.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use corelane_storage::runtime::Runtime;

use super::on_shard;
use crate::runtime::TcpStream;
use crate::runtime::ring::{Ring, Watch};

fn pair() -> (OwnedFd, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0.into(), client)
}

/// Serves `connections` on one shard.
fn serve<M: Future<Output = ()> + 'static>(
    connections: Vec<OwnedFd>,
    server: impl Fn(crate::runtime::ShardRuntime, Vec<TcpStream>) -> M + Clone + Send + 'static,
) {
    let connections = Arc::new(Mutex::new(connections));
    on_shard(move |rt| {
        let connections = std::mem::take(&mut *connections.lock().unwrap());
        let adopt = |connection| TcpStream::adopt(&rt, connection).unwrap();
        let streams = connections.into_iter().map(adopt).collect();
        server(rt, streams)
    });
}

/// Bytes and the end behind them may be told at once: a short read must not wait for what was told.
#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let (server, mut client) = pair();
    let writer = std::thread::spawn(move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(10));
            client.write_all(b"bytes").unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        client
    });
    serve(vec![server], |rt, streams| async move {
        let mut room = [0; 64];
        let mut received = streams[0].read(&mut room).await.unwrap();
        // All the rest comes while nobody looks.
        rt.sleep(Duration::from_millis(100)).await;
        loop {
            match streams[0].read(&mut room).await.unwrap() {
                0 => break,
                n => received += n,
            }
        }
        assert_eq!(received, 15);
        assert_eq!(streams[0].read(&mut room).await.unwrap(), 0, "the end stays the end");
    });
    writer.join().unwrap();
}

/// More arrivals than the ring has room for completions: polls end then, and are begun again.
#[test]
fn more_arrivals_at_once_than_completions_are_all_seen() {
    const CONNECTIONS: usize = 4_500;
    const ROUNDS: usize = 3;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        clients.push(StdStream::connect(listener.local_addr().unwrap()).unwrap());
        servers.push(OwnedFd::from(listener.accept().unwrap().0));
    }
    let (round, rounds) = flume::bounded::<()>(0);
    let sender = std::thread::spawn(move || {
        while rounds.recv().is_ok() {
            clients.iter_mut().for_each(|client| client.write_all(b"x").unwrap());
        }
    });
    let round = Arc::new(Mutex::new(Some(round)));
    serve(servers, move |rt, streams| {
        let round = round.lock().unwrap().take().unwrap();
        async move {
            let (read, reads) = flume::unbounded();
            for stream in streams {
                let read = read.clone();
                rt.spawn(async move {
                    for _ in 0..ROUNDS {
                        let mut room = [0; 16];
                        assert_eq!(stream.read(&mut room).await.unwrap(), 1);
                        read.send(()).unwrap();
                    }
                });
            }
            // Everybody waits before the first byte comes.
            rt.sleep(Duration::from_millis(50)).await;
            for _ in 0..ROUNDS {
                round.send_async(()).await.unwrap();
                // This thread, and with it the ring, sleeps while they arrive.
                std::thread::sleep(Duration::from_millis(50));
                for _ in 0..CONNECTIONS {
                    reads.recv_async().await.unwrap();
                }
            }
        }
    });
    sender.join().unwrap();
}

#[test]
fn a_connection_goes_on_where_it_was_released_to() {
    let (server, mut client) = pair();
    client.write_all(b"first").unwrap();
    serve(vec![server], |rt, mut streams| async move {
        let mut room = [0; 5];
        let stream = streams.remove(0);
        assert_eq!(stream.read(&mut room[..2]).await.unwrap(), 2);
        let stream = TcpStream::adopt(&rt, stream.release().unwrap()).unwrap();
        assert_eq!(stream.read(&mut room).await.unwrap(), 3);
        assert_eq!(&room[..3], b"rst");
        // Released while it waits for more.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_read(&mut cx, &mut room).is_pending());
        rt.sleep(Duration::from_millis(1)).await;
        let stream = TcpStream::adopt(&rt, stream.release().unwrap()).unwrap();
        stream.write_all(b"answer").await.unwrap();
    });
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert_eq!(answer, "answer");
}

fn watch() -> (Rc<Ring>, Rc<Watch>) {
    let file = std::fs::File::open("/dev/null").unwrap();
    (Ring::start(&[]).unwrap(), Watch::new(Arc::new(file.into())))
}

#[test]
fn a_short_read_waits_unless_the_end_was_told() {
    let (ring, watch) = watch();
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = || watch.poll_readable(&ring, &mut cx).map(Result::unwrap);
    assert_eq!(poll(), Poll::Ready(()), "the first read is tried");
    watch.read_short();
    assert_eq!(poll(), Poll::Pending);
    assert!(watch.happened(libc::POLLIN.into(), true).is_some(), "who waits is woken");
    assert_eq!(poll(), Poll::Ready(()));
    watch.read_short();
    assert_eq!(poll(), Poll::Pending);
    watch.happened((libc::POLLIN | libc::POLLRDHUP).into(), true);
    watch.read_short();
    assert_eq!(poll(), Poll::Ready(()), "the end is still to be read");
    watch.read_nothing();
    assert_eq!(poll(), Poll::Pending);
    ring.close();
}

#[test]
fn a_descriptor_that_cannot_be_watched_is_an_error_and_a_poll_that_ended_is_begun_again() {
    let (ring, watch) = watch();
    let mut cx = Context::from_waker(Waker::noop());
    watch.read_nothing();
    assert!(watch.poll_readable(&ring, &mut cx).is_pending());
    assert!(watch.key().is_some());
    watch.happened(libc::POLLIN.into(), false);
    assert!(watch.key().is_none());
    watch.read_nothing();
    assert!(watch.poll_readable(&ring, &mut cx).is_pending());
    assert!(watch.key().is_some(), "begun again");
    watch.happened(-libc::EPERM, false);
    watch.read_nothing();
    let Poll::Ready(Err(error)) = watch.poll_readable(&ring, &mut cx) else { panic!("no error") };
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    ring.close();
}
