//! The health check client: asks a running collector, blocking, in one process of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A healthy collector answers within this time.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The status line is all that is read of an answer, and it is short.
const STATUS_LINE_BYTES_MAX: usize = 64;

/// Asks `address`; the error says what came instead of a healthy answer.
pub fn is_healthy(address: SocketAddr) -> Result<(), String> {
    let status = ask(address).map_err(|error| format!("health check of {address}: {error}"))?;
    match status.as_str() {
        "200" => Ok(()),
        other => Err(format!("health check of {address}: status {other}")),
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let deadline = Instant::now() + ANSWER_MAX;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    // In one piece: a server that answers the first must not find another behind it.
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut line, mut filled) = ([0; STATUS_LINE_BYTES_MAX], 0);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut line[filled..])?;
        filled += read;
        let text = String::from_utf8_lossy(&line[..filled]).into_owned();
        let mut words = text.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HTTP/1.1" | "HTTP/1.0"), Some(status), Some(_)) => return Ok(status.to_owned()),
            _ if read > 0 && filled < line.len() => {}
            _ => return Err(io::Error::other("not an HTTP answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Asks a server that says `answer` and then closes or stays open.
    fn asked(answer: &'static str, stay_open: bool) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
            if stay_open {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let result = is_healthy(address);
        server.join().unwrap();
        result
    }

    #[test]
    fn healthy_is_status_200_only() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\n", false), Ok(()));
        for bad in ["HTTP/1.1 503 Service Unavailable\r\n", "", "nonsense", "HTTP/1.1 20"] {
            assert!(asked(bad, false).is_err(), "{bad}");
        }
        let long = "x".repeat(10_000).leak();
        assert!(asked(long, false).is_err());
        assert!(asked("HTTP/1.1", true).unwrap_err().contains("health check of 127.0.0.1:"));
    }

    #[test]
    fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(is_healthy(address).is_err());
    }
}
