//! Host names before they are looked up: which are addresses already, which are valid, and under
//! which full names DNS is asked (RFC 1034 §3.5 and RFC 1123 §2.1, with `_` allowed; RFC 6761 §6.3
//! for localhost; resolv.conf(5) for the search list). Pure.
//!
//! Left out: internationalised names (callers give the `xn--` form) and the legacy number forms of
//! inet_aton(3), which are refused so that `127.1` is never asked of a name server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::resolv_conf::ResolvConf;

/// Longest name in its written form, without the trailing dot (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 253;
/// Longest label (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// What a host turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Host {
    /// Known without asking anybody.
    Addresses(Vec<IpAddr>),
    /// To be looked up: lower case, with the trailing dot if one was given.
    Name(String),
}

/// Reads a host as it stands in a URL or a flag; the error says what is wrong with it.
pub fn classify(host: &str) -> Result<Host, &'static str> {
    if let Some(address) = literal(host)? {
        return Ok(Host::Addresses(vec![address]));
    }
    let name = host.to_ascii_lowercase();
    let bare = name.strip_suffix('.').unwrap_or(&name);
    check(bare)?;
    if bare == "localhost" || bare.ends_with(".localhost") {
        return Ok(Host::Addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
    }
    Ok(Host::Name(name))
}

/// An address written out; IPv6 with or without the brackets of a URL.
fn literal(host: &str) -> Result<Option<IpAddr>, &'static str> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if inner.unwrap_or(host).contains(':') {
        if host.contains('%') {
            return Err("an address with a scope is not supported");
        }
        let address = inner.unwrap_or(host).parse::<Ipv6Addr>();
        return address.map(|v6| Some(v6.into())).map_err(|_| "not an IPv6 address");
    }
    Ok(host.parse::<Ipv4Addr>().ok().map(IpAddr::from))
}

fn check(bare: &str) -> Result<(), &'static str> {
    if bare.is_empty() {
        return Err("the name is empty");
    }
    if bare.len() > NAME_BYTES_MAX {
        return Err("the name is longer than 253 bytes");
    }
    if bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("not an IPv4 address");
    }
    for label in bare.split('.') {
        if label.is_empty() {
            return Err("the name has an empty label");
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err("a label is longer than 63 bytes");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err("only letters, digits, '-', '_' and '.' make a host name");
        }
    }
    Ok(())
}

/// The full names to ask for, in order, without trailing dots. A name with a trailing dot is full
/// itself; one with `ndots` dots or more is tried as it stands before the search list, any other
/// after it. Combinations that are too long are left out.
pub fn candidates(name: &str, conf: &ResolvConf) -> Vec<String> {
    if let Some(full) = name.strip_suffix('.') {
        return vec![full.to_owned()];
    }
    let searched = conf.search.iter().map(|domain| format!("{name}.{domain}"));
    let mut names: Vec<String> = searched.filter(|full| full.len() <= NAME_BYTES_MAX).collect();
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let place = if dots >= conf.ndots { 0 } else { names.len() };
    names.insert(place, name.to_owned());
    names
}

/// True for what may stand in a search list: a valid name, or one search domain of a name.
pub fn is_domain(name: &str) -> bool {
    check(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(host: &str, addresses: &str) {
        let expected = addresses.split(' ').map(|text| text.parse().unwrap()).collect();
        assert_eq!(classify(host), Ok(Host::Addresses(expected)), "{host}");
    }

    fn name(host: &str, expected: &str) {
        assert_eq!(classify(host), Ok(Host::Name(expected.into())), "{host}");
    }

    fn bad(host: &str, part: &str) {
        let error = classify(host).unwrap_err();
        assert!(error.contains(part), "{host}: {error}");
    }

    #[test]
    fn addresses_and_localhost_are_known() {
        known("10.0.0.2", "10.0.0.2");
        known("::1", "::1");
        known("[fd00:ec2::254]", "fd00:ec2::254");
        known("::ffff:10.0.0.1", "::ffff:10.0.0.1");
        known("localhost", "127.0.0.1 ::1");
        known("LocalHost.", "127.0.0.1 ::1");
        known("app.localhost", "127.0.0.1 ::1");
    }

    #[test]
    fn names_are_lower_case_and_keep_their_dot() {
        name("App", "app");
        name("a.example.", "a.example.");
        name("_srv.my_db.local", "_srv.my_db.local");
        name("localhost.example", "localhost.example");
        name("notlocalhost", "notlocalhost");
        name("1.2.3.4a", "1.2.3.4a");
        name(&"a".repeat(LABEL_BYTES_MAX), &"a".repeat(LABEL_BYTES_MAX));
        let longest = format!("{}a.b", "ab.".repeat(83) + "a");
        assert_eq!(longest.len(), NAME_BYTES_MAX);
        name(&longest, &longest);
        name(&format!("{longest}."), &format!("{longest}."));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        bad("", "empty");
        bad(".", "empty");
        bad("a..b", "empty label");
        bad(".a", "empty label");
        bad("a..", "empty label");
        bad(&"a".repeat(LABEL_BYTES_MAX + 1), "label is longer");
        bad(&"ab.".repeat(85), "longer than 253");
        bad("fe80::1%eth0", "scope");
        bad("[fe80::1%25eth0]", "scope");
        bad("[::1", "not an IPv6");
        bad("1:2", "not an IPv6");
        bad("[127.0.0.1]", "only letters");
        bad("127.1", "not an IPv4");
        bad("256.1.1.1", "not an IPv4");
        bad("2130706433", "not an IPv4");
        bad("a b", "only letters");
        bad("a\0b", "only letters");
        bad("bücher.example", "only letters");
        bad("*.example", "only letters");
    }

    fn tried(name: &str, ndots: usize, search: &[&str]) -> Vec<String> {
        let search = search.iter().map(|domain| domain.to_string()).collect();
        candidates(name, &ResolvConf { ndots, search, ..ResolvConf::default() })
    }

    #[test]
    fn the_search_list_comes_before_or_after() {
        assert_eq!(tried("db", 1, &["a.x", "b"]), ["db.a.x", "db.b", "db"]);
        assert_eq!(tried("db.c", 1, &["a.x", "b"]), ["db.c", "db.c.a.x", "db.c.b"]);
        assert_eq!(tried("db.c", 5, &["b"]), ["db.c.b", "db.c"]);
        assert_eq!(tried("db", 0, &["b"]), ["db", "db.b"]);
        assert_eq!(tried("db.c.", 5, &["b"]), ["db.c"]);
        assert_eq!(tried("db", 1, &[]), ["db"]);
        assert_eq!(tried("db", 1, &[&"a.".repeat(126), "b"]), ["db.b", "db"]);
    }
}
