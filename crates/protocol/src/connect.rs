//! The connect token: what a `connectUrl` carries, and all that a gateway needs to let a client in.

use std::fmt;

use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use wharf_domain::{Clock, Generation, ProjectId, SessionId, Timestamp};

use crate::{SigningKey, VerifyingKey};

const AUDIENCE: &str = "connect";

/// Who may connect to what, until when.
///
/// The claims depend on the session alone, not on when the token is made, and Ed25519 signatures are deterministic:
/// a session that runs has one token, so a client can reconnect with the URL it was first given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectClaims {
    /// The session.
    #[serde(rename = "sub")]
    pub session: SessionId,
    /// Its project.
    #[serde(rename = "prj")]
    pub project: ProjectId,
    /// The launch that the token is for.
    #[serde(rename = "gen")]
    pub generation: Generation,
    /// Where the session's worker takes connections: `host:port`.
    #[serde(rename = "wrk")]
    pub worker: String,
    /// What the holder may do.
    #[serde(rename = "scp")]
    pub scope: Scope,
    /// The session's deadline, in seconds since 1970; the token ends with the session.
    #[serde(rename = "exp")]
    pub expires_at: i64,
}

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Drive the browser.
    Connect,
}

/// A token in its text form. Whoever holds it drives the session.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectToken(String);

impl ConnectToken {
    /// Takes what a client sent; only a verifier says whether it is good.
    pub const fn from_client(text: String) -> Self {
        Self(text)
    }

    /// The token itself, for a URL.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ConnectToken(…)")
    }
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum InvalidToken {
    /// Not a token of this control plane, or changed.
    #[error("the signing key is not valid")]
    Forged,
    /// The session's deadline has passed.
    #[error("the session has ended")]
    Expired,
}

/// Makes tokens.
#[derive(Clone)]
pub struct ConnectSigner(jsonwebtoken::EncodingKey);

impl ConnectSigner {
    /// A signer with the control plane's private key.
    pub fn new(key: &SigningKey) -> Self {
        Self(key.for_jwt())
    }

    /// The token for these claims.
    pub fn sign(&self, claims: &ConnectClaims) -> ConnectToken {
        let header = jsonwebtoken::Header::new(Algorithm::EdDSA);
        let claims = Audience {
            audience: AUDIENCE,
            claims,
        };
        ConnectToken(
            jsonwebtoken::encode(&header, &claims, &self.0).expect("claims are JSON, and the key is Ed25519"),
        )
    }
}

#[derive(Serialize)]
struct Audience<'claims> {
    #[serde(rename = "aud")]
    audience: &'static str,
    #[serde(flatten)]
    claims: &'claims ConnectClaims,
}

/// Checks tokens.
#[derive(Clone)]
pub struct ConnectVerifier {
    key: jsonwebtoken::DecodingKey,
    validation: Validation,
}

impl ConnectVerifier {
    /// A verifier with the control plane's public key.
    pub fn new(key: &VerifyingKey) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // Checked against our own clock, below.
        validation.validate_exp = false;
        Self {
            key: key.for_jwt(),
            validation,
        }
    }

    /// What the token says, when it is ours and its session's deadline has not passed.
    ///
    /// # Errors
    /// The token was not made by this control plane, or it is past its time.
    pub fn verify(&self, token: &ConnectToken, clock: &dyn Clock) -> Result<ConnectClaims, InvalidToken> {
        let claims = jsonwebtoken::decode::<ConnectClaims>(&token.0, &self.key, &self.validation)
            .map_err(|_| InvalidToken::Forged)?
            .claims;
        let expires_at = Timestamp::from_timestamp(claims.expires_at, 0).ok_or(InvalidToken::Forged)?;
        if expires_at <= clock.now() {
            Err(InvalidToken::Expired)
        } else {
            Ok(claims)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use wharf_domain::{ManualClock, SeededEntropy};

    use super::*;

    fn clock() -> ManualClock {
        ManualClock::starting_at(Timestamp::from_timestamp(1_000, 0).expect("in range"))
    }

    fn claims() -> ConnectClaims {
        let entropy = SeededEntropy::new(3);
        ConnectClaims {
            session: SessionId::mint(&clock(), &entropy),
            project: ProjectId::mint(&clock(), &entropy),
            generation: Generation::FIRST,
            worker: "127.0.0.1:9000".to_owned(),
            scope: Scope::Connect,
            expires_at: 1_060,
        }
    }

    #[test]
    fn a_token_says_what_was_signed_and_is_always_the_same() {
        let key = SigningKey::generate();
        let token = ConnectSigner::new(&key).sign(&claims());
        assert_eq!(token, ConnectSigner::new(&key).sign(&claims()));
        assert_eq!(
            ConnectVerifier::new(key.verifying_key()).verify(&token, &clock()),
            Ok(claims())
        );
    }

    #[test]
    fn a_token_ends_with_its_session() {
        let key = SigningKey::generate();
        let token = ConnectSigner::new(&key).sign(&claims());
        let clock = clock();
        clock.advance(Duration::from_secs(60));
        assert_eq!(
            ConnectVerifier::new(key.verifying_key()).verify(&token, &clock),
            Err(InvalidToken::Expired)
        );
    }

    #[test]
    fn another_control_planes_token_is_forged() {
        let token = ConnectSigner::new(&SigningKey::generate()).sign(&claims());
        let verifier = ConnectVerifier::new(SigningKey::generate().verifying_key());
        assert_eq!(verifier.verify(&token, &clock()), Err(InvalidToken::Forged));
    }

    #[test]
    fn a_token_without_a_signature_is_forged() {
        let key = SigningKey::generate();
        let verifier = ConnectVerifier::new(key.verifying_key());
        let token = ConnectSigner::new(&key).sign(&claims());
        let body = token.expose().split('.').nth(1).expect("a JWT has three parts");
        // {"alg":"none"}
        let unsigned = ConnectToken::from_client(format!("eyJhbGciOiJub25lIn0.{body}."));
        assert_eq!(verifier.verify(&unsigned, &clock()), Err(InvalidToken::Forged));
    }

    proptest! {
        #[test]
        fn a_changed_token_lets_nobody_in(at: prop::sample::Index, to in "[0-9A-Za-z_.-]") {
            let key = SigningKey::generate();
            let mut text = ConnectSigner::new(&key).sign(&claims()).expose().to_owned();
            let at = at.index(text.len());
            prop_assume!(text[at..=at] != to);
            // The last character of base64 carries unused bits: another spelling of the same bytes is not a change.
            prop_assume!(at != text.len() - 1);
            text.replace_range(at..=at, &to);
            let verdict = ConnectVerifier::new(key.verifying_key()).verify(&ConnectToken::from_client(text), &clock());
            prop_assert_eq!(verdict, Err(InvalidToken::Forged));
        }
    }

    #[test]
    fn a_token_does_not_show_itself_when_debugged() {
        let token = ConnectSigner::new(&SigningKey::generate()).sign(&claims());
        assert!(!format!("{token:?}").contains(&token.expose()[..10]));
    }
}
