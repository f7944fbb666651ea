//! One name asked of the servers in order: UDP first, TCP where the answer is truncated.
//!
//! Each query has its own random id and its own connected socket, hence a random port that hears
//! its server alone. A server that is silent or fails is followed by the next; rounds are repeated
//! only while somebody was silent. EDNS is offered in the first round; a server that does not know
//! it is asked again at once without, and later rounds do without, for middleboxes that swallow it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use async_io::Async;
use domain::base::iana::Rcode;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::message::{Family, FullName, Query, Reply};
use super::resolv_conf::ResolvConf;
use crate::net::timeout;

/// Receive buffer; no server sends more than was offered.
const UDP_BYTES_MAX: usize = 4096;
/// Longest answer taken over TCP, a thousand addresses; a longer one fails that server.
pub(super) const TCP_BYTES_MAX: usize = 16_384;
/// Datagrams that are not ours, per query; a server that sends more counts as failed.
const STRANGERS_MAX: usize = 64;

/// The servers' common answer for one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Addresses {
        addresses: Vec<IpAddr>,
        ttl_s: u32,
    },
    /// Who said that there are none.
    NoData(SocketAddr),
    NoSuchName(SocketAddr),
    /// What each server did; `silent` if one of them did not answer at all.
    Failed {
        words: String,
        silent: bool,
    },
}

/// Asks `conf`'s servers for the addresses of the full name `name`.
pub async fn ask(conf: &ResolvConf, name: &FullName, family: Family) -> Outcome {
    let mut words = String::new();
    let mut silent = false;
    for attempt in 0..conf.attempts {
        words.clear();
        silent = false;
        for server in &conf.servers {
            let exchange = exchange(*server, name, family, attempt == 0);
            let failure = match timeout(Duration::from_secs(conf.timeout_s), exchange).await {
                Ok(Ok(Reply::Addresses { addresses, ttl_s })) => {
                    return Outcome::Addresses { addresses, ttl_s };
                }
                Ok(Ok(Reply::NoData)) => return Outcome::NoData(*server),
                Ok(Ok(Reply::NoSuchName)) => return Outcome::NoSuchName(*server),
                Ok(Ok(Reply::Refused(code))) => code.to_string(),
                Ok(Ok(Reply::Malformed | Reply::Truncated)) => "malformed answer".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    silent = true;
                    format!("no answer in {} s", conf.timeout_s)
                }
            };
            let separator = if words.is_empty() { "" } else { ", " };
            words.push_str(&format!("{separator}{failure} from {}", show(*server)));
        }
        if !silent {
            break;
        }
    }
    Outcome::Failed { words, silent }
}

/// A server for a message: without the port that all of them have.
pub fn show(server: SocketAddr) -> String {
    match server.port() {
        53 => server.ip().to_string(),
        _ => server.to_string(),
    }
}

async fn exchange(
    server: SocketAddr,
    name: &FullName,
    family: Family,
    edns: bool,
) -> io::Result<Reply> {
    match over_udp(server, &fresh(name, family)?, edns).await? {
        Reply::Truncated => over_tcp(server, &fresh(name, family)?, edns).await,
        Reply::Refused(Rcode::FORMERR | Rcode::NOTIMP) if edns => {
            match over_udp(server, &fresh(name, family)?, false).await? {
                Reply::Truncated => over_tcp(server, &fresh(name, family)?, false).await,
                reply => Ok(reply),
            }
        }
        reply => Ok(reply),
    }
}

/// A query under an id that nobody can guess (RFC 5452 §9.2).
fn fresh(name: &FullName, family: Family) -> io::Result<Query> {
    let mut id = [0; 2];
    let taken = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    if taken < id.len() {
        return Err(io::Error::other("the system has no random numbers"));
    }
    Ok(Query { id: u16::from_ne_bytes(id), name: name.clone(), family })
}

async fn over_udp(server: SocketAddr, query: &Query, edns: bool) -> io::Result<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = Async::<UdpSocket>::bind(SocketAddr::new(any, 0))?;
    socket.get_ref().connect(server)?;
    socket.send(&query.encode(edns).map_err(io::Error::other)?).await?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    for _ in 0..STRANGERS_MAX {
        let len = socket.recv(&mut buffer).await?;
        if let Some(reply) = query.parse(&buffer[..len]) {
            return Ok(reply);
        }
    }
    Err(io::Error::other("answers to questions never asked"))
}

/// Framing: two bytes of length before each message (RFC 1035 §4.2.2).
async fn over_tcp(server: SocketAddr, query: &Query, edns: bool) -> io::Result<Reply> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    let message = query.encode(edns).map_err(io::Error::other)?;
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    stream.write_all(&framed).await?;
    let mut len = [0; 2];
    stream.read_exact(&mut len).await?;
    let len = usize::from(u16::from_be_bytes(len));
    if len > TCP_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {len} bytes")));
    }
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).await?;
    query.parse(&answer).ok_or_else(|| io::Error::other("an answer to another question"))
}
