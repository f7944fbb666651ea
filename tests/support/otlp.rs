//! An OTLP receiver in a thread of the test, whose sink shows what came in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use otlet::codec::grpc::{Code, Status};
use otlet::net;
use otlet::observe::{Budget, Registry};
use otlet::receive::otlp::{Answer, Config, Encoding, Export, Otlp, Signal, Signals};

use super::SOON;

pub const BODY_BYTES_MAX: usize = 16 << 20;

/// What was exported: signal, encoding and decompressed body.
pub type Exported = (Signal, Encoding, Vec<u8>);

/// A running receiver; it stops with this value.
pub struct OtlpReceiver {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    exported: Receiver<Exported>,
    should_stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The sink refuses bodies that begin with `later` (for 1 s) and `bad`, and takes part of `partly`.
fn judge(body: &[u8]) -> Answer {
    if body.starts_with(b"later") {
        let retry_after = Some(Duration::from_secs(1));
        return Answer::Refused(Status { retry_after, ..Status::new(Code::Unavailable, "full") });
    }
    if body.starts_with(b"bad") {
        return Answer::Refused(Status::new(Code::InvalidArgument, "wei\u{df} nicht"));
    }
    match body.starts_with(b"partly") {
        true => Answer::Taken { rejected: 1, message: "too old".to_owned() },
        false => Answer::taken(),
    }
}

impl OtlpReceiver {
    /// Starts one for all signals, with this much memory.
    pub fn start(budget_bytes: u64) -> OtlpReceiver {
        let (told, addresses) = channel();
        let (send, exported) = channel();
        let should_stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&should_stop);
        let thread = std::thread::spawn(move || {
            net::run(async {
                let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
                let (grpc, http, cors) = (any, any, Vec::new());
                let config = Config { grpc, http, body_bytes_max: BODY_BYTES_MAX, cors };
                let signals = Signals { metrics: true, traces: true, logs: true };
                let (registry, budget) = (Registry::new(), Budget::new(budget_bytes));
                let sink = async move |export: Export| {
                    let answer = judge(&export.body);
                    // Fails when the test has ended: then nobody looks.
                    let _ = send.send((export.signal, export.encoding, export.body));
                    answer
                };
                let otlp = Otlp::open(&config, signals, &registry, &budget, sink).unwrap();
                told.send(otlp.addresses()).unwrap();
                let stop = net::Notify::default();
                let task = net::spawn(otlp.run(stop.clone()));
                while !asked.load(Ordering::Relaxed) {
                    net::sleep(Duration::from_millis(5)).await;
                }
                stop.notify();
                task.await;
            });
        });
        let (grpc, http) = addresses.recv_timeout(SOON).unwrap();
        let (grpc, http) = (grpc.unwrap(), http.unwrap());
        OtlpReceiver { grpc, http, exported, should_stop, thread: Some(thread) }
    }

    /// The next export, waited for.
    #[track_caller]
    pub fn next(&self) -> Exported {
        self.exported.recv_timeout(SOON).expect("an export")
    }

    /// As [`OtlpReceiver::next`], for those who do not mind.
    pub fn next_or_none(&self) -> Option<Exported> {
        self.exported.recv_timeout(SOON).ok()
    }

    /// What has been exported and not looked at.
    pub fn rest(&self) -> Vec<Exported> {
        self.exported.try_iter().collect()
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.should_stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A field of a protobuf message.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// A request of traces with a span of that name.
pub fn span(name: &str) -> Vec<u8> {
    let ids = [field(1, &[1; 16]), field(2, &[2; 8])].concat();
    let span = [ids, field(5, name.as_bytes())].concat();
    field(1, &field(2, &field(2, &span)))
}

/// Posts to otlet; the status.
pub fn post(address: SocketAddr, signal: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).expect("otlet");
    let head = format!(
        "POST /v1/{signal} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}
