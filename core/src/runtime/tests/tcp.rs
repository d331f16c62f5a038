//! Sockets over loopback.

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use corelane_storage::runtime::Runtime;

use super::{on_shard, on_shards};
use crate::runtime::{TcpListener, TcpStream, bind};

const ANY: &str = "127.0.0.1:0";

fn bound() -> (OwnedFd, SocketAddr) {
    let socket = bind(ANY.parse().unwrap()).unwrap();
    let address = socket2::SockRef::from(&socket).local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_second_listener_sees_address_in_use_and_a_restart_does_not() {
    let (first, address) = bound();
    let error = bind(address).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    // A connection that this end closes first leaves TIME_WAIT behind.
    let listener = std::net::TcpListener::from(first);
    listener.set_nonblocking(false).unwrap();
    let client = StdStream::connect(address).unwrap();
    drop(listener.accept().unwrap());
    drop(listener);
    drop(client);
    bind(address).unwrap();
}

#[test]
fn accepted_connections_are_served_on_another_shard() {
    let (socket, address) = bound();
    let socket = std::sync::Arc::new(std::sync::Mutex::new(Some(socket)));
    let (hand_over, adopted) = flume::bounded::<OwnedFd>(16);
    let clients = std::thread::spawn(move || {
        for round in 0..50_u32 {
            let mut client = StdStream::connect(address).unwrap();
            client.write_all(&round.to_be_bytes()).unwrap();
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(u32::from_be_bytes(answer), round + 1);
        }
    });
    on_shards(2, move |rt| {
        let (socket, hand_over, adopted) = (socket.clone(), hand_over.clone(), adopted.clone());
        async move {
            if rt.index() == 0 {
                let listener = TcpListener::new(&rt, socket.lock().unwrap().take().unwrap());
                assert_eq!(listener.local_addr().unwrap(), address);
                for _ in 0..50 {
                    let (connection, peer) = listener.accept().await.unwrap();
                    assert!(peer.ip().is_loopback());
                    hand_over.send_async(connection).await.unwrap();
                }
                return;
            }
            for _ in 0..50 {
                let stream = TcpStream::adopt(&rt, adopted.recv_async().await.unwrap()).unwrap();
                let mut request = [0; 4];
                assert_eq!(stream.read(&mut request).await.unwrap(), 4);
                let answer = (u32::from_be_bytes(request) + 1).to_be_bytes();
                stream.write_all(&answer).await.unwrap();
                assert_eq!(stream.read(&mut request).await.unwrap(), 0);
            }
        }
    });
    clients.join().unwrap();
}

fn with_connection<T: Send + 'static, M: Future<Output = T> + 'static>(
    client: impl FnOnce(StdStream) + Send + 'static,
    server: impl Fn(crate::runtime::ShardRuntime, TcpStream) -> M + Clone + Send + 'static,
) -> T {
    let (socket, address) = bound();
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(false).unwrap();
    let client = std::thread::spawn(move || client(StdStream::connect(address).unwrap()));
    let connection = OwnedFd::from(listener.accept().unwrap().0);
    let connection = std::sync::Arc::new(std::sync::Mutex::new(Some(connection)));
    let result = on_shard(move |rt| {
        let connection = connection.lock().unwrap().take().unwrap();
        let stream = TcpStream::adopt(&rt, connection).unwrap();
        server(rt, stream)
    });
    client.join().unwrap();
    result
}

#[test]
fn both_halves_work_at_once() {
    const BYTES: usize = 64 << 20;
    with_connection(
        |client| {
            let mut reader = client.try_clone().unwrap();
            let sender = std::thread::spawn(move || {
                let mut client = client;
                let chunk: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
                for _ in 0..BYTES >> 16 {
                    client.write_all(&chunk).unwrap();
                }
                client.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = 0;
            let mut chunk = vec![0; 1 << 16];
            loop {
                match reader.read(&mut chunk).unwrap() {
                    0 => break,
                    n => {
                        assert!((0..n).all(|at| chunk[at] == (received + at) as u8));
                        received += n;
                    }
                }
            }
            assert_eq!(received, BYTES);
            sender.join().unwrap();
        },
        |rt, stream| async move {
            // Reads all while another task writes all; neither waits for the other.
            let writer = stream.clone();
            let (done, written) = flume::bounded(1);
            rt.spawn(async move {
                let chunk: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
                let mut left = BYTES;
                let mut at = 0;
                while left > 0 {
                    // Pieces of uneven size, the write cut where the kernel likes.
                    let rest = &chunk[at..];
                    let cut = rest.len() / 3;
                    let pieces =
                        [IoSlice::new(&rest[..cut]), IoSlice::new(&[]), IoSlice::new(&rest[cut..])];
                    let n = writer.write_vectored(&pieces).await.unwrap();
                    at = (at + n) % chunk.len();
                    left -= n;
                }
                done.send(()).unwrap();
            });
            let mut received = 0;
            let mut buf = BytesMut::new();
            for round in 0_usize.. {
                // With room and without, and never more than was asked.
                if round % 3 == 0 {
                    buf.reserve(10_000 + round % 100_000);
                }
                let max_bytes = 1 + round * 7919 % 200_000;
                match stream.read_buf(&mut buf, max_bytes).await.unwrap() {
                    0 => break,
                    n => {
                        assert!(n <= max_bytes && n == buf.len());
                        assert!((0..n).all(|at| buf[at] == (received + at) as u8));
                        received += n;
                        buf.clear();
                        if round % 5 == 0 {
                            buf = BytesMut::new();
                        }
                    }
                }
            }
            assert_eq!(received, BYTES);
            written.recv_async().await.unwrap();
        },
    );
}

#[test]
fn a_peer_that_has_gone_is_an_error_and_no_signal() {
    with_connection(drop, |rt, stream| async move {
        let mut buf = [0; 16];
        assert_eq!(stream.read(&mut buf).await.unwrap_or(0), 0);
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 4096]).await {
                break error;
            }
            rt.sleep(Duration::from_millis(1)).await;
        };
        let errno = error.raw_os_error();
        assert!(errno == Some(libc::EPIPE) || errno == Some(libc::ECONNRESET), "{error}");
        stream.shutdown(Shutdown::Both).unwrap();
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    with_connection(
        |mut client| {
            std::thread::sleep(Duration::from_millis(20));
            client.write_all(b"late").unwrap();
            let mut end = [0; 1];
            assert_eq!(client.read(&mut end).unwrap(), 0);
        },
        |rt, stream| async move {
            let mut buf = [0; 16];
            for _ in 0..3 {
                let mut read = Box::pin(stream.read(&mut buf));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = read.as_mut().poll(&mut cx);
            }
            rt.sleep(Duration::from_millis(1)).await;
            let n = stream.read(&mut buf).await.unwrap();
            assert_eq!(&buf[..n], b"late");
        },
    );
}

#[test]
fn dropping_the_last_clone_ends_the_connection_though_a_poll_is_under_way() {
    with_connection(
        |mut client| {
            let mut end = [0; 1];
            assert_eq!(client.read(&mut end).unwrap(), 0);
        },
        |rt, stream| async move {
            let mut buf = [0; 16];
            let mut read = Box::pin(stream.read(&mut buf));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(read.as_mut().poll(&mut cx).is_pending());
            rt.sleep(Duration::from_millis(1)).await;
            drop(read);
            drop(stream);
            rt.sleep(Duration::from_millis(50)).await;
        },
    );
}

#[test]
fn a_dropped_listener_refuses_connections_and_its_address_is_free() {
    let (socket, address) = bound();
    let socket = std::sync::Arc::new(std::sync::Mutex::new(Some(socket)));
    on_shard(move |rt| {
        let socket = socket.clone();
        async move {
            let listener = TcpListener::new(&rt, socket.lock().unwrap().take().unwrap());
            let mut accept = Box::pin(listener.accept());
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(accept.as_mut().poll(&mut cx).is_pending());
            rt.sleep(Duration::from_millis(1)).await;
            drop(accept);
            drop(listener);
            // The cancelled poll lets go of the socket within a few passes.
            while bind(address).is_err() {
                rt.sleep(Duration::from_millis(1)).await;
            }
        }
    });
}
