//! Ranges of files to sockets over loopback.

use std::io::{self, Read};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use corelane_storage::runtime::Runtime;
use futures_util::future::{Either, join_all, select};

use super::{TempDir, on_shard};
use crate::runtime::TcpStream;
use crate::runtime::send_file::{self, SendableFile};

/// Bytes that say where they lie.
fn content(len_bytes: usize) -> Vec<u8> {
    let word = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    (0..len_bytes.div_ceil(8)).flat_map(word).take(len_bytes).collect()
}

fn file_of(dir: &Path, bytes: &[u8]) -> SendableFile {
    let path = dir.join("file");
    std::fs::write(&path, bytes).unwrap();
    send_file::open(&path).unwrap()
}

/// Both ends of a connection; the first one's socket holds little.
fn connected() -> (Arc<OwnedFd>, StdStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    socket2::SockRef::from(&server).set_send_buffer_size(64 << 10).unwrap();
    socket2::SockRef::from(&client).set_recv_buffer_size(64 << 10).unwrap();
    (Arc::new(server.into()), client)
}

async fn send(stream: &TcpStream, file: &SendableFile, from: u64, len: usize) -> io::Result<()> {
    let mut sent = 0;
    while sent < len {
        sent += stream.send_file(file, from + sent as u64, len - sent, false).await?;
    }
    Ok(())
}

#[test]
fn a_range_arrives_whole_at_a_reader_that_pauses() {
    let dir = TempDir::new();
    let bytes = content(5 << 20);
    let file = file_of(dir.path(), &bytes);
    // Neither end on a page, and more than a pipe holds.
    let (from, len) = (4_099, 3_500_001);
    let (server, mut client) = connected();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        let mut piece = vec![0; 300_000];
        loop {
            // Longer than a filled pipe is kept for.
            if received.len() / 1_000_000 != (received.len() + piece.len()) / 1_000_000 {
                std::thread::sleep(send_file::STALL_MAX * 2);
            }
            match client.read(&mut piece).unwrap() {
                0 => return received,
                n => received.extend_from_slice(&piece[..n]),
            }
        }
    });
    on_shard(move |rt| {
        let (server, file) = (server.try_clone().unwrap(), file.clone());
        async move {
            let stream = TcpStream::adopt(&rt, server).unwrap();
            send(&stream, &file, from, len).await.unwrap();
            // What is in memory goes on behind it, in order.
            stream.write_all(b"behind").await.unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
    });
    let received = reader.join().unwrap();
    let expected = &bytes[from as usize..from as usize + len];
    assert!(received[..] == [expected, b"behind"].concat(), "{} bytes", received.len());
}

#[test]
fn clients_that_never_read_keep_nobody_from_being_served() {
    let dir = TempDir::new();
    let bytes = content(3 << 20);
    let file = file_of(dir.path(), &bytes);
    // More than there are pipes.
    let (stuck, unread): (Vec<_>, Vec<_>) = (0..80).map(|_| connected()).unzip();
    let (server, mut client) = connected();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        received
    });
    let len = bytes.len();
    on_shard(move |rt| {
        let clone = |fd: &OwnedFd| TcpStream::adopt(&rt, fd.try_clone().unwrap()).unwrap();
        let (stuck, served): (Vec<_>, _) =
            (stuck.iter().map(|fd| clone(fd)).collect(), clone(&server));
        let file = file.clone();
        async move {
            let stuck = join_all(stuck.iter().map(|stream| send(stream, &file, 0, len)));
            let served = async {
                rt.sleep(Duration::from_millis(20)).await;
                send(&served, &file, 0, len).await.unwrap();
                served.shutdown(std::net::Shutdown::Write).unwrap();
            };
            let (stuck, served) = (pin!(stuck), pin!(served));
            assert!(matches!(select(stuck, served).await, Either::Right(_)));
        }
    });
    assert!(reader.join().unwrap() == bytes);
    drop(unread);
}

#[test]
fn a_file_that_is_too_short_and_a_peer_that_is_gone_are_errors() {
    let dir = TempDir::new();
    let file = file_of(dir.path(), &content(100_000));
    let (server, client) = connected();
    let reader = std::thread::spawn(move || {
        let mut client = client;
        let mut received = vec![0; 100_000];
        client.read_exact(&mut received).unwrap();
    });
    let (gone, peer) = connected();
    drop(peer);
    on_shard(move |rt| {
        let clone = |fd: &OwnedFd| TcpStream::adopt(&rt, fd.try_clone().unwrap()).unwrap();
        let (stream, gone) = (clone(&server), clone(&gone));
        let file = file.clone();
        async move {
            let error = send(&stream, &file, 0, 100_001).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            let mut result = Ok(());
            for _ in 0..100 {
                result = send(&gone, &file, 0, 100_000).await;
                if result.is_err() {
                    break;
                }
            }
            let kind = result.unwrap_err().kind();
            assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        }
    });
    reader.join().unwrap();
}
