//! Whose certificates an upstream proxy over TLS may show.

use std::fmt;
use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Whose certificates an upstream proxy over TLS may show. Cheap to clone; the default is the public authorities.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// This is not a certificate that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate in PEM: {0}")]
pub struct BadCertificate(String);

static PUBLIC: LazyLock<Trust> = LazyLock::new(|| {
    Trust::of(RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    })
});

impl Trust {
    /// The public authorities (Mozilla's list).
    pub fn public() -> Self {
        PUBLIC.clone()
    }

    /// The public authorities and these certificates, in PEM.
    ///
    /// # Errors
    /// One of them is not a certificate, or there is none.
    pub fn public_and(pem: &str) -> Result<Self, BadCertificate> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| BadCertificate(format!("{error:?}")))?;
            roots
                .add(certificate)
                .map_err(|error| BadCertificate(error.to_string()))?;
        }
        if roots.len() == webpki_roots::TLS_SERVER_ROOTS.len() {
            return Err(BadCertificate("there is none".to_owned()));
        }
        Ok(Self::of(roots))
    }

    #[expect(clippy::expect_used, reason = "both lists are the provider's own")]
    fn of(roots: RootCertStore) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the ciphers of the versions that it is built with")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::public()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Trust(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_trusted() {
        let certificate = include_str!("../tests/fixtures/upstream.pem");
        assert!(Trust::public_and(certificate).is_ok());
        for text in ["", "nonsense", &certificate.replace("MII", "AAA")] {
            assert!(Trust::public_and(text).is_err(), "{text}");
        }
    }
}
