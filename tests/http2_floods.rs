//! Floods of HTTP/2 (RFC 9113 §10.5), frame by frame, against the OTLP receiver in a process of its
//! own: whatever one peer does, another is served meanwhile and memory stays where it is.

mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::http2::*;
use support::otlp::OtlpReceiver;
use support::Process;

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 11;

/// What an honest call may take while a flood goes on: the server is built for tests, the machine
/// may be busy.
const CALL_MAX: Duration = Duration::from_secs(3);

/// What the server may buffer.
const BUDGET_BYTES: u64 = 32 << 20;

/// Growth of the server over all floods but the last, which fills what the budget allows.
const GROWTH_KIB_MAX: u64 = 4 * 1024;

/// The receiver, in a process that runs [`serve`] alone.
struct Server {
    process: Process,
    grpc: SocketAddr,
    _lines: JoinHandle<()>,
}

/// What the server's process says first.
const LISTENING: &str = "listening on ";

#[test]
#[ignore = "the server's process"]
fn serve() {
    let otlp = OtlpReceiver::start(BUDGET_BYTES);
    println!("{LISTENING}{}", otlp.grpc);
    loop {
        drop(otlp.next_or_none());
    }
}

impl Server {
    fn start() -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "serve", "--ignored", "--nocapture"]).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let lines = BufReader::new(process.0.stdout.take().unwrap());
        let mut lines = lines.lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once(LISTENING)?;
            address.parse().ok()
        });
        let reader = thread::spawn(move || lines.for_each(drop));
        Server { process, grpc: address.expect("an address"), _lines: reader }
    }

    /// A number of /proc/PID/status in KiB.
    fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()));
        let status = status.expect("the server lives");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// A peer that makes one small call after the other.
struct Honest {
    should_stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    thread: Option<JoinHandle<Duration>>,
}

impl Honest {
    fn start(address: SocketAddr) -> Honest {
        let (should_stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (asked, counted) = (Arc::clone(&should_stop), Arc::clone(&calls));
        let thread = thread::spawn(move || {
            let mut raw = Raw::connect(address, &[]);
            let (mut stream, mut slowest) = (1, Duration::ZERO);
            while !asked.load(Ordering::Relaxed) {
                let begin = Instant::now();
                honest_call(&mut raw, stream, &[b'h'; 100]);
                slowest = slowest.max(begin.elapsed());
                counted.fetch_add(1, Ordering::Relaxed);
                stream += 2;
            }
            slowest
        });
        Honest { should_stop, calls, thread: Some(thread) }
    }

    /// Waits until so many more calls have been answered.
    fn wait_for_calls(&self, count: u64) {
        let wanted = self.calls.load(Ordering::Relaxed) + count;
        support::wait_for("an honest call to be answered", || {
            let dead = self.thread.as_ref().is_some_and(|thread| thread.is_finished());
            (dead || self.calls.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    /// The slowest of its calls.
    fn stop(mut self) -> Duration {
        self.should_stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().expect("every honest call is answered")
    }
}

/// One unary call; it must succeed.
fn honest_call(raw: &mut Raw, stream: u32, message: &[u8]) {
    let head = frame(HEADERS, END_HEADERS, stream, &call(PATH));
    let prefix = [&[0][..], &(message.len() as u32).to_be_bytes()].concat();
    let body = frame(DATA, END_STREAM, stream, &[&prefix[..], message].concat());
    // Makes up for the answer before this one.
    let window = frame(WINDOW_UPDATE, 0, 0, &5_u32.to_be_bytes());
    raw.send(&[window, head, body].concat()).expect("an honest call can be sent");
    let mut has_message = false;
    loop {
        let frame = raw.read().expect("an honest call is answered");
        if frame.kind == PING && frame.flags & ACK == 0 {
            raw.send(&support::http2::frame(PING, ACK, 0, &frame.payload)).unwrap();
        }
        if frame.stream != stream {
            continue;
        }
        has_message |= frame.kind == DATA && frame.payload == [0; 5];
        if frame.flags & END_STREAM > 0 {
            assert!(has_message, "frame {} ends the call without a message", frame.kind);
            return;
        }
    }
}

/// Sends pieces until the other side has had enough or all are sent; how many were.
fn flood(raw: &mut Raw, count: usize, mut piece: impl FnMut(usize) -> Vec<u8>) -> usize {
    (0..count).take_while(|&at| raw.send(&piece(at)).is_ok()).count()
}

type Attack = fn(SocketAddr);

/// Calls that are opened and reset at once (CVE-2023-44487).
fn rapid_reset(address: SocketAddr) {
    let mut raw = Raw::connect(address, &[]);
    let goaway = raw.drain();
    flood(&mut raw, 2000, |at| {
        let pairs = (0..50).map(|n| {
            let stream = ((at * 50 + n) * 2 + 1) as u32;
            let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            [frame(HEADERS, END_HEADERS, stream, &call(PATH)), reset].concat()
        });
        pairs.collect::<Vec<_>>().concat()
    });
    drop(raw);
    let code = goaway.join().unwrap();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
}

/// Calls that the server must reset for their faults (CVE-2025-8671, "made you reset").
fn made_you_reset(address: SocketAddr) {
    let mut raw = Raw::connect(address, &[]);
    let goaway = raw.drain();
    let sent = flood(&mut raw, 20_000, |at| {
        let stream = (at * 2 + 1) as u32;
        let nothing = frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS, stream, &call(PATH)), nothing].concat()
    });
    assert!(sent < 20_000);
    drop(raw);
    let code = goaway.join().unwrap();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM | 1)), "{code:?}");
}

