//! What an address is, by the registries of special-purpose addresses (RFC 6890 and its successors).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not an ordinary one of the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// 0.0.0.0 and `::`, by which Linux reaches the machine itself.
    Unspecified,
    /// RFC 1918.
    Private,
    /// 100.64.0.0/10: a provider's network, or an overlay's.
    Shared,
    /// `fc00::/7`, and `fec0::/10` of old.
    UniqueLocal,
    /// 198.18.0.0/15 and `2001:2::/48`, used by laboratories and by some VPNs.
    Benchmarking,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// Where a cloud tells a machine its secrets.
    Metadata,
    /// 0.0.0.0/8.
    ThisNetwork,
    /// 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// 192.0.2.0/24 and the like.
    Documentation,
    /// 192.0.0.0/24, `2001::/23` other than Teredo.
    Protocol,
    /// `64:ff9b:1::/48`: a translation that only the local network knows.
    LocalTranslation,
    /// 240.0.0.0/4, 192.88.99.0/24, and IPv6 outside of `2000::/3`.
    Reserved,
}

use AddressClass::{
    Benchmarking, Broadcast, Documentation, LinkLocal, LocalTranslation, Loopback, Metadata, Multicast,
    Private, Protocol, Reserved, Shared, ThisNetwork, UniqueLocal, Unspecified,
};

/// Link-local ones are metadata services by their use; the others hide among public, shared and reserved addresses.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254), // nearly every cloud
    Ipv4Addr::new(169, 254, 169, 253), // AWS: its resolver
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS: credentials of a task
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS: credentials of a pod
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(168, 63, 129, 16),   // Azure: the wire server
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, of old
];

const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253), // AWS: its resolver
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
];

impl AddressClass {
    /// What this address is; `None` for an ordinary one. One that only carries another (see `embedded`) has no class of
    /// its own.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether it is open where private addresses are.
    pub fn is_private(self) -> bool {
        matches!(
            self,
            Loopback | Unspecified | Private | Shared | UniqueLocal | Benchmarking
        )
    }

    /// A word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Loopback => "loopback",
            Unspecified => "unspecified",
            Private => "private",
            Shared => "shared",
            UniqueLocal => "unique-local",
            Benchmarking => "benchmarking",
            LinkLocal => "link-local",
            Metadata => "metadata",
            ThisNetwork => "this-network",
            Multicast => "multicast",
            Broadcast => "broadcast",
            Documentation => "documentation",
            Protocol => "protocol",
            LocalTranslation => "local-translation",
            Reserved => "reserved",
        }
    }

    /// What it is, to go on after "the address is".
    pub fn words(self) -> &'static str {
        match self {
            Loopback => "a loopback address (the machine itself)",
            Unspecified => "the unspecified address (the machine itself)",
            Private => "in a private network (RFC 1918)",
            Shared => "in a provider's shared network (100.64.0.0/10)",
            UniqueLocal => "in a private network (fc00::/7)",
            Benchmarking => "in a network for measurements (198.18.0.0/15)",
            LinkLocal => "a link-local address",
            Metadata => "a cloud's metadata service",
            ThisNetwork => "in 0.0.0.0/8, which names no host",
            Multicast => "a multicast address",
            Broadcast => "the broadcast address",
            Documentation => "reserved for documentation",
            Protocol => "reserved for protocols of the internet itself",
            LocalTranslation => "in a local translation network (64:ff9b:1::/48)",
            Reserved => "reserved",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    if METADATA_V4.contains(&address) {
        return Some(Metadata);
    }
    let class = match address.octets() {
        [0, 0, 0, 0] => Unspecified,
        [0, ..] => ThisNetwork,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Private,
        [100, 64..=127, ..] => Shared,
        [127, ..] => Loopback,
        [169, 254, ..] => LinkLocal,
        [192, 0, 0, _] => Protocol,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Documentation,
        [198, 18..=19, ..] => Benchmarking,
        [224..=239, ..] => Multicast,
        [255, 255, 255, 255] => Broadcast,
        [192, 88, 99, _] | [240..=255, ..] => Reserved,
        _ => return None,
    };
    Some(class)
}

fn of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    if METADATA_V6.contains(&address) {
        return Some(Metadata);
    }
    let class = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Loopback,
        // IPv4-compatible, IPv4-mapped, NAT64, Teredo and 6to4: as what they carry.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => return None,
        [0x2001, 0, ..] | [0x2002, ..] => return None,
        [0x64, 0xff9b, 1, ..] => LocalTranslation,
        [0x2001, 2, 0, ..] => Benchmarking,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Documentation,
        [0x2001, 0..=0x01ff, ..] => Protocol,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => UniqueLocal,
        [0xfe80..=0xfebf, ..] => LinkLocal,
        [0xff00..=0xffff, ..] => Multicast,
        [0x2000..=0x3fff, ..] => return None,
        _ => Reserved,
    };
    Some(class)
}
