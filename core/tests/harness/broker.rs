//! A broker process under test.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::options::Options;
use super::wire::Connection;

/// How long a broker may take to serve after its start; Apache Kafka on a busy machine needs many seconds.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it may take to stop after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A running broker. Dropped: killed and reaped, its directory removed unless the test failed.
pub struct Broker {
    pub options: Options,
    address: SocketAddr,
    child: Option<Child>,
    home: Option<Home>,
}

/// The directory of one broker: `data` and `log.txt` (stdout and stderr of all its starts).
struct Home(PathBuf);

impl Broker {
    /// Starts a broker of this test's own.
    pub fn start(options: Options) -> Broker {
        let home = Home::create();
        let mut broker = Broker { options, address: free_address(), child: None, home: Some(home) };
        broker.start_again();
        broker
    }

    /// The broker of `CORELANE_TEST_BOOTSTRAP` if there is one, else one of this test's own.
    pub fn any(options: Options) -> Broker {
        match bootstrap() {
            None => Broker::start(options),
            Some(address) => Broker { options, address, child: None, home: None },
        }
    }

    /// True, with a word why, if the test must own its broker and may not (`CORELANE_TEST_BOOTSTRAP` is set).
    pub fn must_skip(test: &str) -> bool {
        let skip = bootstrap().is_some();
        if skip {
            println!(
                "{test}: passed over, it starts and stops brokers (CORELANE_TEST_BOOTSTRAP is set)"
            );
        }
        skip
    }

    /// True if the process is ours to measure: not another program, not an address.
    pub fn is_corelane(&self) -> bool {
        self.child.is_some() && program_under_test().is_none()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `ip:port`, as clients want it.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the broker accepts")
    }

    /// Starts it on the same directory and port; `options` may have changed meanwhile.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(self.spawn_at(self.address));
        self.wait_until_ready();
    }

    /// Starts a second process on this one's directory and another port, which is expected to refuse:
    /// its exit status and what it printed.
    pub fn second_on_same_directory(&self) -> (ExitStatus, String) {
        let before = self.output().len();
        let mut child = self.spawn_at(free_address());
        let status = wait(&mut child, START_TIMEOUT).unwrap_or_else(|| {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it started, though it should have refused")
        });
        (status, self.output().split_off(before))
    }

    /// kill -9, and reaps it.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("kill -9");
        let status = child.wait().expect("wait");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "it had died before: {}", self.output());
    }

    /// SIGTERM, and waits for the end: the exit code must be 0 (143 is what a JVM returns).
    pub fn terminate(&mut self) {
        let mut child = self.child.take().expect("it runs");
        // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
        let Some(status) = wait(&mut child, STOP_TIMEOUT) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it did not stop within {STOP_TIMEOUT:?}: {}", self.output());
        };
        let good = if program_under_test().is_some() { 143 } else { 0 };
        assert_eq!(status.code(), Some(good), "{}", self.output());
    }

    /// Panics if the process has ended; then asks it for its API versions over a fresh connection.
    pub fn assert_serves(&mut self) {
        if let Some(child) = self.child.as_mut()
            && let Some(status) = child.try_wait().expect("wait")
        {
            panic!("the broker has ended: {status}; {}", self.output());
        }
        let mut connection = self.connect();
        connection.api_versions_v0().expect("the broker answers");
    }

    /// All that the process printed, over all its starts.
    pub fn output(&self) -> String {
        let Some(home) = &self.home else { return String::new() };
        fs::read_to_string(home.log()).unwrap_or_default()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.as_ref().expect("a broker of our own").data()
    }

    fn spawn_at(&self, address: SocketAddr) -> Child {
        let home = self.home.as_ref().expect("a broker of our own");
        let log = File::options().create(true).append(true).open(home.log()).expect("log.txt");
        let arguments =
            self.options.arguments(&address.to_string(), home.data().to_str().expect("UTF-8"));
        let program =
            program_under_test().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_corelane")));
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&home.0).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("dup")).stderr(log);
        // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // A test that is killed leaves no broker behind.
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// Ready: it accepts, and answers ApiVersions.
    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().expect("wait") {
                panic!("the broker ended at its start: {status}; it said:\n{}", self.output());
            }
            let answered = Connection::open(self.address).and_then(|mut c| c.api_versions_v0());
            match answered {
                Ok(_) => return,
                Err(error) if started.elapsed() > START_TIMEOUT => {
                    panic!("not ready after {START_TIMEOUT:?}: {error}; {}", self.output())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let Some(home) = &self.home else { return };
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(60).collect();
            eprintln!("--- the broker's last words ({}):", home.0.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        } else {
            let _ = fs::remove_dir_all(&home.0);
        }
    }
}

impl Home {
    fn create() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("broker-{}-{number}", std::process::id());
        // Cargo's own directory beside the binaries: on a disk, where /tmp may be memory.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&home).expect("a directory for the broker");
        Home(home)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log.txt")
    }
}

fn program_under_test() -> Option<PathBuf> {
    std::env::var_os("CORELANE_TEST_PROGRAM").map(PathBuf::from)
}

fn bootstrap() -> Option<SocketAddr> {
    let text = std::env::var("CORELANE_TEST_BOOTSTRAP").ok()?;
    Some(text.parse().expect("CORELANE_TEST_BOOTSTRAP is ip:port"))
}

/// A port below the ephemeral range: while the broker is down, no client's outgoing connection may take it
/// (nor may a client connect to itself, which TCP allows on such a port).
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..2_000 {
        let step = NEXT.fetch_add(7, Ordering::Relaxed);
        let port = 12_000 + (std::process::id().wrapping_mul(41).wrapping_add(step)) % 18_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if TcpListener::bind(address).is_ok() && TcpStream::connect(address).is_err() {
            return address;
        }
    }
    panic!("no free port between 12,000 and 30,000");
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("wait") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}
