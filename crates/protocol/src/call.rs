//! The signature on a call from the control plane to a worker.
//!
//! A worker obeys whoever can reach it, unless calls are signed. The signature covers the worker, the path and the
//! body, and lasts half a minute, so that a recorded call can be repeated only where repeating it changes nothing.

use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wharf_domain::{Clock, WorkerId};

use crate::{SigningKey, VerifyingKey};

/// The header that carries the signature.
pub const CALL_SIGNATURE_HEADER: &str = "x-wharf-signature";

const LIFETIME_SECONDS: i64 = 30;
/// How far a worker's clock may be behind or ahead.
const SKEW_SECONDS: i64 = 30;

/// A call that the control plane did not make, or not just now.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error(
    "the call is not signed by this worker's control plane, or its signature is too old: do the clocks agree?"
)]
pub struct InvalidCall;

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    path: String,
    body: Vec<u8>,
}

/// Signs calls.
#[derive(Clone)]
pub struct CallSigner(jsonwebtoken::EncodingKey);

impl CallSigner {
    /// A signer with the control plane's private key.
    pub fn new(key: &SigningKey) -> Self {
        Self(key.for_jwt())
    }

    /// The signature for this call, as the header's value.
    pub fn sign(&self, worker: WorkerId, path: &str, body: &[u8], clock: &dyn Clock) -> String {
        let claims = Claims {
            aud: worker.to_string(),
            exp: clock.now().timestamp() + LIFETIME_SECONDS,
            path: path.to_owned(),
            body: Sha256::digest(body).to_vec(),
        };
        let header = jsonwebtoken::Header::new(Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims, &self.0).expect("claims are JSON, and the key is Ed25519")
    }
}

/// Checks calls.
#[derive(Clone)]
pub struct CallVerifier(jsonwebtoken::DecodingKey);

impl CallVerifier {
    /// A verifier with the control plane's public key.
    pub fn new(key: &VerifyingKey) -> Self {
        Self(key.for_jwt())
    }

    /// Whether the control plane made this call to this worker within the last half minute.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(
        &self,
        signature: &str,
        worker: WorkerId,
        path: &str,
        body: &[u8],
        clock: &dyn Clock,
    ) -> Result<(), InvalidCall> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[worker.to_string()]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // Checked against our own clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(signature, &self.0, &validation)
            .map_err(|_| InvalidCall)?
            .claims;
        let left = claims.exp - clock.now().timestamp();
        let timely = (-SKEW_SECONDS..=LIFETIME_SECONDS + SKEW_SECONDS).contains(&left);
        let meant = claims.path == path && claims.body == Sha256::digest(body).to_vec();
        if timely && meant { Ok(()) } else { Err(InvalidCall) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_domain::{ManualClock, SeededEntropy, Timestamp};

    use super::*;

    #[test]
    fn only_the_signed_call_to_the_named_worker_is_obeyed() {
        let key = SigningKey::generate();
        let (signer, verifier) = (CallSigner::new(&key), CallVerifier::new(key.verifying_key()));
        let clock = ManualClock::starting_at(Timestamp::from_timestamp(1_000, 0).expect("in range"));
        let entropy = SeededEntropy::new(5);
        let (worker, other) = (WorkerId::mint(&clock, &entropy), WorkerId::mint(&clock, &entropy));
        let signature = signer.sign(worker, "/launch", b"{}", &clock);

        assert_eq!(
            verifier.verify(&signature, worker, "/launch", b"{}", &clock),
            Ok(())
        );
        assert_eq!(
            verifier.verify(&signature, other, "/launch", b"{}", &clock),
            Err(InvalidCall)
        );
        assert_eq!(
            verifier.verify(&signature, worker, "/release", b"{}", &clock),
            Err(InvalidCall)
        );
        assert_eq!(
            verifier.verify(&signature, worker, "/launch", b"{ }", &clock),
            Err(InvalidCall)
        );
        assert_eq!(
            verifier.verify("", worker, "/launch", b"{}", &clock),
            Err(InvalidCall)
        );
        let stranger = CallSigner::new(&SigningKey::generate()).sign(worker, "/launch", b"{}", &clock);
        assert_eq!(
            verifier.verify(&stranger, worker, "/launch", b"{}", &clock),
            Err(InvalidCall)
        );
    }

    #[test]
    fn a_signature_lasts_a_minute_at_most() {
        let key = SigningKey::generate();
        let clock = ManualClock::starting_at(Timestamp::from_timestamp(1_000, 0).expect("in range"));
        let worker = WorkerId::mint(&clock, &SeededEntropy::new(5));
        let signature = CallSigner::new(&key).sign(worker, "/launch", b"{}", &clock);
        clock.advance(Duration::from_secs(61));
        let verdict =
            CallVerifier::new(key.verifying_key()).verify(&signature, worker, "/launch", b"{}", &clock);
        assert_eq!(verdict, Err(InvalidCall));
    }
}
