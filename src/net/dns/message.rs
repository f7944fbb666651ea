//! DNS messages for address look-ups: queries out, replies in (RFC 1035 §4, EDNS: RFC 6891). Pure.
//!
//! A reply is heard only if its id and question are ours; then the CNAME chain is followed inside
//! the reply. Left out: DNSSEC, and asking again for the end of a chain that the reply lacks, which
//! a recursive server supplies.

use std::net::IpAddr;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::PushError;
use domain::base::name::{Name, ToName};
use domain::base::{Message, MessageBuilder};
use domain::rdata::{Aaaa, Cname, A};

/// Answer size offered with EDNS: fits one frame everywhere (RFC 9715).
const UDP_BYTES_OFFERED: u16 = 1232;
/// Records of an answer looked at; further ones are ignored.
const RECORDS_MAX: usize = 128;
/// Addresses taken from an answer; further ones are ignored.
pub const ADDRESSES_MAX: usize = 16;
/// Longest chain of aliases followed; a longer one, or a loop, counts as malformed.
const CNAMES_MAX: usize = 16;

/// A name with all its labels, not compressed.
pub type FullName = Name<Vec<u8>>;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// One question under one id.
#[derive(Clone, Debug)]
pub struct Query {
    pub id: u16,
    pub name: FullName,
    pub family: Family,
}

/// What a server says to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Never empty.
    Addresses {
        addresses: Vec<IpAddr>,
        ttl_s: u32,
    },
    /// The name exists without such addresses.
    NoData,
    NoSuchName,
    /// Ask again over TCP.
    Truncated,
    /// The server did not do it: its response code.
    Refused(Rcode),
    /// Ours, but not to be understood.
    Malformed,
}

impl Query {
    fn rtype(&self) -> Rtype {
        match self.family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        }
    }

    /// The message to send; it asks for recursion.
    pub fn encode(&self, edns: bool) -> Result<Vec<u8>, PushError> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push((&self.name, self.rtype()))?;
        let mut additional = question.additional();
        if edns {
            additional.opt(|opt| {
                opt.set_udp_payload_size(UDP_BYTES_OFFERED);
                Ok(())
            })?;
        }
        Ok(additional.finish())
    }

    /// Reads a reply; `None` if it answers something else, so that waiting goes on.
    pub fn parse(&self, bytes: &[u8]) -> Option<Reply> {
        let message = Message::from_octets(bytes).ok()?;
        let header = message.header();
        if !header.qr() || header.id() != self.id || !self.is_asked_in(&message) {
            return None;
        }
        Some(match header.rcode() {
            _ if header.tc() => Reply::Truncated,
            Rcode::NOERROR => self.answer(&message).unwrap_or(Reply::Malformed),
            Rcode::NXDOMAIN => Reply::NoSuchName,
            other => Reply::Refused(other),
        })
    }

    /// A server that does not understand a query may leave the question out (RFC 6891 §7).
    fn is_asked_in(&self, message: &Message<&[u8]>) -> bool {
        if message.header_counts().qdcount() == 0 {
            return matches!(message.header().rcode(), Rcode::FORMERR | Rcode::NOTIMP);
        }
        message.sole_question().is_ok_and(|question| {
            question.qname().name_eq(&self.name)
                && question.qtype() == self.rtype()
                && question.qclass() == Class::IN
        })
    }

    /// Follows the aliases from the question's name and collects the addresses at their end.
    fn answer(&self, message: &Message<&[u8]>) -> Option<Reply> {
        let Records { aliases, addresses } = self.records(message)?;
        let (mut name, mut ttl_s, mut steps) = (&self.name, u32::MAX, 0);
        while let Some((_, target, ttl)) = aliases.iter().find(|(owner, ..)| owner == name) {
            (name, ttl_s, steps) = (target, ttl_s.min(*ttl), steps + 1);
            if steps > CNAMES_MAX {
                return None;
            }
        }
        let mut found = Vec::new();
        for (_, address, ttl) in addresses.iter().filter(|(owner, ..)| owner == name) {
            if found.len() < ADDRESSES_MAX && !found.contains(address) {
                found.push(*address);
                ttl_s = ttl_s.min(*ttl);
            }
        }
        Some(match found.is_empty() {
            true => Reply::NoData,
            false => Reply::Addresses { addresses: found, ttl_s },
        })
    }

    /// The answer section; `None` if it is malformed.
    ///
    /// Names are copied out once: a compressed name may be a chain of thousands of pointers, and
    /// comparing it in place would walk the chain each time.
    fn records(&self, message: &Message<&[u8]>) -> Option<Records> {
        let mut records = Records { aliases: Vec::new(), addresses: Vec::new() };
        for record in message.answer().ok()?.take(RECORDS_MAX) {
            let record = record.ok()?;
            if record.class() != Class::IN {
                continue;
            }
            let (owner, ttl_s) = (record.owner().to_vec(), record.ttl().as_secs());
            let rtype = record.rtype();
            if rtype == Rtype::CNAME {
                let alias = record.into_record::<Cname<_>>().ok()??;
                records.aliases.push((owner, alias.data().cname().to_vec(), ttl_s));
            } else if rtype == self.rtype() {
                let address = match self.family {
                    Family::V4 => record.into_record::<A>().ok()??.data().addr().into(),
                    Family::V6 => record.into_record::<Aaaa>().ok()??.data().addr().into(),
                };
                records.addresses.push((owner, address, ttl_s));
            }
        }
        Some(records)
    }
}

