//! The control plane's Ed25519 key pair. The private half signs connect tokens and calls to workers; gateways and
//! workers hold the public half only.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A text that is not a key of the kind that was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an Ed25519 {0} key in base64")]
pub struct InvalidKey(&'static str);

/// The private half. Its text form is PKCS#8 in base64, one line.
#[derive(Clone)]
pub struct SigningKey {
    pkcs8: Vec<u8>,
    public: VerifyingKey,
}

/// The public half. Its text form is the 32 raw bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

impl SigningKey {
    /// A new pair, from the cryptographic library's own generator.
    pub fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().expect("the operating system gives random bytes");
        let pkcs8 = pair
            .to_pkcs8v1()
            .expect("a new key has a PKCS#8 form")
            .as_ref()
            .to_vec();
        Self {
            pkcs8,
            public: VerifyingKey(pair.public_key().as_ref().to_vec()),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The text is not such a key.
    pub fn from_text(text: &str) -> Result<Self, InvalidKey> {
        let pkcs8 = BASE64.decode(text.trim()).map_err(|_| InvalidKey("private"))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).map_err(|_| InvalidKey("private"))?;
        let public = VerifyingKey(pair.public_key().as_ref().to_vec());
        Ok(Self { pkcs8, public })
    }

    /// The text form, for a file that only its owner reads.
    pub fn expose(&self) -> String {
        BASE64.encode(&self.pkcs8)
    }

    /// The public half.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    pub(crate) fn for_jwt(&self) -> jsonwebtoken::EncodingKey {
        jsonwebtoken::EncodingKey::from_ed_der(&self.pkcs8)
    }
}

impl VerifyingKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// The text is not such a key.
    pub fn from_text(text: &str) -> Result<Self, InvalidKey> {
        match BASE64.decode(text.trim()) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(bytes)),
            _ => Err(InvalidKey("public")),
        }
    }

    /// The text form.
    pub fn to_text(&self) -> String {
        BASE64.encode(&self.0)
    }

    pub(crate) fn for_jwt(&self) -> jsonwebtoken::DecodingKey {
        jsonwebtoken::DecodingKey::from_ed_der(&self.0)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey(public {})", self.public.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_survive_their_text_form() {
        let key = SigningKey::generate();
        let again = SigningKey::from_text(&key.expose()).expect("what was written is read");
        assert_eq!(again.verifying_key(), key.verifying_key());
        assert_eq!(
            VerifyingKey::from_text(&key.verifying_key().to_text()).as_ref(),
            Ok(key.verifying_key())
        );
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "not base64!", "AAAA"] {
            assert!(
                SigningKey::from_text(text).is_err() && VerifyingKey::from_text(text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_private_half_does_not_show_itself_when_debugged() {
        let key = SigningKey::generate();
        assert!(!format!("{key:?}").contains(&key.expose()));
    }
}
