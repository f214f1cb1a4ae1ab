//! A host as a browser reads it, so that no spelling of an address passes for a name.

use std::fmt;
use std::net::IpAddr;

/// The longest name in DNS.
const LONGEST_NAME: usize = 253;

/// A host of a URL: a name, or an address in any of the spellings that browsers take for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case, in ASCII, without a dot at the end.
    Name(String),
    /// Written as `127.0.0.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`, `127.0.0.1.`, `[::1]` and so on.
    Address(IpAddr),
}

/// This is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name or the address of a host")]
pub struct BadHost;

impl Host {
    /// Reads a host as the URL standard does.
    ///
    /// # Errors
    /// It is neither a name nor an address.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        match url::Host::parse(text).map_err(|_| BadHost)? {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(address.into())),
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && !name.ends_with('.');
                is_name.then(|| Self::Name(name.to_owned())).ok_or(BadHost)
            }
        }
    }

    /// Whether it is this machine by name, which no lookup may change (RFC 6761).
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }
}

/// As in a URL: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Option<String> {
        match Host::parse(text) {
            Ok(Host::Address(address)) => Some(address.to_string()),
            _ => None,
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_an_address() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "2130706433",
            "2130706433.",
            "017700000001",
            "0x7f000001",
            "0x7F.1",
            "0177.0.0.1",
            "0177.0x0.0.01",
            "127.0.0.0x1",
            "%31%32%37.0.0.1",
            "127%2e0%2e0%2e1",
            "１２７.0.0.1",
            "127。0。0。1",
        ] {
            assert_eq!(address(text).as_deref(), Some("127.0.0.1"), "{text}");
        }
        for (text, expected) in [
            ("[::1]", "::1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
            ("[::FFFF:7f00:1]", "::ffff:127.0.0.1"),
            ("0", "0.0.0.0"),
            ("0x", "0.0.0.0"),
            ("4294967295", "255.255.255.255"),
        ] {
            assert_eq!(address(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_neither_name_nor_address_is_refused() {
        let long = format!("{}com", "a.".repeat(127));
        for text in [
            "",
            ".",
            "a..",
            "::1",
            "[::1",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "1.2.3.256",
            "256.256.256.256",
            "1.2.3.4.5",
            "4294967296",
            "09.0.0.1",
            "foo.1",
            "a b",
            "a/b",
            "a%00b",
            "a\r\nb",
            &long,
        ] {
            assert_eq!(Host::parse(text), Err(BadHost), "{text:?}");
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        for text in ["Example.COM", "example.com.", "%65xample.com", "ｅxample.com"] {
            assert_eq!(
                Host::parse(text),
                Ok(Host::Name("example.com".to_owned())),
                "{text}"
            );
        }
        assert_eq!(Host::parse("bücher.de").unwrap().to_string(), "xn--bcher-kva.de");
        for text in ["localhost", "LOCALHOST.", "a.localhost", "a.b.localhost."] {
            assert!(Host::parse(text).unwrap().is_localhost(), "{text}");
        }
        for text in ["localhost.com", "notlocalhost", "127.0.0.1"] {
            assert!(!Host::parse(text).unwrap().is_localhost(), "{text}");
        }
    }

    fn number(value: u32, base: u8) -> String {
        match base {
            0 => format!("{value}"),
            1 => format!("0{value:o}"),
            _ => format!("0x{value:x}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn any_parts_in_any_base_are_the_address(bits in any::<u32>(), parts in 1_usize..=4, bases in any::<[u8; 4]>(), dot in any::<bool>()) {
            let mut words: Vec<String> = (0..parts - 1)
                .map(|part| number(bits >> (24 - 8 * part) & 0xff, bases[part] % 3))
                .collect();
            let kept = 32 - 8 * (parts - 1);
            let last = (u64::from(bits) & ((1_u64 << kept) - 1)) as u32;
            words.push(number(last, bases[parts - 1] % 3));
            let text = words.join(".") + if dot { "." } else { "" };
            prop_assert_eq!(Host::parse(&text), Ok(Host::Address(std::net::Ipv4Addr::from_bits(bits).into())), "{}", text);
        }

        #[test]
        fn what_is_displayed_is_read_as_the_same(text in "\\PC{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }
    }
}
