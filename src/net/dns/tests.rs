//! The resolver against small hostile servers on loopback.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;

use super::*;
use crate::net::run;

/// A name server on a thread: each datagram is given to `answer`, which tells what to send.
fn server(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            for datagram in answer(&buffer[..len]) {
                let _ = socket.send_to(&datagram, from);
            }
        }
    });
    address
}

/// Where the question ends: header, name, type, class.
fn question_end(query: &[u8]) -> usize {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    12 + name + 5
}

fn is_v4(query: &[u8]) -> bool {
    query[question_end(query) - 3] == 1
}

/// A reply without EDNS: `code`, and one A record if `address` is given.
fn reply(query: &[u8], code: u8, address: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = query[..question_end(query)].to_vec();
    out[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
    if let Some(address) = address {
        out[7] = 1;
        out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        out.extend_from_slice(&address);
    }
    out
}

/// 10.0.0.1 for A, nothing for AAAA.
fn good(query: &[u8]) -> Vec<u8> {
    reply(query, 0, is_v4(query).then_some([10, 0, 0, 1]))
}

struct Setting {
    folder: PathBuf,
    resolver: Resolver,
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn setting(servers: &[SocketAddr], options: &str) -> Setting {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("otlet-dns-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut conf = format!("{options}\noptions timeout:1 attempts:1\n");
    for server in servers {
        conf.push_str(&format!("nameserver {} {}\n", server.ip(), server.port()));
    }
    std::fs::write(folder.join("resolv.conf"), conf).unwrap();
    std::fs::write(folder.join("hosts"), "10.9.9.9 fixed\n").unwrap();
    let resolver = Resolver::with_files(folder.join("hosts"), folder.join("resolv.conf"));
    Setting { folder, resolver }
}

fn resolve(setting: &Setting, host: &str) -> String {
    match run(setting.resolver.resolve(host)) {
        Ok(addresses) => addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(" "),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

#[test]
fn what_is_known_is_not_asked() {
    let setting = setting(&[server(|_| panic!("asked"))], "");
    assert_eq!(resolve(&setting, "10.0.0.9"), "10.0.0.9");
    assert_eq!(resolve(&setting, "localhost"), "127.0.0.1 ::1");
    assert_eq!(resolve(&setting, "FIXED"), "10.9.9.9");
    assert_eq!(
        resolve(&setting, "a b"),
        "InvalidInput: only letters, digits, '-', '_' and '.' \
         make a host name"
    );
}

#[test]
fn forged_answers_are_passed_over() {
    let forging = server(|query| {
        let mut wrong_id = reply(query, 0, Some([6, 6, 6, 6]));
        wrong_id[0] ^= 1;
        let mut wrong_name = reply(query, 0, Some([6, 6, 6, 6]));
        wrong_name[13] ^= 1;
        vec![wrong_id, wrong_name, b"garbage".to_vec(), Vec::new(), good(query)]
    });
    assert_eq!(resolve(&setting(&[forging], ""), "a.b"), "10.0.0.1");
}

#[test]
fn an_answer_from_another_port_is_not_heard() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let forged = reply(&buffer[..len], 0, Some([6, 6, 6, 6]));
            stranger.send_to(&forged, from).unwrap();
            socket.send_to(&good(&buffer[..len]), from).unwrap();
        }
    });
    assert_eq!(resolve(&setting(&[address], ""), "a.b"), "10.0.0.1");
}

#[test]
fn a_flood_of_strangers_ends() {
    let flood = server(|_| vec![b"garbage".to_vec(); 80]);
    let text = resolve(&setting(&[flood], ""), "a.b");
    assert_eq!(text, format!("Other: answers to questions never asked from {flood}"));
}

#[test]
fn the_next_server_follows_a_silent_a_failing_and_an_absent_one() {
    let silent = server(|_| Vec::new());
    let failing = server(|query| vec![reply(query, 2, None)]);
    let absent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let last = server(|query| vec![good(query)]);
    for first in [silent, failing, absent] {
        assert_eq!(resolve(&setting(&[first, last], ""), "a.b"), "10.0.0.1");
    }
    assert_eq!(
        resolve(&setting(&[failing, silent], ""), "a.b"),
        format!("TimedOut: SERVFAIL from {failing}, no answer in 1 s from {silent}")
    );
}

#[test]
fn one_family_is_enough() {
    let refusing =
        server(|query| vec![if is_v4(query) { good(query) } else { reply(query, 5, None) }]);
    assert_eq!(resolve(&setting(&[refusing], ""), "a.b"), "10.0.0.1");
    let half_silent = server(|query| if is_v4(query) { vec![good(query)] } else { Vec::new() });
    let start = Instant::now();
    assert_eq!(resolve(&setting(&[half_silent], ""), "a.b"), "10.0.0.1");
    let took = start.elapsed().as_millis();
    assert!((450..950).contains(&took), "{took} ms");
}

#[test]
fn a_server_without_edns_is_asked_again() {
    let old = server(|query| {
        let has_edns = query.len() > question_end(query);
        vec![if has_edns { reply(query, 1, None) } else { good(query) }]
    });
    assert_eq!(resolve(&setting(&[old], ""), "a.b"), "10.0.0.1");
}

#[test]
fn absence_and_presence_are_kept() {
    let (count, counted) = std::sync::mpsc::channel();
    let counting = server(move |query| {
        count.send(()).unwrap();
        let known = query[13] == b'a';
        vec![if known { good(query) } else { reply(query, 3, None) }]
    });
    let setting = setting(&[counting], "");
    for _ in 0..3 {
        assert_eq!(resolve(&setting, "a.b"), "10.0.0.1");
        let expected = format!("NotFound: no such name (NXDOMAIN from {counting})");
        assert_eq!(resolve(&setting, "c.b"), expected);
    }
    assert_eq!(counted.try_iter().count(), 4);
}

#[test]
fn the_search_list_is_tried() {
    let searched = server(|query| {
        // 1 a 6 domain: only found below the second search domain.
        let found = query[14..].starts_with(b"\x06second");
        vec![if found { good(query) } else { reply(query, 3, None) }]
    });
    let setting = setting(&[searched], "search first second");
    assert_eq!(resolve(&setting, "a"), "10.0.0.1");
    assert!(resolve(&setting, "a.").contains("no such name"));
}

#[test]
fn the_loop_runs_on_while_a_server_is_silent() {
    let setting = setting(&[server(|_| Vec::new())], "");
    let ticks = Rc::new(Cell::new(0));
    let counted = Rc::clone(&ticks);
    run(async {
        let task = crate::net::spawn(async move {
            loop {
                crate::net::sleep(Duration::from_millis(50)).await;
                counted.set(counted.get() + 1);
            }
        });
        assert!(setting.resolver.resolve("a.b").await.is_err());
        task.cancel().await;
    });
    assert!(ticks.get() > 5, "{}", ticks.get());
}

/// A name server that says over UDP to ask over TCP, and answers there with so many bytes.
fn long_winded(bytes: usize) -> SocketAddr {
    let (tcp, udp) = std::iter::repeat_with(|| {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        (UdpSocket::bind(tcp.local_addr().unwrap()), tcp)
    })
    .find_map(|(udp, tcp)| Some((tcp, udp.ok()?)))
    .unwrap();
    let address = tcp.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = udp.recv_from(&mut buffer) {
            let mut truncated = reply(&buffer[..len], 0, None);
            truncated[2] |= 2;
            let _ = udp.send_to(&truncated, from);
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let (mut len, mut query) = ([0; 2], [0; 512]);
            stream.read_exact(&mut len).unwrap();
            let query = &mut query[..usize::from(u16::from_be_bytes(len))];
            stream.read_exact(query).unwrap();
            let mut answer = good(query);
            answer.resize(bytes, 0);
            let _ = stream.write_all(&(bytes as u16).to_be_bytes());
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[test]
fn an_answer_over_tcp_is_bounded() {
    let longest = setting(&[long_winded(query::TCP_BYTES_MAX)], "");
    assert_eq!(resolve(&longest, "a.b"), "10.0.0.1");
    let address = long_winded(query::TCP_BYTES_MAX + 1);
    let told = resolve(&setting(&[address], ""), "a.b");
    assert_eq!(told, format!("Other: an answer of 16385 bytes from {address}"));
}