/// A header list that never ends, in full frames and in empty ones (CVE-2024-27316).
fn continuations(address: SocketAddr) {
    for payload in [vec![0; 16_384], b"\0\x01a\x01b".repeat(3000), Vec::new()] {
        let mut raw = Raw::connect(address, &[]);
        let goaway = raw.drain();
        raw.send(&frame(HEADERS, 0, 1, &call(PATH))).unwrap();
        let sent = flood(&mut raw, 20_000, |_| frame(CONTINUATION, 0, 1, &payload));
        assert!(sent < 20_000, "{sent} frames of {} bytes", payload.len());
        assert_ne!(goaway.join().unwrap(), Some(0));
    }
}

/// One large header, then one byte for each of its repetitions.
fn compressed_bomb(address: SocketAddr) {
    let mut raw = Raw::connect(address, &[]);
    let goaway = raw.drain();
    let mut block = call(PATH);
    // Literal with incremental indexing: name "a", value of 4000 bytes; then index 62, repeatedly.
    block.extend_from_slice(&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
    block.extend_from_slice(&[b'v'; 4000]);
    block.extend_from_slice(&[0xbe; 10_000]);
    flood(&mut raw, 1000, |at| frame(HEADERS, END_HEADERS, (at * 2 + 1) as u32, &block));
    assert_eq!(goaway.join().unwrap(), Some(ENHANCE_YOUR_CALM));
}

/// Frames that must be answered, with and without somebody who takes the answers.
fn settings_and_pings(address: SocketAddr) {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(100);
    let pings = frame(PING, 0, 0, b"12345678").repeat(100);
    for piece in [settings, pings] {
        let mut raw = Raw::connect(address, &[]);
        // Nobody reads: the server must stop reading too.
        let sent = flood(&mut raw, 100_000, |_| piece.clone());
        assert!(sent < 100_000);
        let mut raw = Raw::connect(address, &[]);
        drop(raw.drain());
        flood(&mut raw, 1000, |_| piece.clone());
    }
}

/// Frames that mean nothing.
fn idle_frames(address: SocketAddr) {
    for piece in [
        frame(DATA, 0, 1, &[]),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 7]),
        frame(0x77, 0, 0, b"unknown"),
    ] {
        let mut raw = Raw::connect(address, &[]);
        raw.send(&frame(HEADERS, END_HEADERS, 1, &call(PATH))).unwrap();
        let many = piece.repeat(100);
        flood(&mut raw, 1000, |_| many.clone());
        // Until all of it has been looked at, or the server has had enough.
        let _ = raw.send(&frame(PING, 0, 0, b"all seen"));
        raw.read_until(PING);
    }
}

