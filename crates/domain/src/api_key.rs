//! Keys: what a caller, or a worker, proves itself with.
//!
//! A key is a prefix, 32 random bytes in base 62 and a checksum. The checksum lets a mistyped or truncated key, and a
//! secret scanner's false alarm, be told from a real one without asking the database. Only the SHA-256 is stored: with
//! 256 random bits there is nothing to guess, so a slow hash would protect nothing and cost every call.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::Entropy;

const RANDOM_BYTES: usize = 32;
/// 256 bits need 43 digits of base 62; 32 bits need 6.
const RANDOM_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text that is no key of ours: wrong prefix, length, alphabet or checksum.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a key of this service")]
pub struct InvalidApiKey;

/// The SHA-256 of a key: all that is stored of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            const PREFIX: &'static str = $prefix;

            /// A new key.
            pub fn mint(entropy: &dyn Entropy) -> Self {
                Self(mint(Self::PREFIX, entropy))
            }

            /// What is stored and looked up instead of the key.
            pub fn hash(&self) -> ApiKeyHash {
                ApiKeyHash(Sha256::digest(self.0.as_bytes()).into())
            }

            /// The key in full. It is shown once, when it is made, and is a secret from then on.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// The last four characters, by which a person tells keys apart.
            pub fn hint(&self) -> &str {
                &self.0[self.0.len() - 4..]
            }
        }

        impl FromStr for $name {
            type Err = InvalidApiKey;

            fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
                check(Self::PREFIX, text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "…{}"), self.hint())
            }
        }
    };
}

key!(
    /// A project's API key. Its prefix is the one that Browserbase's clients and public secret scanners know.
    ApiKey,
    "bb_live_"
);
key!(
    /// What a worker shows when it reports to the control plane.
    WorkerCredential,
    "wharf_worker_"
);

fn mint(prefix: &str, entropy: &dyn Entropy) -> String {
    let mut random = [0; RANDOM_BYTES];
    entropy.fill(&mut random);
    let digits = base_62(&random, RANDOM_DIGITS);
    let checksum = checksum(&digits);
    format!("{prefix}{digits}{checksum}")
}

fn check(prefix: &str, text: &str) -> Result<(), InvalidApiKey> {
    let body = text.strip_prefix(prefix).ok_or(InvalidApiKey)?;
    let well_formed = body.len() == RANDOM_DIGITS + CHECKSUM_DIGITS
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !well_formed {
        return Err(InvalidApiKey);
    }
    let (digits, sum) = body.split_at(RANDOM_DIGITS);
    if checksum(digits) == sum {
        Ok(())
    } else {
        Err(InvalidApiKey)
    }
}

fn checksum(digits: &str) -> String {
    base_62(&crc32fast::hash(digits.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// `number` (big-endian) in base 62, padded to `width`. Long division: the numbers are 32 bytes at most.
fn base_62(number: &[u8], width: usize) -> String {
    let mut quotient = number.to_vec();
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut quotient {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("remainder < 62, so the quotient fits a byte");
            remainder = value % 62;
        }
        *digit = BASE_62[remainder as usize];
    }
    String::from_utf8(digits).expect("base 62 is ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SeededEntropy, SystemEntropy};

    #[test]
    fn a_new_key_is_recognised_and_differs_from_the_next() {
        let first = ApiKey::mint(&SystemEntropy);
        let second = ApiKey::mint(&SystemEntropy);
        assert_eq!(first.expose().parse(), Ok(first.clone()));
        assert_ne!(first.hash(), second.hash());
        assert_eq!(first.expose().len(), "bb_live_".len() + 49);
    }

    #[test]
    fn a_key_of_one_kind_is_not_one_of_the_other() {
        let credential = WorkerCredential::mint(&SystemEntropy);
        assert_eq!(credential.expose().parse::<ApiKey>(), Err(InvalidApiKey));
    }

    #[test]
    fn a_key_does_not_show_itself_when_debugged() {
        let key = ApiKey::mint(&SeededEntropy::new(1));
        assert_eq!(format!("{key:?}"), format!("bb_live_…{}", key.hint()));
    }

    proptest! {
        #[test]
        fn one_changed_character_makes_a_key_invalid(seed: u64, at in 8_usize..57, to in "[0-9A-Za-z]") {
            let key = ApiKey::mint(&SeededEntropy::new(seed));
            let mut text = key.expose().to_owned();
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert_eq!(text.parse::<ApiKey>(), Err(InvalidApiKey));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<ApiKey>();
            let _ = format!("bb_live_{text}").parse::<ApiKey>();
        }
    }
}