/// The records that matter: owner, content, TTL in seconds.
struct Records {
    aliases: Vec<(FullName, FullName, u32)>,
    addresses: Vec<(FullName, IpAddr, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::base::name::FromStrError;

    fn name(text: &str) -> Result<Name<Vec<u8>>, FromStrError> {
        Name::vec_from_str(text)
    }

    fn query(family: Family) -> Query {
        Query { id: 0x1234, name: name("a.b").unwrap(), family }
    }

    /// A reply to `query(V4)`: header flags, then records as (owner, type, TTL, data).
    fn reply(flags: u16, records: &[(&str, u16, u32, Vec<u8>)]) -> Vec<u8> {
        let mut out = query(Family::V4).encode(false).unwrap();
        out[2..4].copy_from_slice(&flags.to_be_bytes());
        out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (owner, rtype, ttl, data) in records {
            out.extend_from_slice(name(owner).unwrap().as_slice());
            out.extend_from_slice(&rtype.to_be_bytes());
            out.extend_from_slice(&[0, 1]);
            out.extend_from_slice(&ttl.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    fn a(owner: &str, last: u8, ttl: u32) -> (&str, u16, u32, Vec<u8>) {
        (owner, 1, ttl, vec![10, 0, 0, last])
    }

    fn cname<'a>(owner: &'a str, target: &str) -> (&'a str, u16, u32, Vec<u8>) {
        (owner, 5, 30, name(target).unwrap().into_octets())
    }

    fn read(records: &[(&str, u16, u32, Vec<u8>)]) -> Option<Reply> {
        query(Family::V4).parse(&reply(0x8180, records))
    }

    fn addresses(last: &[u8], ttl_s: u32) -> Option<Reply> {
        let addresses = last.iter().map(|last| IpAddr::from([10, 0, 0, *last])).collect();
        Some(Reply::Addresses { addresses, ttl_s })
    }

    #[test]
    fn golden_queries() {
        let plain = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01";
        assert_eq!(query(Family::V4).encode(false).unwrap(), plain);
        let edns = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\x01b\0\0\x1c\0\x01\
                     \0\0\x29\x04\xd0\0\0\0\0\0\0";
        assert_eq!(query(Family::V6).encode(true).unwrap(), edns);
    }

    #[test]
    fn answers() {
        assert_eq!(
            read(&[a("a.b", 1, 60), a("a.b", 2, 20), a("a.b", 1, 5)]),
            addresses(&[1, 2], 20)
        );
        assert_eq!(read(&[a("A.B", 1, 60)]), addresses(&[1], 60));
        assert_eq!(read(&[cname("a.b", "c"), a("c", 1, 60)]), addresses(&[1], 30));
        assert_eq!(read(&[a("d", 1, 9), cname("c", "d"), cname("a.b", "c")]), addresses(&[1], 9));
        assert_eq!(read(&[]), Some(Reply::NoData));
        assert_eq!(read(&[a("x", 1, 60)]), Some(Reply::NoData));
        assert_eq!(read(&[cname("a.b", "c"), a("a.b", 1, 60)]), Some(Reply::NoData));
        assert_eq!(read(&[("a.b", 28, 9, vec![0; 16])]), Some(Reply::NoData));
        assert_eq!(read(&[cname("a.b", "c"), cname("c", "a.b")]), Some(Reply::Malformed));
        assert_eq!(read(&[("a.b", 1, 9, vec![1, 2, 3])]), Some(Reply::Malformed));
    }

    #[test]
    fn answers_are_bounded() {
        let many: Vec<_> = (0..=255).map(|last| a("a.b", last, 60)).collect();
        assert_eq!(read(&many), addresses(&(0..ADDRESSES_MAX as u8).collect::<Vec<_>>(), 60));
        let mut late = vec![a("x", 1, 60); RECORDS_MAX];
        late.push(a("a.b", 1, 60));
        assert_eq!(read(&late), Some(Reply::NoData));
        let names: Vec<_> = (0..=CNAMES_MAX + 1).map(|n| format!("n{n}")).collect();
        let mut chain = vec![cname("a.b", "n0")];
        chain.extend((0..CNAMES_MAX - 1).map(|n| cname(&names[n], &names[n + 1])));
        let mut longer = chain.clone();
        chain.push(a(&names[CNAMES_MAX - 1], 1, 60));
        assert_eq!(read(&chain), addresses(&[1], 30));
        longer.push(cname(&names[CNAMES_MAX - 1], &names[CNAMES_MAX]));
        assert_eq!(read(&longer), Some(Reply::Malformed));
    }

    fn code(flags: u16) -> Option<Reply> {
        query(Family::V4).parse(&reply(flags, &[]))
    }

    #[test]
    fn response_codes() {
        assert_eq!(code(0x8183), Some(Reply::NoSuchName));
        assert_eq!(code(0x8182), Some(Reply::Refused(Rcode::SERVFAIL)));
        assert_eq!(code(0x8185), Some(Reply::Refused(Rcode::REFUSED)));
        assert_eq!(code(0x8380), Some(Reply::Truncated));
        let form_error = b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0";
        let expected = Some(Reply::Refused(Rcode::FORMERR));
        assert_eq!(query(Family::V4).parse(form_error), expected);
    }

    #[test]
    fn what_is_not_ours_is_not_heard() {
        let good = reply(0x8180, &[a("a.b", 1, 60)]);
        let not_heard = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(query(Family::V4).parse(&bytes), None, "byte {at}");
        };
        not_heard(0, 0x13); // id
        not_heard(2, 0x01); // a query
        not_heard(5, 0); // no question
        not_heard(5, 2); // two questions
        not_heard(13, b'x'); // another name
        not_heard(18, 28); // another type
        not_heard(20, 3); // another class
        assert_eq!(query(Family::V6).parse(&good), None);
    }

    #[test]
    fn no_prefix_is_an_answer() {
        let good = reply(0x8180, &[cname("a.b", "c"), a("c", 1, 60)]);
        for len in 0..good.len() {
            let read = query(Family::V4).parse(&good[..len]);
            assert!(matches!(read, None | Some(Reply::Malformed)), "{len}: {read:?}");
        }
    }

    #[test]
    fn mutations_never_panic_nor_grow() {
        let good = reply(0x8180, &[cname("a.b", "c"), a("c", 1, 60), a("c", 2, 60)]);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + round % 4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 40) as usize % bytes.len();
                bytes[at] = (state >> 33) as u8;
            }
            if let Some(Reply::Addresses { addresses, .. }) = query(Family::V4).parse(&bytes) {
                assert!((1..=ADDRESSES_MAX).contains(&addresses.len()), "round {round}");
            }
        }
    }
}
