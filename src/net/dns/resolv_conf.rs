//! The resolver's settings, resolv.conf(5). Pure: text in, values out.
//!
//! Followed: nameserver, search, domain, and of options ndots, timeout, attempts, with the caps
//! that the manual names. Everything else is skipped: sortlist and rotate are not worth their code
//! here, and EDNS is used anyway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::name;

/// Name servers used; further ones are ignored (MAXNS).
pub const SERVERS_MAX: usize = 3;
/// Search domains used; further ones are ignored.
pub const SEARCH_MAX: usize = 6;
/// Larger `ndots` count as this.
const NDOTS_MAX: usize = 15;
/// Larger `timeout` values count as this.
const TIMEOUT_S_MAX: u64 = 30;
/// Larger `attempts` count as this.
const ATTEMPTS_MAX: usize = 5;
/// Where name servers listen.
const PORT: u16 = 53;

/// Whom to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// At least one.
    pub servers: Vec<SocketAddr>,
    /// Domains without outer dots, lower case.
    pub search: Vec<String>,
    /// Names with this many dots are tried as they stand first.
    pub ndots: usize,
    /// How long one server is waited for.
    pub timeout_s: u64,
    /// Rounds over all servers.
    pub attempts: usize,
}

impl Default for ResolvConf {
    /// What holds without a file.
    fn default() -> ResolvConf {
        ResolvConf {
            servers: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)],
            search: Vec::new(),
            ndots: 1,
            timeout_s: 5,
            attempts: 2,
        }
    }
}

impl ResolvConf {
    /// `with_ports`: a nameserver line may name a port after the address, which the manual does not
    /// know; for tests, which cannot have port 53.
    pub fn parse(text: &[u8], with_ports: bool) -> ResolvConf {
        let mut conf = ResolvConf::default();
        let mut servers = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            // A comment is a whole line; the keyword starts in the first column.
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if servers.len() < SERVERS_MAX => {
                    let port = |text: &str| text.parse().ok().filter(|_| with_ports);
                    let address = words.next().and_then(address);
                    let port = words.next().and_then(port).unwrap_or(PORT);
                    servers.extend(address.map(|address| SocketAddr::new(address, port)));
                }
                // The last of the two keywords wins.
                Some("search") => conf.search = domains(words),
                Some("domain") => conf.search = domains(words.take(1)),
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        if !servers.is_empty() {
            conf.servers = servers;
        }
        conf
    }

    fn set(&mut self, option: &str) {
        // ndots:5
        //       ^ number; anything else leaves the default
        let Some((name, value)) = option.split_once(':') else { return };
        let Ok(number) = value.parse::<u64>() else { return };
        let count = usize::try_from(number).unwrap_or(usize::MAX);
        match name {
            "ndots" => self.ndots = count.min(NDOTS_MAX),
            "timeout" => self.timeout_s = number.clamp(1, TIMEOUT_S_MAX),
            "attempts" => self.attempts = count.clamp(1, ATTEMPTS_MAX),
            _ => {}
        }
    }
}

/// A server's address. A scope is needed for link-local servers, which no container engine gives.
fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| match address {
        // Nobody listens on "any"; the manual's own default means the local server.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    })
}

fn domains<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bare = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
    bare.filter(|domain| name::is_domain(domain)).take(SEARCH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> String {
        let conf = ResolvConf::parse(text.as_bytes(), false);
        conf.servers.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nameservers() {
        assert_eq!(servers(""), "127.0.0.1:53");
        assert_eq!(servers("nameserver 10.0.0.2\n"), "10.0.0.2:53");
        assert_eq!(
            servers("nameserver\tfd00::2 \r\nnameserver 1.1.1.1"),
            "[fd00::2]:53 1.1.1.1:53"
        );
        assert_eq!(servers("nameserver 10.0.0.2 5353"), "10.0.0.2:53");
        assert_eq!(servers("nameserver 0.0.0.0"), "127.0.0.1:53");
        assert_eq!(servers("nameserver ::"), "[::1]:53");
        assert_eq!(servers("#nameserver 1.1.1.1\n; nameserver 1.1.1.1"), "127.0.0.1:53");
        assert_eq!(servers("nameserver dns.example\nnameserver"), "127.0.0.1:53");
        assert_eq!(servers("nameserver fe80::1%eth0"), "127.0.0.1:53");
        assert_eq!(
            servers(&"nameserver 10.0.0.2\n".repeat(SERVERS_MAX + 1)),
            "10.0.0.2:53 10.0.0.2:53 10.0.0.2:53"
        );
        let conf = ResolvConf::parse(b"nameserver 127.0.0.1 5353", true);
        assert_eq!(conf.servers, ["127.0.0.1:5353".parse().unwrap()]);
    }

    fn search(text: &str) -> String {
        ResolvConf::parse(text.as_bytes(), false).search.join(" ")
    }

    #[test]
    fn search_domains() {
        assert_eq!(search("search a.Example b."), "a.example b");
        assert_eq!(search("domain a b"), "a");
        assert_eq!(search("domain a\nsearch b c"), "b c");
        assert_eq!(search("search b c\ndomain a"), "a");
        assert_eq!(search("search ."), "");
        assert_eq!(search("search a..b ok x\u{e9}"), "ok");
        assert_eq!(search("search 1 2a b c d e f g h"), "2a b c d e f");
    }

    fn options(text: &str) -> (usize, u64, usize) {
        let conf = ResolvConf::parse(format!("options {text}").as_bytes(), false);
        (conf.ndots, conf.timeout_s, conf.attempts)
    }

    #[test]
    fn options_have_caps() {
        assert_eq!(options("rotate edns0"), (1, 5, 2));
        assert_eq!(options("ndots:5 timeout:2 attempts:3"), (5, 2, 3));
        assert_eq!(options("ndots:0 timeout:0 attempts:0"), (0, 1, 1));
        assert_eq!(options("ndots:99 timeout:99 attempts:99"), (15, 30, 5));
        assert_eq!(options("ndots:-1 timeout:x attempts:"), (1, 5, 2));
        assert_eq!(options("ndots:99999999999999999999"), (1, 5, 2));
    }

    #[test]
    fn a_line_that_is_not_text_is_skipped() {
        let conf = ResolvConf::parse(b"search \xff\nnameserver 10.0.0.2", false);
        assert_eq!(conf.servers.len(), 1);
    }
}
