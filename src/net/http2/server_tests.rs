//! Tests of the server's limits and of its end, with raw sockets over loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::net::http2::client::tests::server;
use crate::net::{run, sleep};

const DEADLINE: Duration = Duration::from_secs(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Empty SETTINGS, and its acknowledgement.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
const GOAWAY: u8 = 7;
const RST_STREAM: u8 = 3;

/// HEADERS of `POST /` (static table of RFC 7541, appendix A), the stream left open.
fn headers(stream: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 7, 1, 4];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[0x83, 0x86, 0x84, 0x41, 2, b'a', b'b']);
    frame
}

/// SETTINGS with one entry.
fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 6, 4, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&value.to_be_bytes());
    frame
}

/// The types of the frames in `bytes`, and the error code of the last GOAWAY or RST_STREAM.
fn frames(mut bytes: &[u8]) -> (Vec<u8>, Option<u8>) {
    let (mut types, mut code) = (Vec::new(), None);
    while bytes.len() >= 9 {
        let len = usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        types.push(bytes[3]);
        if matches!(bytes[3], GOAWAY | RST_STREAM) {
            let at = if bytes[3] == GOAWAY { 9 + 7 } else { 9 + 3 };
            code = Some(bytes[at]);
        }
        bytes = &bytes[9 + len..];
    }
    (types, code)
}

async fn answer(_: Head, mut call: Call) {
    while let Ok(Some(_)) = call.read().await {}
    call.answer(Answer { status: 200, body: b"fine".to_vec(), ..Answer::default() });
}

fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Serves while `client` runs on a thread of its own; stops when that sends something.
fn with_server(
    server: Server,
    client: impl FnOnce(SocketAddr, std::sync::mpsc::Sender<()>) + Send + 'static,
) {
    run(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let addr = listener.local_addr();
        let (stop, connections) = (Notify::default(), server.connections.clone());
        let task = spawn(serve_until(listener, server, stop.clone(), answer));
        let (told, asked) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || client(addr, told));
        let finished = async {
            while !thread.is_finished() {
                if asked.try_recv().is_ok() {
                    stop.notify();
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, finished).await.expect("in time");
        drop(task);
        thread.join().expect("client");
        let closed = async {
            while connections.get() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, closed).await.expect("all connections end with the server");
    });
}

