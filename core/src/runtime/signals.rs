//! SIGTERM and SIGINT as an awaited event.

use std::io;
use std::mem;
use std::thread;

/// The request to end, from outside.
pub struct Signals {
    requested: flume::Receiver<i32>,
}

impl Signals {
    /// From here on SIGTERM and SIGINT no longer kill the process: the first is delivered through
    /// [`Signals::terminated`], the second ends the process at once (exit code 128 + signal).
    /// SIGPIPE is ignored.
    ///
    /// Call it first in `main`: only threads started afterwards leave the signals to the thread
    /// that waits for them.
    pub fn install() -> io::Result<Self> {
        // SAFETY: installs no handler of ours, only "ignore".
        if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        let signals = signal_set();
        // SAFETY: the set is initialised and outlives the call; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut()) } {
            0 => {}
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        let (request, requested) = flume::bounded(1);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let first = wait_for(&signals);
            tracing::info!(signal = name(first), "ending; once more ends at once");
            let _ = request.send(first);
            let second = wait_for(&signals);
            // SAFETY: ends the process without running anything else.
            unsafe { libc::_exit(128 + second) }
        })?;
        Ok(Signals { requested })
    }

    /// Resolves, with its number, when the first signal has come; once.
    pub async fn terminated(&self) -> i32 {
        match self.requested.recv_async().await {
            Ok(signal) => signal,
            // It was delivered to an earlier caller.
            Err(_) => std::future::pending().await,
        }
    }
}

/// "SIGTERM" for 15.
pub fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT",
        _ => "signal",
    }
}

fn signal_set() -> libc::sigset_t {
    // SAFETY: `sigemptyset` initialises the set that `sigaddset` then changes; both get a valid
    // pointer and valid signal numbers.
    unsafe {
        let mut signals: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, libc::SIGTERM);
        libc::sigaddset(&mut signals, libc::SIGINT);
        signals
    }
}

fn wait_for(signals: &libc::sigset_t) -> i32 {
    loop {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        if unsafe { libc::sigwait(signals, &mut signal) } == 0 {
            return signal;
        }
    }
}
