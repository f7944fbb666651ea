//! The stub resolver: host names to addresses without getaddrinfo, its thread and its 150 KB.
//!
//! Order: literal addresses and localhost, /etc/hosts, the cache, DNS. A and AAAA are asked side by
//! side and stand for themselves: addresses of one are used whatever becomes of the other. Both
//! files are looked at again at most every [`FILES_CHECKED_S`] seconds. Left out: nsswitch.conf,
//! mDNS, SRV, sorting by RFC 6724 (callers try the addresses in turn). Two tasks that ask for the
//! same name at the same time both ask. Reading the two local files blocks, for microseconds.

mod cache;
mod files;
mod hosts;
pub mod message;
mod name;
mod query;
mod resolv_conf;

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use domain::base::name::Name;

use self::cache::Cache;
use self::files::Watched;
use self::hosts::Hosts;
use self::message::{Family, FullName};
use self::name::Host;
use self::query::Outcome;
use self::resolv_conf::ResolvConf;
use crate::net::timeout;

/// How often the two files are looked at.
const FILES_CHECKED_S: u64 = 5;
/// The second family is waited for this long once the first one gave addresses.
const SECOND_FAMILY_MS: u64 = 500;
/// One look-up as a whole, over all search domains, servers and rounds.
const RESOLVE_S_MAX: u64 = 30;

/// Resolves host names; one per process.
pub struct Resolver {
    hosts: RefCell<Watched<Hosts>>,
    conf: RefCell<Watched<ResolvConf>>,
    cache: RefCell<Cache>,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::new()
    }
}

impl Resolver {
    /// A resolver on the system's files.
    pub fn new() -> Resolver {
        let parse = |text: &[u8]| ResolvConf::parse(text, false);
        Resolver::on("/etc/hosts".into(), "/etc/resolv.conf".into(), parse)
    }

    /// A resolver on other files, for tests: nameserver lines may carry a port after the address.
    pub fn with_files(hosts: PathBuf, resolv: PathBuf) -> Resolver {
        Resolver::on(hosts, resolv, |text| ResolvConf::parse(text, true))
    }

    fn on(hosts: PathBuf, resolv: PathBuf, parse: fn(&[u8]) -> ResolvConf) -> Resolver {
        Resolver {
            hosts: RefCell::new(Watched::new(hosts, Hosts::parse)),
            conf: RefCell::new(Watched::new(resolv, parse)),
            cache: RefCell::default(),
        }
    }

    /// The addresses of `host`, never empty; literal addresses and `localhost` never leave the
    /// program.
    ///
    /// Errors are of kind InvalidInput (no host name), NotFound (the servers know no address),
    /// TimedOut (a server was silent) or Other (all servers failed), and name the servers; the
    /// caller names the host.
    pub async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let name = match name::classify(host) {
            Ok(Host::Addresses(addresses)) => return Ok(addresses),
            Ok(Host::Name(name)) => name,
            Err(words) => return Err(io::Error::new(io::ErrorKind::InvalidInput, words)),
        };
        if let Some(known) = self.known(&name, Instant::now()) {
            return known.map_err(|words| io::Error::new(io::ErrorKind::NotFound, words));
        }
        let conf = self.conf.borrow().value.clone();
        match timeout(Duration::from_secs(RESOLVE_S_MAX), search(&conf, &name)).await {
            Ok(outcome) => self.conclude(&name, outcome),
            Err(_) => {
                let servers: Vec<_> = conf.servers.iter().map(|s| query::show(*s)).collect();
                let words = format!("gave up after {RESOLVE_S_MAX} s with {}", servers.join(", "));
                Err(io::Error::new(io::ErrorKind::TimedOut, words))
            }
        }
    }

    /// What is known without asking.
    fn known(&self, name: &str, now: Instant) -> Option<cache::Found> {
        let mut hosts = self.hosts.borrow_mut();
        hosts.check(now);
        let addresses = hosts.value.addresses(name);
        if !addresses.is_empty() {
            return Some(Ok(addresses));
        }
        if self.conf.borrow_mut().check(now) {
            self.cache.borrow_mut().clear();
        }
        self.cache.borrow().get(name, now).cloned()
    }

    fn conclude(&self, name: &str, outcome: Outcome) -> io::Result<Vec<IpAddr>> {
        let now = Instant::now();
        let words = match outcome {
            Outcome::Addresses { addresses, ttl_s } => {
                log::debug!("dns: {name} is {addresses:?} for {ttl_s} s");
                self.cache.borrow_mut().put(name, &addresses, ttl_s, now);
                return Ok(addresses);
            }
            Outcome::Failed { words, silent } => {
                let kind = if silent { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
                return Err(io::Error::new(kind, words));
            }
            Outcome::NoSuchName(server) => {
                format!("no such name (NXDOMAIN from {})", query::show(server))
            }
            Outcome::NoData(server) => {
                format!("the name has no addresses (NODATA from {})", query::show(server))
            }
        };
        self.cache.borrow_mut().put_negative(name, &words, now);
        Err(io::Error::new(io::ErrorKind::NotFound, words))
    }
}

