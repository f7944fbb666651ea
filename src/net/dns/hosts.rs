//! The static table of host names, hosts(5). Pure: text in, table out.
//!
//! A line is an address and the names that mean it; `#` opens a comment. Lines that make no sense
//! are skipped, as everywhere: a container's hosts file is written by its engine.

use std::net::IpAddr;

/// Names kept; what a longer file says further down is not seen. Block lists of advertisers, the
/// only longer files there are, have no place beside a collector.
const NAMES_MAX: usize = 4096;
/// Longest name kept (RFC 1035 §2.3.4); longer ones cannot be asked for.
const NAME_BYTES_MAX: usize = super::name::NAME_BYTES_MAX;

/// Names with their addresses, in the order of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    entries: Vec<(String, IpAddr)>,
}

impl Hosts {
    pub fn parse(text: &[u8]) -> Hosts {
        let mut entries = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Ok(line) = std::str::from_utf8(line) else { continue };
            // 10.0.0.7  ip-10-0-0-7.ec2.internal  app
            // ^ address ^ names
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words.filter(|name| name.len() <= NAME_BYTES_MAX) {
                if entries.len() == NAMES_MAX {
                    return Hosts { entries };
                }
                entries.push((name.to_ascii_lowercase(), address));
            }
        }
        Hosts { entries }
    }

    /// The addresses of a lower-case name; a trailing dot makes no difference.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let mut addresses = Vec::new();
        for (entry, address) in &self.entries {
            if entry == name && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, name: &str) -> String {
        let addresses = Hosts::parse(text.as_bytes()).addresses(name);
        addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines() {
        assert_eq!(found("10.0.0.7 a b", "b"), "10.0.0.7");
        assert_eq!(found("10.0.0.7\tA.Example # c", "a.example"), "10.0.0.7");
        assert_eq!(found("10.0.0.7 a", "a."), "10.0.0.7");
        assert_eq!(found("10.0.0.7 a\r\n::2 a\n10.0.0.7 a", "a"), "10.0.0.7 ::2");
        assert_eq!(found("  10.0.0.7 a", "a"), "10.0.0.7");
        assert_eq!(found("10.0.0.7 a#b", "a"), "10.0.0.7");
        assert_eq!(found("\u{e9}\n10.0.0.7 a", "a"), "10.0.0.7");
        assert_eq!(found("10.0.0.7 a\n# 10.0.0.8 a", "a"), "10.0.0.7");
    }

    #[test]
    fn lines_without_sense_are_skipped() {
        for text in ["", "\n\n", "10.0.0.7", "a 10.0.0.7", "10.0.0 a", "fe80::1%eth0 a", "# x a"] {
            assert_eq!(found(text, "a"), "", "{text}");
        }
        assert_eq!(Hosts::parse(b"\xff\xfe a\n10.0.0.7 b").addresses("b").len(), 1);
        assert_eq!(found("10.0.0.7 aa", "a"), "");
    }

    #[test]
    fn the_table_is_bounded() {
        let line = format!("10.0.0.7{}\n", " a".repeat(1000));
        let hosts = Hosts::parse(line.repeat(10).as_bytes());
        assert_eq!(hosts.entries.len(), NAMES_MAX);
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(Hosts::parse(format!("10.0.0.7 {long} b").as_bytes()).entries.len(), 1);
    }
}
