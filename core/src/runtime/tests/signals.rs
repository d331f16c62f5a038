//! Signals, in a child process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use super::{child, on_shard};
use crate::runtime::Signals;

#[test]
#[ignore = "the child process of the tests below"]
fn waits_for_a_signal() {
    if std::env::var_os("CORELANE_TEST_CHILD").is_none() {
        return;
    }
    let signals = std::sync::Arc::new(Signals::install().unwrap());
    let again = std::env::var_os("CORELANE_TEST_TWICE").is_some();
    let signal = on_shard(move |_rt| {
        let signals = signals.clone();
        async move {
            println!("ready");
            let signal = signals.terminated().await;
            println!("ending");
            if again {
                std::future::pending::<()>().await;
            }
            signal
        }
    });
    std::process::exit(100 + signal);
}

fn run(signals: &[i32], twice: bool) -> std::process::ExitStatus {
    let mut command = child("runtime::tests::signals::waits_for_a_signal");
    command.env("CORELANE_TEST_CHILD", "1").stdout(Stdio::piped());
    if twice {
        command.env("CORELANE_TEST_TWICE", "1");
    }
    // The harness runs tests on a thread of its own, while the broker installs signals before it
    // starts any: here the whole process is born with them blocked.
    // SAFETY: calls only functions that are safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Ok(())
        })
    };
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    for (signal, awaited) in signals.iter().zip(["ready", "ending"]) {
        let seen = lines.by_ref().map_while(Result::ok).any(|line| line.contains(awaited));
        assert!(seen, "the child ended early: {:?}", process.wait());
        // SAFETY: a signal to a child of ours that is not collected yet.
        assert_eq!(unsafe { libc::kill(process.id() as i32, *signal) }, 0);
    }
    process.wait().unwrap()
}

#[test]
fn the_first_signal_is_delivered() {
    assert_eq!(run(&[libc::SIGTERM], false).code(), Some(100 + libc::SIGTERM));
    assert_eq!(run(&[libc::SIGINT], false).code(), Some(100 + libc::SIGINT));
}

#[test]
fn the_second_signal_ends_at_once() {
    let status = run(&[libc::SIGTERM, libc::SIGINT], true);
    assert_eq!((status.code(), status.signal()), (Some(128 + libc::SIGINT), None));
}
