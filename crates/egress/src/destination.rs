//! Where a request wants to go.

use std::fmt;

use hyper::http::uri::Authority;

use crate::failure::Failure;
use crate::host::Host;

/// A host and a port of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Destination {
    /// Reads the authority of a request; CONNECT has no default port.
    pub(crate) fn read(authority: &Authority, default_port: Option<u16>) -> Result<Self, Failure> {
        let text = authority.as_str();
        let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
        let split = match text.rfind(']') {
            Some(end) => text.split_at(end + 1),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match (split.1, default_port) {
            ("" | ":", Some(port)) => Some(port),
            (text, _) => text.strip_prefix(':').and_then(number),
        };
        let port = port.ok_or(Failure::Malformed(
            "the request names no port between 1 and 65535",
        ))?;
        let host = Host::parse(split.0).map_err(|_| Failure::Malformed("the request names no valid host"))?;
        Ok(Self { host, port })
    }

    /// As a `Host` header says it.
    pub(crate) fn authority(&self, default_port: u16) -> String {
        if self.port == default_port {
            self.host.to_string()
        } else {
            self.to_string()
        }
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, default_port: Option<u16>) -> Option<String> {
        let authority: Authority = text.parse().ok()?;
        Destination::read(&authority, default_port)
            .ok()
            .map(|read| read.to_string())
    }

    #[test]
    fn an_authority_is_a_host_and_a_port() {
        for (text, default_port, expected) in [
            ("example.com", Some(80), Some("example.com:80")),
            ("example.com:", Some(80), Some("example.com:80")),
            ("EXAMPLE.com.:8080", Some(80), Some("example.com:8080")),
            ("user:pass@0x7f.1:81", Some(80), Some("127.0.0.1:81")),
            ("[::1]", Some(80), Some("[::1]:80")),
            ("[::1]:443", None, Some("[::1]:443")),
            ("example.com", None, None),
            ("example.com:0", Some(80), None),
            ("example.com:65536", Some(80), None),
            ("example.com:+80", Some(80), None),
            ("example.com:80a", Some(80), None),
            ("[::1]x:80", Some(80), None),
            ("::1:80", Some(80), None),
        ] {
            assert_eq!(read(text, default_port).as_deref(), expected, "{text}");
        }
    }
}
