//! From an address to an established connection: name, TCP, proxy, TLS.
//!
//! Names are resolved for each connection, so that a moved service is found. Addresses are tried
//! one after another, families alternating, each with its share of the time, so that one dead
//! address does not use it up. A proxy (`proxy=http://…`) gets CONNECT for `https` and the absolute
//! form for `http` (RFC 9110 §9.3.6, RFC 9112 §3.2.2); it resolves the names then.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::Async;

use super::dns::Resolver;
use super::http1::head::{head_len, ResponseHead};
use super::socket::Socket;
use super::tls::{self, Tls};
use super::url::{Scheme, Url};
use super::{timeout, ClientConfig, Error, ErrorKind, Stream};

/// For all addresses of a name together.
const CONNECT_MS_MAX: u64 = 10_000;

/// The least time one address gets, however many there are.
const ADDRESS_MS_MIN: u64 = 2_000;

/// Addresses tried; the rest of the list is ignored.
const ADDRESSES_MAX: usize = 6;

/// For the TLS handshake, and for the proxy's answer to CONNECT.
const HANDSHAKE_MS_MAX: u64 = 10_000;

/// Longest answer of a proxy to CONNECT.
const PROXY_HEAD_BYTES_MAX: usize = 4096;

/// What went wrong on the way to an endpoint that the caller names.
type Failure = (ErrorKind, String);

/// Makes connections to one endpoint.
pub struct Connector {
    url: Url,
    proxy: Option<Url>,
    tls: Option<Tls>,
    resolver: Rc<Resolver>,
}

impl Connector {
    /// Checks the TLS and proxy settings; connects to nothing.
    pub fn new(
        url: &Url,
        config: &ClientConfig,
        resolver: Rc<Resolver>,
    ) -> Result<Connector, String> {
        Connector::with_alpn(url, config, resolver, &["http/1.1"])
    }

    /// As [`Connector::new`], offering these protocols in the TLS handshake.
    pub fn with_alpn(
        url: &Url,
        config: &ClientConfig,
        resolver: Rc<Resolver>,
        alpn: &[&str],
    ) -> Result<Connector, String> {
        let tls = match url.scheme {
            Scheme::Https => Some(Tls::new(&url.host, config, alpn)?),
            Scheme::Http if config.has_tls_keys() => {
                return Err("tls.*: the address begins with http://; TLS needs https://".to_owned())
            }
            Scheme::Http => None,
        };
        if config.proxy.as_ref().is_some_and(|proxy| proxy.scheme != Scheme::Http) {
            return Err("proxy: must be an http:// address".to_owned());
        }
        Ok(Connector { url: url.clone(), proxy: config.proxy.clone(), tls, resolver })
    }

    /// The endpoint, `host:port` as given.
    pub fn authority(&self) -> String {
        self.url.authority()
    }

    /// What a request's target must be preceded by: a proxy wants the whole address for `http`.
    pub fn target_prefix(&self) -> Option<String> {
        let is_needed = self.proxy.is_some() && self.tls.is_none();
        is_needed.then(|| format!("http://{}", self.url.authority()))
    }

    /// Connects; bounded in time by this file's limits.
    pub async fn connect(&self) -> Result<Stream, Error> {
        let fail = |(kind, words): Failure| Error::new(kind, &self.authority(), words);
        let socket = match &self.proxy {
            Some(proxy) => self.connect_through(proxy).await.map_err(|(kind, words)| {
                fail((kind, format!("proxy {}: {words}", proxy.authority())))
            })?,
            None => self.connect_tcp(&self.url).await.map_err(fail)?,
        };
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(socket)) };
        within(HANDSHAKE_MS_MAX, "tls handshake", handshake(tls, socket)).await.map_err(fail)
    }

    async fn connect_through(&self, proxy: &Url) -> Result<Socket, Failure> {
        let mut socket = self.connect_tcp(proxy).await?;
        if self.tls.is_some() {
            let target = self.url.host_port();
            within(HANDSHAKE_MS_MAX, "CONNECT", open_tunnel(&mut socket, &target)).await?;
        }
        Ok(socket)
    }

    async fn connect_tcp(&self, url: &Url) -> Result<Socket, Failure> {
        let addresses = self.addresses(&url.host).await?;
        let share_ms = (CONNECT_MS_MAX / addresses.len().max(1) as u64).max(ADDRESS_MS_MIN);
        let (mut reasons, started) = (Vec::new(), Instant::now());
        for &ip in &addresses {
            let attempt = connect(SocketAddr::new(ip, url.port));
            match timeout(Duration::from_millis(share_ms), attempt).await {
                Ok(Ok(socket)) => {
                    let took_ms = started.elapsed().as_millis();
                    log::debug!("connected to {} at {ip} in {took_ms} ms", url.host_port());
                    return Ok(socket);
                }
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(_) => reasons.push(format!("no answer in {share_ms} ms")),
            }
        }
        Err((ErrorKind::Connect, explain(&url.host, &addresses, &reasons)))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Some(known) = without_resolver(host) {
            return Ok(known);
        }
        match self.resolver.resolve(host).await {
            Ok(addresses) => Ok(alternating(addresses)),
            Err(error) => Err((ErrorKind::Resolve, format!("resolve: {error}"))),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<Socket> {
    Async::<TcpStream>::connect(address).await?.into_inner().and_then(Socket::new)
}

/// Why none of a host's addresses took the connection; each address and each reason once.
fn explain(host: &str, addresses: &[IpAddr], reasons: &[String]) -> String {
    if host.parse::<IpAddr>().is_ok() {
        return format!("connect: {}", reasons.join("; "));
    }
    let mut words = String::from("connect to ");
    for (at, (ip, reason)) in addresses.iter().zip(reasons).enumerate() {
        let is_same = reasons.get(at + 1).is_some_and(|next| next == reason);
        let end = match (is_same, at + 1 == reasons.len()) {
            (true, _) => ", ".to_owned(),
            (false, false) => format!(": {reason}; to "),
            (false, true) => format!(": {reason}"),
        };
        words.push_str(&format!("{ip}{end}"));
    }
    words
}

/// Literal addresses and `localhost` (RFC 6761 §6.3) need no question.
fn without_resolver(host: &str) -> Option<Vec<IpAddr>> {
    if host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    host.parse().ok().map(|ip| vec![ip])
}

/// Families in turn, beginning with the first one's; else in the order given.
fn alternating(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let Some(first) = addresses.first().map(IpAddr::is_ipv6) else { return addresses };
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|ip| ip.is_ipv6() == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(same.next());
        order.extend(other.next());
        if order.len() == before || order.len() >= ADDRESSES_MAX {
            order.truncate(ADDRESSES_MAX);
            return order;
        }
    }
}

/// Runs a step of connecting within its time.
async fn within<T>(
    limit_ms: u64,
    what: &str,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(Duration::from_millis(limit_ms), step)
        .await
        .unwrap_or_else(|_| Err((ErrorKind::Connect, format!("{what}: not done in {limit_ms} ms"))))
}

async fn handshake(tls: &Tls, socket: Socket) -> Result<Stream, Failure> {
    let fail = |reason: String| (ErrorKind::Tls, format!("tls handshake: {reason}"));
    let connector = tls.connector().map_err(fail)?;
    match connector.connect(tls.server_name(), socket).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) => Err(fail(tls::describe(&error).unwrap_or_else(|| error.to_string()))),
    }
}

