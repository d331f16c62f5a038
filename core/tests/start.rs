//! Starts of the real program that others make hard: a log that nobody reads, a port that is taken, a
//! data directory that can't be written, is full, or is memory.

mod harness;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use harness::broker::free_address;
use harness::wire::Connection;

/// The most that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of one test, on a disk.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let name = format!("start-{}-{name}", std::process::id());
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&home).expect("a directory for the test");
        Home(home)
    }

    /// `program` in here, with nothing of this process's environment but the path.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.0).env_clear().stdin(Stdio::null());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Killed and reaped when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(listen: SocketAddr) -> Vec<String> {
    let listen = listen.to_string();
    let words = ["serve", "--shards", "1", "--data-dir", "data", "--http-listen", "none"];
    words.into_iter().chain(["--listen", &listen]).map(str::to_owned).collect()
}

/// Whether it answers, as soon as it does.
fn answers(address: SocketAddr) -> bool {
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if Connection::open(address).and_then(|mut one| one.api_versions_v0()).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn who_reads_the_log_may_go() {
    let home = Home::new("log");
    let address = free_address();
    let mut command = home.command(env!("CARGO_BIN_EXE_corelane"));
    command.args(serve(address)).args(["--set", "max.connections.per.ip=1"]);
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut broker = Running(started.expect("it starts"));
    let mut out = BufReader::new(broker.0.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it says that it serves");
    assert!(line.contains(" serves on "), "{line}");
    drop(broker.0.stderr.take());

    let mut only = Connection::open(address).expect("accepted");
    only.api_versions_v0().expect("it answers");
    let mut refused = Connection::open(address).expect("accepted");
    assert!(refused.is_closed_by_peer(), "one too many, which is a line in the log");
    only.api_versions_v0().expect("it still answers");
    drop(only);
    assert!(answers(address), "the broker takes new connections");

    let pid = broker.0.id();
    // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGTERM) }, 0);
    assert_eq!(broker.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_taken_port_is_named() {
    let home = Home::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let began = Instant::now();
    let mut command = home.command(env!("CARGO_BIN_EXE_corelane"));
    let output = command.args(serve(address)).output().expect("it ran");
    println!("told after {:?}", began.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains(&format!("can't listen on {address}")), "{said}");
    assert!(said.contains("choose another with --listen"), "{said}");
}

/// Runs `corelane` with `arguments` where `data` is a tmpfs with `options`, in a mount namespace of its
/// own, with which the mount goes; `None`, with a word why, where that is not allowed.
fn on_tmpfs(home: &Home, options: &str, arguments: &[String]) -> Option<Output> {
    fs::create_dir_all(home.0.join("data")).expect("made");
    let run = |script: &str, more: &[String]| {
        // As root in the real user namespace, else as root in one of its own.
        // SAFETY: geteuid(2) has no arguments and can't fail.
        let how: &[&str] = if unsafe { libc::geteuid() } == 0 { &["-m"] } else { &["-r", "-m"] };
        let mut command = home.command("unshare");
        command.args(how).args(["sh", "-c", script, "sh", options]);
        command.arg(env!("CARGO_BIN_EXE_corelane")).args(more).output()
    };
    let mount = r#"mount -t tmpfs -o "$1" tmpfs data"#;
    match run(mount, &[]) {
        Ok(output) if output.status.success() => {}
        tried => {
            println!("passed over, no tmpfs can be mounted here: {tried:?}");
            return None;
        }
    }
    let output = run(&format!(r#"{mount} && shift && exec "$@""#), arguments);
    Some(output.expect("it ran"))
}

#[test]
fn a_directory_that_can_not_be_written_is_refused() {
    let home = Home::new("read-only");
    let Some(output) = on_tmpfs(&home, "ro", &serve(free_address())) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("no file can be made in data: Read-only file system"), "{said}");
    assert!(said.contains("mount -o remount,rw "), "{said}");
}

#[test]
fn a_full_disk_is_refused() {
    let home = Home::new("full");
    for (options, why) in [
        ("size=64k", "too little for a new data directory"),
        ("size=16m,nr_inodes=1", "no file can be made in data: No space left on device"),
    ] {
        let Some(output) = on_tmpfs(&home, options, &serve(free_address())) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(said.contains("--data-dir"), "{said}");
    }
}

#[test]
fn memory_is_warned_of() {
    let home = Home::new("memory");
    let arguments = [serve(free_address()), vec!["--check".to_owned()]].concat();
    let Some(output) = on_tmpfs(&home, "size=64m", &arguments) else { return };
    let (said, told) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(told.starts_with("ok: the broker would start\n"), "{told}");
    assert!(said.contains("data is on tmpfs: it is memory"), "{said}");
}
