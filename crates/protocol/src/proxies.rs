//! Where a session's traffic goes out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which hosts take which road. The first rule that matches is taken; a host that none matches goes directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRule {
    /// The hosts, as a regular expression that is searched in their names; all without.
    pub domain_pattern: Option<String>,
    /// Where they go.
    pub road: ProxyRoad,
}

/// A road out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ProxyRoad {
    /// From the worker, uncounted.
    Direct,
    /// Through what the operator offers.
    BuiltIn {
        /// Whether it was asked to be in some place.
        somewhere: bool,
        /// In which.
        #[serde(default)]
        place: Option<ProxyPlace>,
    },
    /// Through the tenant's own proxy.
    External {
        /// Its address, which may hold a user and a password as well.
        server: String,
        /// Its user.
        username: Option<String>,
        /// The user's password.
        password: Option<ProxyPassword>,
    },
}

/// Without what stands before the host: it may be a password.
impl fmt::Debug for ProxyRoad {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => formatter.write_str("Direct"),
            Self::BuiltIn { somewhere, place } => formatter
                .debug_struct("BuiltIn")
                .field("somewhere", somewhere)
                .field("place", place)
                .finish(),
            Self::External {
                server,
                username,
                password,
            } => formatter
                .debug_struct("External")
                .field(
                    "server",
                    &server.rsplit_once('@').map_or(server.as_str(), |(_, host)| host),
                )
                .field("username", username)
                .field("password", password)
                .finish(),
        }
    }
}

/// Where a proxy is to be, as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyPlace {
    /// Its code of two letters.
    pub country: Option<String>,
    /// Likewise.
    pub state: Option<String>,
    /// Its name.
    pub city: Option<String>,
}

/// A tenant's password at its own proxy. Never in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxyPassword(String);

impl ProxyPassword {
    /// Wraps it.
    pub fn new(password: String) -> Self {
        Self(password)
    }

    /// The password itself, to be shown to the proxy.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProxyPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProxyPassword(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_in_what_is_logged() {
        for server in [
            "http://me:hunter2@proxy:1",
            "me:hunter2@proxy:1",
            "https://me:a@hunter2@proxy:1",
            "https://me:hunter2/@proxy:1",
            "http://proxy:1",
        ] {
            let road = ProxyRoad::External {
                server: server.to_owned(),
                username: None,
                password: Some(ProxyPassword::new("hunter2".to_owned())),
            };
            let logged = format!("{road:?}");
            assert!(
                logged.contains("proxy:1") && !logged.contains("hunter2"),
                "{logged}"
            );
        }
    }
}
