//! Who counts as one client by its address. Whoever has IPv6 has at least a /64, most often a /56, and a company a /48: a
//! bound on single addresses bounds nobody there.

use std::net::{IpAddr, Ipv6Addr};

/// A network, by its first address and the bits that all of its addresses share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    length: u8,
    first: IpAddr,
}

/// The networks that an address is counted in, the smallest first, each with how many times as much as one client it may
/// have: an IPv4 address is itself; an IPv6 address is its /64, its /56 with twice and its /48 with three times as much.
pub fn networks(address: IpAddr) -> impl Iterator<Item = (Network, u32)> {
    let lengths: &[u8] = match address.to_canonical() {
        IpAddr::V4(_) => &[32],
        IpAddr::V6(_) => &[64, 56, 48],
    };
    lengths
        .iter()
        .map(move |length| Network::around(address.to_canonical(), *length))
        .zip(1..)
}

impl Network {
    fn around(address: IpAddr, length: u8) -> Self {
        let first = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let shared = address.to_bits() & (u128::MAX << (128 - u32::from(length)));
                Ipv6Addr::from_bits(shared).into()
            }
        };
        Self { length, first }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(address: &str) -> Vec<(Network, u32)> {
        networks(address.parse().unwrap()).collect()
    }

    #[test]
    fn neighbours_share_what_one_customer_has() {
        let (one, other) = (of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_eq!(one, other, "one /64");
        assert_eq!(one.len(), 3);
        assert_eq!(of("2001:db8:0:1::1").get(1..), one.get(1..), "one /56");
        assert_eq!(of("2001:db8:0:100::1").get(2..), one.get(2..), "one /48");
        let factors: Vec<u32> = one.iter().map(|(_, factor)| *factor).collect();
        assert_eq!(factors, [1, 2, 3]);
        assert_ne!(of("2001:db8:1::1")[2], one[2]);
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
