//! The whole program relaying traces over loopback, 100 spans a request: CPU per span and peak
//! memory, compressed on the way out and not; and what the compression costs in bytes.
//!
//! Arguments: `seconds=10 rate=30000` (spans per second). Needs dist/otlet (or OTLET_BIN).

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use otlet::codec::otlp::{validate, Signal};

#[path = "support/mod.rs"]
mod support;

use support::process::{cpu_s, free_address, memory_kib, otlet};
use support::{otlp, servers};

const SPANS: usize = 100;

fn main() {
    let argument = |name: &str| env::args().find_map(|text| text.strip_prefix(name)?.parse().ok());
    let seconds = argument("seconds=").unwrap_or(10);
    let rate = argument("rate=").unwrap_or(30_000);
    for compression in ["gzip", "none"] {
        relay(compression, rate, seconds);
    }
}

fn relay(compression: &str, rate: u64, seconds: u64) {
    let (destination, received) = servers::receiver();
    let http = free_address();
    let mut command = otlet();
    command.arg(format!("--from-otlp=grpc=off http={http}"));
    command.arg(format!("--to-otlp=http://{destination} compression={compression}"));
    command.args(["--admin=off", "--memory-limit=16MiB"]).stderr(Stdio::null());
    let mut child = command.spawn().expect("otlet starts");
    let mut stream = connect(http);
    let body = otlp::traces(SPANS);
    send(&mut stream, &body, rate, Duration::from_secs(1));
    let (cpu_before, bytes_before) = (cpu_s(&child), received.body_bytes.load(Ordering::Relaxed));
    let requests = send(&mut stream, &body, rate, Duration::from_secs(seconds));
    // Until the last batch has left.
    thread::sleep(Duration::from_secs(2));
    let spans = (requests * SPANS) as f64;
    println!(
        "relay over HTTP, {rate} spans/s of {} bytes, compression={compression}: {:.2} us CPU per \
         span, {:.0} bytes out per span, peak RSS {:.1} MiB",
        body.len() / SPANS,
        (cpu_s(&child) - cpu_before) * 1e6 / spans,
        (received.body_bytes.load(Ordering::Relaxed) - bytes_before) as f64 / spans,
        memory_kib(&child, "VmHWM:") as f64 / 1024.0
    );
    // It may have ended by itself, which the figures show.
    let _ = child.kill();
    let _ = child.wait();
}

fn connect(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Posts the body again and again at that rate; returns how often.
fn send(stream: &mut TcpStream, body: &[u8], rate: u64, time: Duration) -> usize {
    let items = validate(Signal::Traces, &mut body.to_vec()).expect("a good body").items;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let (start, mut requests, mut answer) = (Instant::now(), 0, [0; 4096]);
    while start.elapsed() < time {
        stream.write_all(&request).expect("otlet reads");
        let count = stream.read(&mut answer).expect("otlet answers");
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "it takes everything");
        requests += 1;
        let due = Duration::from_secs_f64((requests as u64 * items) as f64 / rate as f64);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    requests
}
