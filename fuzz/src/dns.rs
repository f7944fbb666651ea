//! DNS replies, as the resolver reads them.

use domain::base::Name;
use otlet::net::dns::message::{Family, Query, Reply, ADDRESSES_MAX};

/// A reply to the question for the addresses of `a.b` under the id 0x1234.
pub fn dns_reply(data: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let name = Name::vec_from_str("a.b").expect("a name");
        let query = Query { id: 0x1234, name, family };
        let reply = query.parse(data);
        if let Some(Reply::Addresses { addresses, .. }) = &reply {
            assert!((1..=ADDRESSES_MAX).contains(&addresses.len()), "{addresses:?}");
            let is_asked_for = |ip: &std::net::IpAddr| ip.is_ipv6() == (family == Family::V6);
            assert!(addresses.iter().all(is_asked_for), "{addresses:?}");
            let unique = (1..addresses.len()).all(|at| !addresses[..at].contains(&addresses[at]));
            assert!(unique, "{addresses:?}");
        }
        // What is understood ends by itself: nothing behind it makes a difference.
        if !matches!(reply, None | Some(Reply::Malformed)) {
            assert_eq!(query.parse(&[data, &[0xc0]].concat()), reply);
        }
    }
}