fn read_all(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end too: what came before it counts.
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

fn impatient() -> Server {
    let waits = Waits { handshake_ms_max: 50, idle_ms_max: 50, stall_ms_max: 50, drain_ms_max: 50 };
    Server { waits, ..server() }
}

#[test]
fn silent_and_foreign_clients_are_closed() {
    let server = impatient();
    let faulty = server.faulty.clone();
    with_server(server, |addr, _| {
        assert_eq!(frames(&read_all(connect(addr))).0, [4]);
        let mut foreign = connect(addr);
        foreign.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        read_all(foreign);
    });
    assert_eq!(faulty.get(), 2);
}

#[test]
fn an_idle_connection_gets_a_goaway() {
    let server = impatient();
    let connections = server.connections.clone();
    with_server(server, |addr, _| {
        let mut socket = connect(addr);
        socket.write_all(&[PREFACE, SETTINGS, SETTINGS_ACK].concat()).unwrap();
        let (types, code) = frames(&read_all(socket));
        assert_eq!((types.contains(&GOAWAY), code), (true, Some(0)), "{types:?}");
    });
    assert_eq!(connections.get(), 0);
}

#[test]
fn a_peer_that_does_not_take_its_answers_is_closed() {
    let server = impatient();
    let faulty = server.faulty.clone();
    with_server(server, |addr, _| {
        let mut socket = connect(addr);
        let end = [0, 0, 0, 0, 1, 0, 0, 0, 1];
        let bytes = [PREFACE, &setting(4, 0), SETTINGS_ACK, &headers(1), &end].concat();
        socket.write_all(&bytes).unwrap();
        let (types, _) = frames(&read_all(socket));
        assert!(!types.contains(&0), "no window, no data: {types:?}");
    });
    assert_eq!(faulty.get(), 1);
}

#[test]
fn a_call_under_way_is_answered_when_the_server_stops() {
    with_server(server(), |addr, stop| {
        let mut socket = connect(addr);
        socket.write_all(&[PREFACE, SETTINGS, SETTINGS_ACK, &headers(1)].concat()).unwrap();
        let mut bytes = Vec::new();
        let mut read_until = |socket: &mut TcpStream, wanted: u8| {
            while !frames_so_far(&bytes).contains(&wanted) {
                let mut buffer = [0; 1000];
                let count = socket.read(&mut buffer).unwrap();
                assert!(count > 0, "closed before frame {wanted}: {bytes:?}");
                bytes.extend_from_slice(&buffer[..count]);
            }
            bytes.clone()
        };
        read_until(&mut socket, 4);
        stop.send(()).unwrap();
        let so_far = read_until(&mut socket, GOAWAY);
        // h2 learns by a ping that the peer has seen its GOAWAY.
        let ping = read_until(&mut socket, 6);
        let at = ping.windows(5).position(|part| part == [0, 0, 8, 6, 0]).unwrap();
        let mut pong = ping[at..at + 17].to_vec();
        pong[4] = 1;
        assert!(!frames_so_far(&so_far).contains(&0));
        socket.write_all(&[&pong[..], &[0, 0, 1, 0, 1, 0, 0, 0, 1, b'x']].concat()).unwrap();
        let rest = read_all(socket);
        assert!(rest.ends_with(b"fine"), "{rest:?}");
        assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
    });
}

/// As [`frames`], for bytes that may end within a frame.
fn frames_so_far(bytes: &[u8]) -> Vec<u8> {
    let mut end = 0;
    while bytes.len() >= end + 9 {
        let next = end + 9 + (usize::from(bytes[end + 1]) << 8 | usize::from(bytes[end + 2]));
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    frames(&bytes[..end]).0
}

#[test]
fn calls_of_a_connection_are_bounded() {
    with_server(server(), |addr, _| {
        let mut socket = open(addr, false);
        let calls: Vec<u8> = (0..=STREAMS_MAX).flat_map(|n| headers(n * 2 + 1)).collect();
        socket.write_all(&calls).unwrap();
        let mut frame = [0; 13];
        socket.read_exact(&mut frame).unwrap();
        // REFUSED_STREAM for the last, which may be tried again (RFC 9113 §8.7).
        let last = STREAMS_MAX as u8 * 2 + 1;
        assert_eq!(frame, [0, 0, 4, RST_STREAM, 0, 0, 0, 0, last, 0, 0, 0, 7]);
    });
}

#[test]
fn header_lists_are_bounded() {
    with_server(server(), |addr, _| {
        let mut socket = open(addr, false);
        // Literals without indexing, name "a", value "b": 34 bytes each as they are counted.
        let fits = (HEADER_LIST_BYTES_MAX / 34 - 6) as usize;
        for (stream, count) in [(1, fits), (3, fits + 6)] {
            let mut frame = headers(stream);
            frame.extend_from_slice(&[0, 1, b'a', 1, b'b'].repeat(count));
            let [_, a, b, c] = (frame.len() as u32 - 9).to_be_bytes();
            frame[..3].copy_from_slice(&[a, b, c]);
            socket.write_all(&frame).unwrap();
        }
        let mut frame = [0; 10];
        socket.read_exact(&mut frame).unwrap();
        // The second is answered at once, by h2 itself, with HEADERS.
        assert_eq!((frame[3], frame[8]), (1, 3), "{frame:?}");
        socket.read_exact(&mut vec![0; usize::from(frame[2]) - 1]).unwrap();
        socket.write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 1]).unwrap();
        socket.read_exact(&mut frame).unwrap();
        // RST_STREAM may follow the refusal; then the first is answered.
        if frame[3] == RST_STREAM {
            socket.read_exact(&mut [0; 3]).unwrap();
            socket.read_exact(&mut frame).unwrap();
        }
        assert_eq!((frame[3], frame[8]), (1, 1), "{frame:?}");
    });
}

/// A connection, once the server is known to have seen whether a call is under way.
fn open(addr: SocketAddr, is_busy: bool) -> TcpStream {
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut socket = connect(addr);
    let call = if is_busy { headers(1) } else { Vec::new() };
    socket.write_all(&[PREFACE, SETTINGS, SETTINGS_ACK, &call, &PING].concat()).unwrap();
    let mut bytes = Vec::new();
    while !frames_so_far(&bytes).contains(&6) {
        let mut buffer = [0; 1000];
        let count = socket.read(&mut buffer).unwrap();
        assert!(count > 0, "closed: {bytes:?}");
        bytes.extend_from_slice(&buffer[..count]);
    }
    socket
}

/// Idle connections give way to others, busy ones do not.
fn at_most(count_max: usize, server: Server) {
    let (refused, budget) = (server.refused.clone(), Rc::clone(&server.budget));
    with_server(server, move |addr, _| {
        let mut idle: Vec<TcpStream> = (0..=count_max).map(|_| open(addr, false)).collect();
        read_all(idle.remove(0));
        let busy: Vec<TcpStream> = (0..count_max).map(|_| open(addr, true)).collect();
        idle.into_iter().for_each(|given_way| drop(read_all(given_way)));
        assert_eq!(read_all(connect(addr)), b"");
        drop(busy);
    });
    assert_eq!((refused.get(), budget.bytes_used()), (1, 0));
}

#[test]
fn connections_are_bounded_in_number() {
    at_most(CONNECTIONS_MAX, Server { budget: Budget::new(1 << 30), ..server() });
}

#[test]
fn connections_are_bounded_in_bytes() {
    at_most(3, Server { budget: Budget::new(4 * CONNECTION_BYTES - 1), ..server() });
}
