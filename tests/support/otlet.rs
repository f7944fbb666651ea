//! The program under test, as a user runs it: a process with flags, two output streams and an admin
//! port.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{kill_process, Pid, Signal};

use super::{http, wait_for, wait_within, Process};

/// What stands before the address in the line that the admin listener logs.
const ADMIN_LINE: &str = "admin: listening on ";
/// The default of --stop-timeout, and some.
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// A running otlet.
pub struct Otlet {
    process: Process,
    stdout: Lines,
    stderr: Lines,
}

/// How it ended.
pub struct Exit {
    pub status: ExitStatus,
    pub took: Duration,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Otlet {
    /// Starts the program of this build with an admin port of its own, and waits until it listens.
    pub fn start(flags: &[&str]) -> Otlet {
        let otlet = Otlet::spawn(Otlet::command().args(["--admin", "127.0.0.1:0"]).args(flags));
        otlet.admin();
        otlet
    }

    /// The program of this build; the caller adds flags and environment.
    pub fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otlet"));
        command.env_clear();
        command
    }

    /// Starts any command that ends up as otlet.
    pub fn spawn(command: &mut Command) -> Otlet {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(piped);
        let stdout = Lines::collect(process.0.stdout.take().unwrap());
        let stderr = Lines::collect(process.0.stderr.take().unwrap());
        Otlet { process, stdout, stderr }
    }

    /// Runs to the end: for --version, --help, --check and wrong flags.
    pub fn run(command: &mut Command) -> Exit {
        Otlet::spawn(command).wait()
    }

    /// Where the admin port listens.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        let line = self.wait_log(ADMIN_LINE);
        let address = line.split(ADMIN_LINE).nth(1).unwrap_or("");
        let end = address.find(|c: char| !(c.is_ascii_hexdigit() || "[].:".contains(c)));
        address[..end.unwrap_or(address.len())].parse().unwrap_or_else(|_| panic!("{line}"))
    }

    /// The first line on stderr that holds `text`, waited for.
    #[track_caller]
    pub fn wait_log(&self, text: &str) -> String {
        self.stderr.wait(text)
    }

    /// The first line on stdout that holds `text`, waited for.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str) -> String {
        self.stdout.wait(text)
    }

    pub fn log(&self) -> Vec<String> {
        self.stderr.all()
    }

    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Its `/metrics` at this moment.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let page = http::get(self.admin(), "/metrics").expect("/metrics");
        assert_eq!(page.status(), 200);
        Metrics::parse(&page.text())
    }

    /// Waits until `/metrics` fulfils a condition, and returns it.
    #[track_caller]
    pub fn wait_metrics(&self, what: &str, condition: impl Fn(&Metrics) -> bool) -> Metrics {
        wait_for(what, || Some(self.metrics()).filter(|metrics| condition(metrics)))
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// A number of /proc/PID/status, such as `VmRSS` (KiB) or `Threads`.
    pub fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).unwrap();
        kill_process(pid, signal).expect("the process is gone");
    }

    /// SIGTERM, then the end.
    #[track_caller]
    pub fn stop(self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end; panics, and kills, when it does not come.
    #[track_caller]
    pub fn wait(mut self) -> Exit {
        let start = Instant::now();
        let status = wait_within(STOP_WITHIN, "the program to end", || {
            self.process.0.try_wait().expect("its status")
        });
        let took = start.elapsed();
        // The readers end with the pipes: only then is everything in.
        for lines in [&mut self.stdout, &mut self.stderr] {
            lines.reader.take().map(thread::JoinHandle::join);
        }
        Exit { status, took, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

/// The lines of a pipe, collected by a thread.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Lines {
    fn collect(pipe: impl Read + Send + 'static) -> Lines {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                into.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Lines { lines, reader: Some(reader) }
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    #[track_caller]
    fn wait(&self, text: &str) -> String {
        let deadline = Instant::now() + super::SOON;
        loop {
            let ended = self.reader.as_ref().is_none_or(|reader| reader.is_finished());
            if let Some(line) = self.all().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            let late = ended || Instant::now() > deadline;
            assert!(!late, "no line with {text:?} in:\n{}", self.all().join("\n"));
            thread::sleep(super::POLL_EVERY);
        }
    }
}

/// A page of metrics: each line's series, as it is written there, and its value.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    /// Reads a page in text format without timestamps.
    pub fn parse(page: &str) -> Metrics {
        let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
        };
        Metrics(lines.map(parse).collect())
    }

    /// The sum over the series of that name that have all those labels; 0 without any.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_wanted = |series: &str| {
            let (own, rest) = series.split_at(series.find('{').unwrap_or(series.len()));
            let has = |(label, value): &(&str, &str)| {
                let pair = format!("{label}=\"{value}\"");
                rest.contains(&format!("{{{pair}")) || rest.contains(&format!(",{pair}"))
            };
            own == name && labels.iter().all(has)
        };
        self.0.iter().filter(|(series, _)| is_wanted(series)).map(|(_, value)| value).sum()
    }
}
