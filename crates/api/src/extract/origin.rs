//! Where the caller reached us, and so where it will reach the gateway.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use url::Url;

use crate::state::Api;

/// The gateway's address as the caller sees it: the configured one, or else the one that the caller used for this call.
/// So a laptop, a container's mapped port and a tunnel all work without configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    secure: bool,
    authority: String,
}

impl Origin {
    /// Where WebSocket clients connect.
    pub(crate) fn connect_url(&self, token: &str) -> String {
        format!(
            "{}://{}/?signingKey={token}",
            if self.secure { "wss" } else { "ws" },
            self.authority
        )
    }

    /// Where WebDriver clients connect.
    pub(crate) fn selenium_url(&self) -> String {
        format!(
            "{}://{}/webdriver",
            if self.secure { "https" } else { "http" },
            self.authority
        )
    }

    fn of_url(url: &Url) -> Self {
        Self {
            secure: matches!(url.scheme(), "https" | "wss"),
            authority: url.authority().to_owned(),
        }
    }

    fn of_headers(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let authority = text(header::HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
        Self {
            secure: text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            authority: authority.map_or_else(|| "localhost".to_owned(), |authority| authority.to_string()),
        }
    }
}

impl FromRequestParts<Api> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        Ok(api
            .connect_url
            .as_deref()
            .map_or_else(|| Self::of_headers(&parts.headers), Self::of_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn a_caller_connects_where_it_called() {
        let origin = Origin::of_headers(&headers(&[("host", "127.0.0.1:8080")]));
        assert_eq!(origin.connect_url("T"), "ws://127.0.0.1:8080/?signingKey=T");
        assert_eq!(origin.selenium_url(), "http://127.0.0.1:8080/webdriver");
    }

    #[test]
    fn behind_tls_the_urls_are_secure() {
        let origin = Origin::of_headers(&headers(&[
            ("host", "wharf.example"),
            ("x-forwarded-proto", "https"),
        ]));
        assert_eq!(origin.connect_url("T"), "wss://wharf.example/?signingKey=T");
    }

    #[test]
    fn a_configured_gateway_wins() {
        let url = "wss://connect.example:8443".parse().expect("a URL");
        assert_eq!(
            Origin::of_url(&url).connect_url("T"),
            "wss://connect.example:8443/?signingKey=T"
        );
    }

    #[test]
    fn a_host_that_is_none_does_not_reach_the_answer() {
        assert_eq!(
            Origin::of_headers(&headers(&[("host", "a b/<c>")])).authority,
            "localhost"
        );
    }
}
