//! Servers that do as they are told: send these bytes, stall, drip, reset, or answer HTTP.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http::Message;

/// Accepts on a loopback port and gives each connection, with its number, to a thread.
pub struct Server {
    pub address: SocketAddr,
    stopped: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    pub fn start(
        serve: impl Fn(TcpStream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    /// On a listener of the caller's, to come back on an address that was there before.
    pub fn start_on(
        listener: TcpListener,
        serve: impl Fn(TcpStream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let address = listener.local_addr().unwrap();
        let (stopped, streams) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let server =
            Server { address, stopped: Arc::clone(&stopped), streams: Arc::clone(&streams) };
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { continue };
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                streams.lock().unwrap().extend(stream.try_clone());
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    // An error is the peer's doing: it went away, which some tests want.
                    let _ = serve(stream.try_clone().unwrap(), number);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.streams.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the accepting thread
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// One thing a scripted connection does.
#[derive(Clone)]
pub enum Step {
    /// Reads one request, head and body.
    Request,
    Send(Vec<u8>),
    /// Sends the bytes one by one, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends the bytes again and again until the peer has had enough or so many were sent.
    Flood(Vec<u8>, u64),
    /// Does nothing until the peer closes.
    Stall,
    /// Ends with RST instead of FIN.
    Reset,
}

/// A server whose n-th connection plays the n-th script; the last one plays for all others.
pub fn scripted(scripts: Vec<Vec<Step>>) -> Server {
    Server::start(move |stream, number| play(&stream, &scripts[number.min(scripts.len() - 1)]))
}

fn play(stream: &TcpStream, steps: &[Step]) -> io::Result<()> {
    let (mut input, mut output) = (BufReader::new(stream), stream);
    for step in steps {
        match step {
            Step::Request => drop(Message::read(&mut input)?),
            Step::Send(bytes) => output.write_all(bytes)?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    output.write_all(&[*byte])?;
                    thread::sleep(*pause);
                }
            }
            Step::Flood(bytes, bytes_max) => {
                for _ in 0..bytes_max / bytes.len() as u64 {
                    output.write_all(bytes)?;
                }
            }
            Step::Stall => drop(io::copy(&mut input.by_ref(), &mut io::sink())?),
            Step::Reset => reset(stream)?,
        }
    }
    Ok(())
}

/// With a linger time of zero, disconnecting sends RST (socket(7), SO_LINGER; connect(2)).
fn reset(stream: &TcpStream) -> io::Result<()> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    // Others hold clones of the socket; connecting to "nowhere" closes the connection under them.
    Ok(rustix::net::connect_unspec(stream)?)
}

/// What an HTTP server answers, and what it was asked.
#[derive(Default)]
pub struct Exchange {
    /// Given out one by one; after the last, `otherwise`.
    pub next: VecDeque<Answer>,
    pub otherwise: Answer,
    pub requests: Vec<Message>,
}

/// One answer.
#[derive(Clone, Default)]
pub enum Answer {
    #[default]
    NoContent,
    Response(Message),
    /// Closes the connection without an answer.
    Close,
    Reset,
    /// Never answers.
    Hang,
}

/// An HTTP/1.1 server with keep-alive.
pub struct HttpServer {
    pub server: Server,
    exchange: Arc<Mutex<Exchange>>,
}

impl HttpServer {
    /// Answers everything with `otherwise`, until told something else.
    pub fn start(otherwise: Answer) -> HttpServer {
        HttpServer::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), otherwise)
    }

    pub fn start_on(listener: TcpListener, otherwise: Answer) -> HttpServer {
        let exchange = Arc::new(Mutex::new(Exchange { otherwise, ..Exchange::default() }));
        let shared = Arc::clone(&exchange);
        let server = Server::start_on(listener, move |stream, _| converse(&stream, &shared));
        HttpServer { server, exchange }
    }

    /// A page of metrics in text format 0.0.4.
    pub fn page(text: &str) -> HttpServer {
        HttpServer::start(page(text))
    }

    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Answers the next requests, in this order.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.exchange.lock().unwrap().next.extend(answers);
    }

    /// Answers all others from here on.
    pub fn otherwise(&self, answer: Answer) {
        self.exchange.lock().unwrap().otherwise = answer;
    }

    pub fn requests(&self) -> Vec<Message> {
        self.exchange.lock().unwrap().requests.clone()
    }

    #[track_caller]
    pub fn wait_requests(&self, count: usize) -> Vec<Message> {
        let what = format!("{count} requests");
        super::wait_for(&what, || Some(self.requests()).filter(|all| all.len() >= count))
    }
}

/// The answer that is a page of metrics.
pub fn page(text: &str) -> Answer {
    let response = Message::response(200, text);
    Answer::Response(response.with("content-type", "text/plain; version=0.0.4; charset=utf-8"))
}

fn converse(stream: &TcpStream, exchange: &Mutex<Exchange>) -> io::Result<()> {
    let (mut input, mut output) = (BufReader::new(stream), stream);
    while let Some(request) = Message::read(&mut input)? {
        let is_last = request.header("connection") == Some("close");
        let answer = {
            let mut exchange = exchange.lock().unwrap();
            exchange.requests.push(request);
            exchange.next.pop_front().unwrap_or_else(|| exchange.otherwise.clone())
        };
        match answer {
            Answer::NoContent => output.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?,
            Answer::Response(response) => response.write(&mut output)?,
            Answer::Close => break,
            Answer::Reset => return reset(stream),
            Answer::Hang => drop(io::copy(&mut input, &mut io::sink())?),
        }
        if is_last {
            break;
        }
    }
    Ok(())
}
