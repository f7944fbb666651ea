//! Answers kept for their time to live. Pure: the time comes in.
//!
//! Times are clamped, so that a record with TTL 0 does not cost a question per connection and one
//! with a day does not outlive a moved endpoint. "No such name" is kept shortly (RFC 2308 allows
//! much more), silence of the servers not at all: whoever asks again has waited already.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Names kept; at the bound the one that expires first makes room.
pub const NAMES_MAX: usize = 256;
const TTL_S_MIN: u32 = 1;
const TTL_S_MAX: u32 = 300;
const NEGATIVE_TTL_S: u64 = 5;

/// What was found: addresses, or the words why there are none.
pub type Found = Result<Vec<IpAddr>, String>;

/// Answers by name as it was asked for.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<String, Entry, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Entry {
    found: Found,
    expires: Instant,
}

impl Cache {
    /// What is known of `name` at `now`.
    pub fn get(&self, name: &str, now: Instant) -> Option<&Found> {
        let entry = self.entries.get(name)?;
        (now < entry.expires).then_some(&entry.found)
    }

    /// Keeps addresses for `ttl_s`, within bounds.
    pub fn put(&mut self, name: &str, addresses: &[IpAddr], ttl_s: u32, now: Instant) {
        let ttl = Duration::from_secs(ttl_s.clamp(TTL_S_MIN, TTL_S_MAX).into());
        self.insert(name, Ok(addresses.to_vec()), now + ttl, now);
    }

    /// Remembers that the servers know no address of `name`, and in which words to say so.
    pub fn put_negative(&mut self, name: &str, words: &str, now: Instant) {
        let expires = now + Duration::from_secs(NEGATIVE_TTL_S);
        self.insert(name, Err(words.to_owned()), expires, now);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn insert(&mut self, name: &str, found: Found, expires: Instant, now: Instant) {
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(name) {
            self.entries.retain(|_, entry| now < entry.expires);
        }
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(name) {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.expires);
            if let Some(first) = first.map(|(name, _)| name.clone()) {
                self.entries.remove(&first);
            }
        }
        self.entries.insert(name.to_owned(), Entry { found, expires });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// True if an answer with this TTL is still there `after_ms` later.
    fn lives(ttl_s: u32, after_ms: u64) -> bool {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("a", &[ADDRESS], ttl_s, now);
        cache.get("a", now + Duration::from_millis(after_ms)).is_some()
    }

    #[test]
    fn times_are_clamped() {
        for (ttl_s, after_ms, expected) in [
            (0, 999, true),
            (0, 1000, false),
            (60, 59_999, true),
            (60, 60_000, false),
            (u32::MAX, 299_999, true),
            (u32::MAX, 300_000, false),
        ] {
            assert_eq!(lives(ttl_s, after_ms), expected, "{ttl_s} {after_ms}");
        }
    }

    #[test]
    fn absence_is_remembered_shortly() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("a", &[ADDRESS], 60, now);
        cache.put_negative("a", "gone", now);
        assert_eq!(cache.get("a", now), Some(&Err("gone".to_owned())));
        assert_eq!(cache.get("a", now + Duration::from_secs(NEGATIVE_TTL_S)), None);
        assert_eq!(cache.get("b", now), None);
        cache.clear();
        assert_eq!(cache.get("a", now), None);
    }

    #[test]
    fn at_the_bound_the_first_to_expire_goes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("short", &[ADDRESS], 5, now);
        for number in 1..NAMES_MAX {
            cache.put(&number.to_string(), &[ADDRESS], 60, now);
        }
        cache.put("1", &[ADDRESS], 70, now);
        assert!(cache.get("short", now).is_some());
        cache.put("new", &[ADDRESS], 60, now);
        assert!(cache.get("short", now).is_none() && cache.get("new", now).is_some());
        assert_eq!(cache.entries.len(), NAMES_MAX);
        let later = now + Duration::from_secs(65);
        cache.put("later", &[ADDRESS], 60, later);
        assert_eq!(cache.entries.len(), 2);
    }
}
