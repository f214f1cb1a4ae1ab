//! Does an upstream proxy answer, and does it take the credentials? Asked before a session is promised one.

use std::sync::Arc;

use super::Upstream;
use crate::address::{AddressPolicy, Refusal};
use crate::meter::{Meter, RoadMeter};
use crate::options::Options;
use crate::resolve::Names;
use crate::tasks::Tasks;
use crate::world::Dialler;

/// What is wrong with an upstream proxy. Displays as a clause about "it", without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The address policy forbids its address.
    #[error("its address {0}")]
    Address(Refusal),
    /// Its host has no address.
    #[error("its name was not found")]
    NameNotFound,
    /// No connection, or one that broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No connection within the time for one.
    #[error("it did not answer in time")]
    TimedOut,
    /// It was reached, and did not open a tunnel within the time for that.
    #[error("it did not open a tunnel in time")]
    TunnelTimedOut,
    /// No TLS, or a certificate that is not trusted.
    #[error("TLS with it failed: {0}")]
    Tls(String),
    /// It answered 407.
    #[error("it refused the credentials (407)")]
    CredentialsRefused,
    /// It answered something else than success.
    #[error("it answered {0}")]
    Answered(u16),
    /// What answers does not know CONNECT, or is not HTTP.
    #[error("what answers there is not a proxy")]
    NotAProxy,
}

impl ProbeError {
    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::Address(refusal) => return format!("upstream-address-{}", refusal.rule.code()),
            Self::Answered(status) => return format!("upstream-answered-{status}"),
            Self::NameNotFound => "upstream-name-not-found",
            Self::Unreachable(_) => "upstream-unreachable",
            Self::TimedOut | Self::TunnelTimedOut => "upstream-timeout",
            Self::Tls(_) => "upstream-tls",
            Self::CredentialsRefused => "upstream-credentials",
            Self::NotAProxy => "upstream-not-a-proxy",
        };
        code.to_owned()
    }
}

impl Upstream {
    /// Asks it for a tunnel to `target`, such as `example.com:443`, and closes that. A refusal of the target is good news:
    /// only a proxy that has taken the credentials answers so. Takes at most the options' timeouts for connecting and for
    /// upstream proxies. Its bytes are not counted.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn probe(
        &self,
        target: &str,
        addresses: &AddressPolicy,
        options: &Options,
    ) -> Result<(), ProbeError> {
        let tasks = Tasks::default();
        let dialler = Dialler {
            names: Names::new(Arc::clone(&options.resolver), 1, tasks.clone()),
            options: Arc::new(options.clone()),
        };
        let meter = Arc::new(RoadMeter::new(Arc::new(Meter::default()), false));
        let opened = dialler.through(self, target, addresses, &meter).await;
        tasks.stop();
        match opened {
            Ok(_) => Ok(()),
            // What servers that are no proxies say to CONNECT.
            Err(ProbeError::Answered(400 | 404 | 405 | 501)) => Err(ProbeError::NotAProxy),
            Err(ProbeError::Answered(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
