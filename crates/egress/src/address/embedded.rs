//! IPv6 addresses that carry an IPv4 address, for somebody on the way to take out.

use std::net::{IpAddr, Ipv4Addr};

/// The IPv4 addresses within this one.
pub fn in_address(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let found = match address {
        IpAddr::V4(_) => [None, None],
        IpAddr::V6(address) => within(address.segments()),
    };
    found.into_iter().flatten().map(IpAddr::V4)
}

fn within(segments: [u16; 8]) -> [Option<Ipv4Addr>; 2] {
    let [_, one, two, three, .., six, seven] = segments;
    match segments {
        // `::` and `::1` are IPv6's own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // IPv4-compatible, IPv4-mapped; NAT64 with the well-known prefix, and with a local one.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => {
            [Some(joined(six, seven)), None]
        }
        // Teredo: the server it asks, and the client behind it, inverted.
        [0x2001, 0, ..] => [Some(joined(two, three)), Some(joined(!six, !seven))],
        // 6to4.
        [0x2002, ..] => [Some(joined(one, two)), None],
        _ => [None, None],
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
