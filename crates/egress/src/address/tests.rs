use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn refused(policy: &AddressPolicy, address: &str) -> Option<&'static str> {
    policy
        .check(address.parse().unwrap())
        .err()
        .map(|refusal| refusal.rule.code())
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Each range by its first and last address, and its neighbours where they are open.
const RANGES: [(&str, &str); 56] = [
    ("0.0.0.0", "unspecified"),
    ("0.0.0.1", "this-network"),
    ("0.255.255.255", "this-network"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "shared"),
    ("100.127.255.255", "shared"),
    ("100.100.100.200", "metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("168.63.129.16", "metadata"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "protocol"),
    ("192.0.0.192", "metadata"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "reserved"),
    ("192.168.0.0", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.0", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.255", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:0:8.8.8.8", "reserved"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b:1::8.8.8.8", "local-translation"),
    ("100::1", "reserved"),
    ("2001::f7f7:f7f7", "unspecified"),
    ("2001:0:a00:1::f7f7:f7f7", "private"),
    ("2001:0:808:808::80ff:fffe", "loopback"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "protocol"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback"),
    ("2002:c0a8:101::1", "private"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "unique-local"),
    ("fd00:ec2::254", "metadata"),
    ("fe80::1", "link-local"),
    ("fec0::1", "unique-local"),
    ("ff02::1", "multicast"),
];

const OPEN: [&str; 16] = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
];

#[test]
fn by_default_only_the_public_internet_is_open() {
    let policy = AddressPolicy::default();
    for (address, code) in RANGES {
        assert_eq!(refused(&policy, address), Some(code), "{address}");
    }
    for address in OPEN {
        assert_eq!(refused(&policy, address), None, "{address}");
    }
}

#[test]
fn private_addresses_can_be_opened_but_not_metadata() {
    let policy = AddressPolicy {
        private: PrivateAddresses::Allowed,
        own: vec!["8.8.4.4".parse().unwrap()],
        ..AddressPolicy::default()
    };
    let private = [
        "loopback",
        "unspecified",
        "private",
        "shared",
        "unique-local",
        "benchmarking",
    ];
    for (address, code) in RANGES {
        let expected = (!private.contains(&code)).then_some(code);
        assert_eq!(refused(&policy, address), expected, "{address}");
    }
    assert_eq!(refused(&policy, "8.8.4.4"), None);
}

#[test]
fn deny_beats_allow_beats_what_it_is() {
    let policy = AddressPolicy {
        private: PrivateAddresses::Denied,
        allow: nets(&["10.0.0.0/8", "169.254.169.254/32", "fd00::/8"]),
        deny: nets(&["10.1.0.0/16", "8.8.0.0/16", "::ffff:0:0/96"]),
        own: vec!["8.9.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap()],
    };
    for (address, code) in [
        ("10.0.0.1", None),
        ("10.2.0.1", None),
        ("10.1.0.1", Some("denied")),
        ("8.8.8.8", Some("denied")),
        ("8.9.0.1", Some("own")),
        ("2002:809:1::", Some("own")),
        ("169.254.169.254", None),
        ("169.254.169.253", Some("metadata")),
        ("64:ff9b::10.0.0.1", None),
        ("64:ff9b::10.1.0.1", Some("denied")),
        ("::ffff:10.0.0.1", Some("denied")),
        ("fd00:ec2::254", None),
        ("192.168.0.1", Some("private")),
    ] {
        assert_eq!(refused(&policy, address), code, "{address}");
    }
}

#[test]
fn a_refusal_is_a_sentence() {
    let policy = AddressPolicy {
        deny: nets(&["8.8.0.0/16"]),
        ..AddressPolicy::default()
    };
    let said = |address: &str| policy.check(address.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(
        said("169.254.169.254"),
        "169.254.169.254 is a cloud's metadata service"
    );
    assert_eq!(
        said("8.8.8.8"),
        "8.8.8.8 is in 8.8.0.0/16, which this machine's operator has closed"
    );
}

fn address_v4() -> impl Strategy<Value = Ipv4Addr> {
    let nearby = prop::sample::select(
        RANGES
            .iter()
            .filter_map(|(text, _)| text.parse::<Ipv4Addr>().ok())
            .collect::<Vec<_>>(),
    )
    .prop_flat_map(|address| (Just(address.to_bits()), 0_u32..3))
    .prop_map(|(bits, step)| Ipv4Addr::from_bits(bits.wrapping_add(step).wrapping_sub(1)));
    prop_oneof![any::<u32>().prop_map(Ipv4Addr::from_bits), nearby]
}

fn net_v4() -> impl Strategy<Value = IpNet> {
    (address_v4(), 0_u8..=32).prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap())
}

fn policy() -> impl Strategy<Value = AddressPolicy> {
    let nets = || prop::collection::vec(net_v4(), 0..3);
    let own = prop::collection::vec(address_v4().prop_map(IpAddr::V4), 0..2);
    (any::<bool>(), nets(), nets(), own).prop_map(|(open, allow, deny, own)| AddressPolicy {
        private: if open {
            PrivateAddresses::Allowed
        } else {
            PrivateAddresses::Denied
        },
        allow,
        deny,
        own,
    })
}

/// The same IPv4 address as IPv6 writes it.
fn spellings(address: Ipv4Addr) -> [IpAddr; 4] {
    let [a, b, c, d] = address.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 0).into(),
        // A Teredo client, of a server that nobody could object to.
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !high, !low).into(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn every_spelling_has_the_verdict_of_the_address(address in address_v4(), policy in policy()) {
        let verdict = policy.check(address.into()).map_err(|refusal| refusal.rule);
        for spelling in spellings(address) {
            let other = policy.check(spelling).map_err(|refusal| refusal.rule);
            prop_assert_eq!(other, verdict, "{} for {}", spelling, address);
        }
    }

    #[test]
    fn what_is_denied_is_closed_and_else_what_is_allowed_is_open(address in address_v4(), policy in policy()) {
        let address = IpAddr::V4(address);
        let open = policy.check(address).is_ok();
        if policy.deny.iter().any(|net| net.contains(&address)) {
            prop_assert!(!open);
        } else if policy.allow.iter().any(|net| net.contains(&address)) {
            prop_assert!(open);
        }
    }

    #[test]
    fn opening_private_addresses_closes_nothing(bits in any::<u128>(), policy in policy()) {
        let opened = AddressPolicy { private: PrivateAddresses::Allowed, ..policy.clone() };
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_assert!(policy.check(address).is_err() || opened.check(address).is_ok());
    }
}