/// Asks a proxy for a tunnel to `target`.
async fn open_tunnel(socket: &mut Socket, target: &str) -> Result<(), Failure> {
    let fail = |reason: &dyn std::fmt::Display| {
        (ErrorKind::Connect, format!("CONNECT {target}: {reason}"))
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.map_err(|error| fail(&error))?;
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 512];
        let count = socket.read(&mut buffer).await.map_err(|error| fail(&error))?;
        answer.extend_from_slice(&buffer[..count]);
        if let Some(len) = head_len(&answer, 0) {
            let head = ResponseHead::parse(&answer[..len]).map_err(|error| fail(&error))?;
            return match head.status {
                200..=299 if len == answer.len() => Ok(()),
                200..=299 => Err(fail(&"the proxy spoke before the tunnel's end did")),
                status => Err(fail(&format_args!("answered {status}"))),
            };
        }
        if count == 0 || answer.len() > PROXY_HEAD_BYTES_MAX {
            return Err(fail(&"no complete answer"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate() {
        let order = |text: &str| -> String {
            let list = text.split(' ').map(|ip| ip.parse().unwrap()).collect();
            alternating(list).iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order("::1 ::2 1.1.1.1 1.1.1.2 1.1.1.3"), "::1 1.1.1.1 ::2 1.1.1.2 1.1.1.3");
        assert_eq!(order("1.1.1.1 1.1.1.2 ::1"), "1.1.1.1 ::1 1.1.1.2");
        assert_eq!(order("1.1.1.1"), "1.1.1.1");
        assert_eq!(
            order("1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 ::1 ::2 ::3").matches(' ').count(),
            5
        );
    }

    #[test]
    fn failures_say_each_address_and_each_reason_once() {
        let told = |host: &str, failures: &[(&str, &str)]| {
            let ips: Vec<IpAddr> = failures.iter().map(|(ip, _)| ip.parse().unwrap()).collect();
            let reasons: Vec<_> = failures.iter().map(|(_, why)| why.to_string()).collect();
            explain(host, &ips, &reasons)
        };
        let (refused, silent) = ("refused", "no answer in 5 ms");
        assert_eq!(told("10.0.0.1", &[("10.0.0.1", refused)]), "connect: refused");
        assert_eq!(told("a.b", &[("10.0.0.1", refused)]), "connect to 10.0.0.1: refused");
        assert_eq!(
            told("localhost", &[("127.0.0.1", refused), ("::1", refused)]),
            "connect to 127.0.0.1, ::1: refused"
        );
        assert_eq!(
            told("a.b", &[("10.0.0.1", refused), ("10.0.0.2", silent), ("::2", silent)]),
            "connect to 10.0.0.1: refused; to 10.0.0.2, ::2: no answer in 5 ms"
        );
    }

    #[test]
    fn local_names_are_known() {
        for host in ["localhost", "LocalHost", "localhost."] {
            assert_eq!(without_resolver(host).unwrap().len(), 2, "{host}");
        }
        assert_eq!(without_resolver("::1").unwrap(), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        assert_eq!(without_resolver("example.com"), None);
        assert_eq!(without_resolver("localhost.example.com"), None);
    }
}
