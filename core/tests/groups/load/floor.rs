//! The least that a load costs on this machine: a server that knows nothing, and answers every frame with the same
//! bytes, by epoll, on a thread of its own.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread;

use super::cpu_s_in;

const EVENTS: usize = 256;

/// The server; it ends with the program.
pub struct Floor {
    pub address: SocketAddr,
    thread: libc::pid_t,
}

impl Floor {
    /// A server that sends `answer` behind the correlation id of each frame.
    pub fn start(answer: &'static [u8]) -> Floor {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // SAFETY: gettid(2) touches no memory.
            tell.send(unsafe { libc::gettid() }).expect("somebody listens");
            serve(&listener, answer).expect("it goes on");
        });
        Floor { address, thread: told.recv().expect("it runs") }
    }

    /// Seconds of processor time that it has taken so far.
    pub fn cpu_s(&self) -> f64 {
        cpu_s_in(&format!("/proc/self/task/{}/stat", self.thread))
    }
}

fn serve(listener: &TcpListener, answer: &[u8]) -> io::Result<()> {
    // SAFETY: epoll_create1(2) touches no memory.
    let epoll = unsafe { libc::epoll_create1(0) };
    watch(epoll, listener.as_raw_fd())?;
    let mut streams: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    loop {
        // SAFETY: there is room for as many events as are said.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), EVENTS as i32, -1) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let fd = event.u64 as RawFd;
            let Some(stream) = streams.get_mut(&fd) else {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                watch(epoll, stream.as_raw_fd())?;
                streams.insert(stream.as_raw_fd(), stream);
                continue;
            };
            if !answer_one(stream, answer).unwrap_or(false) {
                streams.remove(&fd);
            }
        }
    }
}

fn watch(epoll: RawFd, fd: RawFd) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
    // SAFETY: the event lives until the call has returned.
    match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// False at the end. A frame comes whole: it is short, and the client waits for its answer.
fn answer_one(stream: &mut TcpStream, answer: &[u8]) -> io::Result<bool> {
    let mut frame = [0; 1024];
    let length = stream.read(&mut frame)?;
    if length == 0 {
        return Ok(false);
    }
    let told = u32::from_be_bytes(frame[..4].try_into().expect("four bytes")) as usize;
    assert_eq!(told + 4, length, "one frame at once");
    let mut reply = [0; 64];
    let reply_bytes = 8 + answer.len();
    reply[..4].copy_from_slice(&(4 + answer.len() as u32).to_be_bytes());
    // Behind the length, the API and its version.
    reply[4..8].copy_from_slice(&frame[8..12]);
    reply[8..reply_bytes].copy_from_slice(answer);
    stream.write_all(&reply[..reply_bytes])?;
    Ok(true)
}
