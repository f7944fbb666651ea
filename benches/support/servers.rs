//! A target and a remote-write receiver on loopback, each a plain blocking thread.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;

use super::page::page;

/// Serves the page, another tick for every request.
pub fn target(series: usize) -> SocketAddr {
    // Made before anything is measured: what it costs to make is not the collector's.
    let pages: Vec<String> = (0..8).map(|tick| answer(&page(series, tick))).collect();
    let pages = Arc::new(pages);
    serve(move |mut stream| {
        let mut ticks = 0_usize;
        let mut request = Vec::new();
        while head(&mut stream, &mut request) {
            let page = &pages[ticks % pages.len()];
            ticks += 1;
            request.clear();
            if stream.write_all(page.as_bytes()).is_err() {
                break;
            }
        }
    })
}

fn answer(page: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n\
         {page}",
        page.len()
    )
}

/// What a receiver was sent.
#[derive(Default)]
pub struct Received {
    pub requests: AtomicU64,
    pub body_bytes: AtomicU64,
    pub samples: AtomicU64,
}

/// Accepts every request and counts its samples.
pub fn receiver() -> (SocketAddr, Arc<Received>) {
    let received = Arc::new(Received::default());
    let counts = Arc::clone(&received);
    let address = serve(move |mut stream| {
        let mut request = Vec::new();
        while head(&mut stream, &mut request) {
            let Some(body) = body(&mut stream, &mut request) else { break };
            counts.requests.fetch_add(1, Ordering::Relaxed);
            counts.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            counts.samples.fetch_add(samples(&body), Ordering::Relaxed);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                break;
            }
        }
    });
    (address, received)
}

/// Time series in a request; each has one sample.
fn samples(body: &[u8]) -> u64 {
    let raw = snap::raw::Decoder::new().decompress_vec(body).unwrap_or_default();
    let (mut at, mut count) = (0, 0);
    while at < raw.len() {
        count += u64::from(raw[at] == 0x0a);
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            length |= usize::from(raw[at] & 0x7f) << shift;
            shift += 7;
            if raw[at] < 0x80 {
                break;
            }
        }
        at += 1 + length;
    }
    count
}

fn serve(connection: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address");
    let connection = Arc::new(connection);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = Arc::clone(&connection);
            thread::spawn(move || connection(stream));
        }
    });
    address
}

/// Reads up to the end of a request head; what came after it stays in `buffer` behind it.
fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    while head_end(buffer).is_none() {
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return false,
            Ok(read) => buffer.extend_from_slice(&piece[..read]),
        }
    }
    true
}

fn head_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|at| at == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads the body after a complete head and takes both out of `buffer`.
fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = head_end(buffer)?;
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let length: usize = length.trim().parse().ok()?;
    while buffer.len() < end + length {
        let mut piece = [0; 64 * 1024];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => buffer.extend_from_slice(&piece[..read]),
        }
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(body)
}
