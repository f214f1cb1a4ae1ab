//! Another proxy on the way to the world.

mod parse;
mod probe;
mod through;

use std::fmt;

use hyper::header::HeaderValue;

pub use parse::BadUpstream;
pub use probe::ProbeError;

use crate::credentials::Credentials;

/// How an upstream proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Another proxy on the way to the world. Its Debug and Display show no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or address; IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it asks of its users.
    pub credentials: Option<Credentials>,
    /// Whether its bytes count as proxied.
    pub counted: bool,
    /// The operator's own choice: it may have any address, and over TLS only the public authorities speak for it. A tenant's
    /// must pass the address policy, and [`Options::trust`](crate::Options::trust) holds for it.
    pub trusted: bool,
}

impl Upstream {
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        self.credentials.as_ref().map(Credentials::header)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}