/// Header lists that stop in the middle, on more connections than there may be.
fn unfinished_heads(address: SocketAddr) {
    let half = |_| {
        let mut raw = Raw::connect(address, &[]);
        let _ = raw.send(&frame(HEADERS, 0, 1, &call(PATH)));
        raw
    };
    let open: Vec<Raw> = (0..200).map(half).collect();
    let mut raw = Raw::connect(address, &[]);
    honest_call(&mut raw, 1, b"after them");
    drop(open);
}

/// Answers that are never taken, and bodies that never come.
fn slow_peers(address: SocketAddr) {
    // A window of nothing: no answer can leave. And bodies that are begun and not gone on with.
    let peers = [(0, frame(DATA, END_STREAM, 0, &[0; 5])), (65_535, frame(DATA, 0, 0, BEGUN))];
    let mut open = Vec::new();
    for (window, data) in peers.iter().cycle().take(40) {
        let mut raw = Raw::connect(address, &[(4, *window)]);
        for call_number in 0..150_u32 {
            let stream = call_number * 2 + 1;
            let mut data = data.clone();
            data[5..9].copy_from_slice(&stream.to_be_bytes());
            raw.send(&[frame(HEADERS, END_HEADERS, stream, &call(PATH)), data].concat()).unwrap();
        }
        open.push(raw);
    }
    for raw in &mut open {
        raw.send(&frame(PING, 0, 0, b"all seen")).unwrap();
        raw.read_until(PING).expect("the server is alive");
    }
}

/// A message of 25,607 bytes, begun.
const BEGUN: &[u8] = &[0, 0, 0, 100, 7, 7];

/// A body in frames of one byte is a body like any other.
fn crumbs(address: SocketAddr) {
    let mut raw = Raw::connect(address, &[]);
    let len = 60_000_u32;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &call(PATH))).unwrap();
    raw.send(&frame(DATA, 0, 1, &[&[0][..], &len.to_be_bytes()].concat())).unwrap();
    let crumbs = frame(DATA, 0, 1, b"c").repeat(100);
    assert_eq!(flood(&mut raw, 600, |_| crumbs.clone()), 600);
    raw.send(&frame(DATA, END_STREAM, 1, &[])).unwrap();
    let answer = raw.read_until(DATA).expect("an answer");
    assert_eq!((answer.stream, answer.payload.as_slice()), (1, &[0; 5][..]));
}

const ATTACKS: [(&str, Attack); 10] = [
    ("crumbs", crumbs),
    ("rapid reset", rapid_reset),
    ("made you reset", made_you_reset),
    ("continuations", continuations),
    ("compressed bomb", compressed_bomb),
    ("settings and pings", settings_and_pings),
    ("idle frames", idle_frames),
    ("unfinished heads", unfinished_heads),
    ("crumbs again", crumbs),
    ("slow peers", slow_peers),
];

#[test]
fn others_are_served_and_memory_stays_where_it_is() {
    let server = Server::start();
    let honest = Honest::start(server.grpc);
    honest.wait_for_calls(1000);
    let begin_kib = server.memory_kib("VmRSS:");
    for (name, attack) in ATTACKS {
        let begin = Instant::now();
        let attacker = {
            let address = server.grpc;
            thread::spawn(move || attack(address))
        };
        // It is served while the flood goes on, and after it.
        honest.wait_for_calls(5);
        attacker.join().unwrap_or_else(|_| panic!("{name}"));
        honest.wait_for_calls(5);
        let peak = server.memory_kib("VmHWM:");
        let growth_max = if name == "slow peers" { BUDGET_BYTES / 1024 } else { GROWTH_KIB_MAX };
        eprintln!("{name}: {:?}, peak {peak} KiB, from {begin_kib}", begin.elapsed());
        assert!(peak < begin_kib + growth_max, "{name}: {begin_kib} to {peak} KiB");
    }
    let slowest = honest.stop();
    eprintln!("slowest call {slowest:?}, at the end {} KiB", server.memory_kib("VmRSS:"));
    assert!(slowest < CALL_MAX, "{slowest:?}");
}