/// Asks for the candidates of `name` in order until one has addresses.
///
/// Silence ends the search, as each further candidate would wait as long; a failure is passed over,
/// as clusters have search domains that their servers cannot look up. What is told in the end is
/// what was said of the name itself, as far as it was asked for.
async fn search(conf: &ResolvConf, name: &str) -> Outcome {
    let mut told = None;
    for full in name::candidates(name, conf) {
        let Ok(full_name) = Name::vec_from_str(&full) else { continue };
        let outcome = both(conf, &full_name).await;
        let is_last = match &outcome {
            Outcome::Addresses { .. } => true,
            Outcome::Failed { silent, .. } => *silent,
            _ => false,
        };
        if is_last {
            return outcome;
        }
        if told.is_none() || full == name {
            told = Some(outcome);
        }
    }
    told.unwrap_or(Outcome::Failed { words: "no name to ask for".to_owned(), silent: false })
}

/// Asks for both families at once.
async fn both(conf: &ResolvConf, name: &FullName) -> Outcome {
    let mut v4 = pin!(query::ask(conf, name, Family::V4));
    let mut v6 = pin!(query::ask(conf, name, Family::V6));
    let first_v4 = async { (Some(v4.as_mut().await), None) };
    let first_v6 = async { (None, Some(v6.as_mut().await)) };
    match smol::future::or(first_v4, first_v6).await {
        (Some(first), _) => {
            let second = second(&first, v6).await;
            merge(first, second)
        }
        (_, Some(first)) => match second(&first, v4).await {
            Some(second) => merge(second, Some(first)),
            None => first,
        },
        (None, None) => Outcome::Failed { words: "nothing asked".to_owned(), silent: false },
    }
}

/// Waits for the other family: to its end where the first one has nothing.
async fn second(
    first: &Outcome,
    other: impl std::future::Future<Output = Outcome>,
) -> Option<Outcome> {
    match first {
        Outcome::Addresses { .. } => {
            timeout(Duration::from_millis(SECOND_FAMILY_MS), other).await.ok()
        }
        _ => Some(other.await),
    }
}

/// Joins A and AAAA: addresses win, then "no such name", which holds for both, then failures.
fn merge(v4: Outcome, v6: Option<Outcome>) -> Outcome {
    use Outcome::{Addresses, Failed, NoData, NoSuchName};
    match (v4, v6) {
        (v4, None) => v4,
        (
            Addresses { mut addresses, ttl_s },
            Some(Addresses { addresses: more, ttl_s: other_ttl_s }),
        ) => {
            addresses.extend(more);
            Addresses { addresses, ttl_s: ttl_s.min(other_ttl_s) }
        }
        (found @ Addresses { .. }, _) | (_, Some(found @ Addresses { .. })) => found,
        (none @ NoSuchName(_), _) | (_, Some(none @ NoSuchName(_))) => none,
        (failed @ Failed { .. }, _) | (_, Some(failed @ Failed { .. })) => failed,
        (none @ NoData(_), _) => none,
    }
}

#[cfg(test)]
mod tests;
