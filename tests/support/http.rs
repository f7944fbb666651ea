//! HTTP/1.1 as small as tests need it, on blocking sockets (RFC 9112).
//!
//! Bodies are delimited by Content-Length, chunks or the end of the connection. No redirects, no
//! pooling; a message that is not HTTP is an `io::Error`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A request or a response: `start` is its first line.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub start: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// A response of that status with a body.
    pub fn response(status: u16, body: impl Into<Vec<u8>>) -> Message {
        Message { start: format!("HTTP/1.1 {status} -"), headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Message {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or("")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads one message; `None` at the end of the connection.
    pub fn read(input: &mut impl BufRead) -> io::Result<Option<Message>> {
        let Some(start) = read_line(input)? else { return Ok(None) };
        let mut message = Message { start, ..Message::default() };
        while let Some(line) = read_line(input)?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
            message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        message.body = message.read_body(input)?;
        Ok(Some(message))
    }

    fn read_body(&self, input: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            let length: u64 = length.parse().map_err(|_| bad(length))?;
            input.take(length).read_to_end(&mut body)?;
        } else if self.header("transfer-encoding").is_some() {
            loop {
                let line = read_line(input)?.unwrap_or_default();
                let size = u64::from_str_radix(&line, 16).map_err(|_| bad(&line))?;
                input.take(size).read_to_end(&mut body)?;
                read_line(input)?;
                if size == 0 {
                    break;
                }
            }
        } else if self.start.starts_with("HTTP/") && ![204, 304].contains(&self.status()) {
            input.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// Writes the message with its Content-Length, unless its headers say otherwise.
    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut head = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.header("content-length").is_none() && self.header("transfer-encoding").is_none() {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        output.write_all(&[head.as_bytes(), b"\r\n", &self.body].concat())
    }
}

/// Asks once, on a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> io::Result<Message> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(super::SOON))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    (&stream).write_all(request.as_bytes())?;
    Message::read(&mut BufReader::new(&stream))?.ok_or_else(|| bad("an empty answer"))
}

/// Posts a body on a connection of its own.
pub fn post(address: SocketAddr, target: &str, media: &str, body: &[u8]) -> io::Result<Message> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(super::SOON))?;
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: {media}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (&stream).write_all(&[head.as_bytes(), body].concat())?;
    Message::read(&mut BufReader::new(&stream))?.ok_or_else(|| bad("an empty answer"))
}

/// Percent-encodes one query value (RFC 3986, section 2.1).
pub fn encode(value: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|b| if keep(b) { char::from(b).into() } else { format!("%{b:02X}") })
        .collect()
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}
