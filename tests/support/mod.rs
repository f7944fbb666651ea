//! What the black-box tests are made of: the real binary, real peers, and fake ones that can be
//! told to misbehave.
//!
//! No fixed ports, no internet, and no sleep but the one in [`wait_for`], which waits for a
//! condition with a deadline. Whatever is started is killed when its value is dropped.
#![allow(dead_code)] // each test file uses its part

pub mod aws;
pub mod http;
pub mod http2;
pub mod json;
pub mod metadata;
pub mod otlet;
pub mod otlp;
pub mod peers;
pub mod prometheus;
pub mod remote_write;
pub mod scripted;
pub mod tls;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How long anything that should happen soon may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(5);

/// The value of `condition` as soon as it has one; panics with `what` after [`SOON`].
#[track_caller]
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(SOON, what, condition)
}

#[track_caller]
pub fn wait_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        thread::sleep(POLL_EVERY);
    }
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The static release binary that `make build` leaves, for tests of the image and of chroots.
pub fn static_binary() -> PathBuf {
    let path = env::var_os("OTLET_BIN").map_or_else(|| repository("dist/otlet"), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make build` or `make test`", path.display());
    path
}

/// A program from PATH, /usr/sbin or what tests/setup unpacked.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin".into(), "/sbin".into(), repository("tests/.peers/usr/bin")];
    let mut folders = env::split_paths(&path).chain(more);
    let found = folders.find(|folder| folder.join(name).is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: run tests/setup")).join(name)
}

/// The Python that has tests/requirements.txt.
pub fn python() -> Command {
    let path = repository("tests/.venv/bin/python");
    assert!(path.exists(), "{} is missing: run tests/setup", path.display());
    let mut command = Command::new(path);
    command.arg("-u");
    command
}

/// True for tests that must be root to chroot or to listen on port 53.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A port that was free a moment ago, for peers that cannot say which one they chose.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that dies with this value.
pub struct Process(pub Child);

impl Process {
    /// Starts `command` without input; output goes where the command says.
    pub fn start(command: &mut Command) -> Process {
        let started = command.stdin(Stdio::null()).spawn();
        Process(started.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that goes with this value.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("otlet-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it, with its folders, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Label names to values, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// `labels(&[("__name__", "up"), ("job", "web")])`
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
