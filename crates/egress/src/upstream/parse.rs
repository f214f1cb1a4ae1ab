//! An upstream proxy as people write it: `http://user:password@proxy.example:3128`.

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Scheme, Upstream};
use crate::credentials::Credentials;

/// This does not name an upstream proxy. Displays as the reason, without what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUpstream {
    /// No URL with a host, or a URL with more than a host and a port.
    #[error("the server is not an address such as http://proxy.example:3128")]
    NotAServer,
    /// SOCKS and the like.
    #[error("only http:// and https:// proxies are supported")]
    Scheme,
    /// A name with a colon, or not in UTF-8.
    #[error("the user name or the password cannot be sent to a proxy")]
    Credentials,
}

impl Upstream {
    /// Reads a server and takes it for a tenant's whose bytes count. The port is the scheme's if it is missing; a server
    /// without a scheme is an HTTP one.
    ///
    /// # Errors
    /// It does not name an upstream proxy.
    pub fn parse(server: &str) -> Result<Self, BadUpstream> {
        let url = match server.contains("://") {
            true => Url::parse(server),
            false => Url::parse(&format!("http://{server}")),
        };
        let url = url.map_err(|_| BadUpstream::NotAServer)?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(BadUpstream::Scheme),
        };
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), bare) else {
            return Err(BadUpstream::NotAServer);
        };
        if port == 0 {
            return Err(BadUpstream::NotAServer);
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            credentials: credentials(&url)?,
            counted: true,
            trusted: false,
        })
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, BadUpstream> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(BadUpstream::Credentials),
    };
    let (username, password) = (decoded(url.username())?, decoded(url.password().unwrap_or(""))?);
    Credentials::new(username, password)
        .map(Some)
        .ok_or(BadUpstream::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("HTTP://Proxy.Example/", "http://proxy.example:80"),
            ("proxy.example:8080", "http://proxy.example:8080"),
            ("user:p%40ss@proxy.example:8080", "http://proxy.example:8080"),
            ("http://[::1]:3128", "http://[::1]:3128"),
            ("http://0x7f.1:3128", "http://127.0.0.1:3128"),
        ] {
            assert_eq!(Upstream::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_refused() {
        for (text, error) in [
            ("", BadUpstream::NotAServer),
            ("http://", BadUpstream::NotAServer),
            ("http://proxy.example:0", BadUpstream::NotAServer),
            ("http://proxy.example:99999", BadUpstream::NotAServer),
            ("http://proxy.example/path", BadUpstream::NotAServer),
            ("http://proxy.example?q", BadUpstream::NotAServer),
            ("http://a b:80", BadUpstream::NotAServer),
            ("socks5://proxy.example:1080", BadUpstream::Scheme),
            ("http://a%3Ab:c@proxy.example", BadUpstream::Credentials),
            ("http://%ff@proxy.example", BadUpstream::Credentials),
        ] {
            assert_eq!(Upstream::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let upstream = Upstream::parse("http://user:p%40ss@proxy.example").unwrap();
        assert_eq!(upstream.credentials, Credentials::new("user", "p@ss"));
        assert_eq!(upstream.authorization().unwrap(), "Basic dXNlcjpwQHNz");
        for shown in [
            format!("{upstream:?}"),
            upstream.to_string(),
            format!("{:?}", upstream.authorization()),
        ] {
            assert!(
                !shown.contains("user") && !shown.contains("ss@") && !shown.contains("dXN"),
                "{shown}"
            );
        }
    }
}
