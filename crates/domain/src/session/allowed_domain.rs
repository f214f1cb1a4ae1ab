//! The domains that a session's pages may navigate to.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A domain that pages may navigate to, with everything below it; or one address.
///
/// Kept as a browser spells it: in lower case and punycode, without a dot at either end. `.a.example` and `*.a.example`
/// are other spellings of `a.example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllowedDomain(String);

/// A text that names no domain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "must be a host name as in \"example.com\", which allows what is below it too, without scheme, port and path; not {0:?}"
)]
pub struct InvalidAllowedDomain(String);

impl AllowedDomain {
    /// How many a session may have.
    pub const MOST: usize = 500;
    /// The longest, in bytes: that of any name.
    const LONGEST: usize = 253;
    /// How much of a wrong one is repeated in its error.
    const SHOWN: usize = 60;

    /// Reads one as people write it.
    ///
    /// # Errors
    /// It is not a host name, or more than one.
    pub fn parse(text: &str) -> Result<Self, InvalidAllowedDomain> {
        Self::read(text).ok_or_else(|| InvalidAllowedDomain(text.chars().take(Self::SHOWN).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.'));
        let host = Host::parse(name.unwrap_or(text)).ok()?;
        let spelled = match &host {
            Host::Domain(domain) => without_dot(domain),
            // Nothing is below an address.
            Host::Ipv4(_) | Host::Ipv6(_) if name.is_none() => return Some(Self(host.to_string())),
            Host::Ipv4(_) | Host::Ipv6(_) => return None,
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let whole = |label: &str| !label.is_empty() && label.bytes().all(plain);
        let fits = spelled.len() <= Self::LONGEST && spelled.split('.').all(whole);
        fits.then(|| Self(spelled.to_owned()))
    }

    /// As a browser spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a host is it, or is below it.
    fn holds(&self, host: &str) -> bool {
        let above = host.strip_suffix(self.0.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

/// Whether a page may navigate to this URL. What no host answers, such as `about:`, `data:` or `file:`, is not checked;
/// what a page has made itself (`blob:`, `filesystem:`) is of its origin; what cannot be read is refused.
pub fn may_navigate(url: &str, allowed: &[AllowedDomain]) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    if !is_made_by_a_page(&url) {
        return is_allowed(&url, allowed);
    }
    // A page without an origin, as that of `data:`, is null there.
    if url.scheme() == "blob" && url.path().starts_with("null/") {
        return true;
    }
    // No browser nests them, so it is never looked further into.
    Url::parse(url.path()).is_ok_and(|origin| !is_made_by_a_page(&origin) && is_allowed(&origin, allowed))
}

fn is_made_by_a_page(url: &Url) -> bool {
    matches!(url.scheme(), "blob" | "filesystem")
}

fn is_allowed(url: &Url, allowed: &[AllowedDomain]) -> bool {
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss" | "ftp") {
        return true;
    }
    let host = url.host_str().map(without_dot);
    host.is_some_and(|host| allowed.iter().any(|domain| domain.holds(host)))
}

/// A name may end with a dot, and then is the same one.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

impl fmt::Display for AllowedDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for AllowedDomain {
    type Error = InvalidAllowedDomain;

    fn try_from(text: String) -> Result<Self, InvalidAllowedDomain> {
        Self::parse(&text)
    }
}

impl From<AllowedDomain> for String {
    fn from(domain: AllowedDomain) -> Self {
        domain.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(domains: &[&str]) -> Vec<AllowedDomain> {
        domains
            .iter()
            .map(|domain| AllowedDomain::parse(domain).unwrap())
            .collect()
    }

    #[test]
    fn a_domain_has_many_spellings() {
        for (text, spelled) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            (".example.com", "example.com"),
            ("*.example.com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("ex%61mple.com", "example.com"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("my_host.example", "my_host.example"),
        ] {
            assert_eq!(AllowedDomain::parse(text).unwrap().as_str(), spelled, "{text}");
        }
    }

    #[test]
    fn what_names_no_domain_is_refused() {
        let long = format!("{}.example", "a.".repeat(130));
        for text in [
            "",
            ".",
            "*",
            "*.",
            "..",
            "a..example",
            "*.*.example",
            "a.*.example",
            "https://example.com",
            "example.com/path",
            "example.com:443",
            "user@example.com",
            "two words",
            "a,b",
            " example.com",
            "*.127.0.0.1",
            ".[::1]",
            "::1",
            "1.2.3.4.5",
            "[::1",
            "a\0b",
            long.as_str(),
        ] {
            let refused = AllowedDomain::parse(text);
            assert!(refused.is_err(), "{text:?} became {refused:?}");
        }
    }

    #[test]
    fn a_domain_and_what_is_below_it_may_be_navigated_to() {
        let allowed = allowed(&["example.com", "bücher.example", "127.0.0.1", "[::1]"]);
        for url in [
            "https://example.com/",
            "http://EXAMPLE.com:8080/path?query",
            "https://a.b.example.com/",
            "https://example.com./",
            "https://user:password@example.com/",
            "https://bücher.example/",
            "https://www.xn--bcher-kva.example/",
            "http://127.0.0.1:9/",
            "http://2130706433/",
            "http://[::1]/",
            "about:blank",
            "about:srcdoc",
            "data:text/html,https://other.example",
            "blob:https://example.com/1",
            "BLOB:https://a.example.com:8080/1",
            "blob:null/1",
            "blob:file:///1",
            "filesystem:https://example.com/temporary/1",
            "file:///etc/hostname",
            "chrome://version",
            "chrome-error://chromewebdata/",
            "javascript:void(0)",
        ] {
            assert!(may_navigate(url, &allowed), "{url}");
        }
        for url in [
            "https://other.example/",
            "https://notexample.com/",
            "https://example.com.other.example/",
            "https://com/",
            "https://example.com@other.example/",
            "https://other.example/?https://example.com/",
            "https://other.example\\@example.com/",
            "http://1.127.0.0.1.example/",
            "http://127.0.0.2/",
            "http://[::2]/",
            "blob:https://other.example/1",
            "blob:https://other.example/null/1",
            "blob:nullable/1",
            "blob:blob:https://example.com/1",
            "blob:filesystem:https://other.example/1",
            "blob:",
            "filesystem:https://other.example/temporary/1",
            "filesystem:null/1",
            "https://",
            "",
            "example.com",
        ] {
            assert!(!may_navigate(url, &allowed), "{url}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(text in "\\PC{0,40}") {
            if let Ok(domain) = AllowedDomain::parse(&text) {
                prop_assert_eq!(AllowedDomain::parse(domain.as_str()), Ok(domain.clone()));
                let json = serde_json::to_string(&domain).unwrap();
                prop_assert_eq!(serde_json::from_str::<AllowedDomain>(&json).unwrap(), domain);
            }
        }

        #[test]
        fn only_the_host_decides(
            labels in prop::collection::vec("[a-z][a-z0-9]{0,5}", 1..5),
            kept in 0..4usize,
            other in "[a-z][a-z0-9]{0,5}\\.[a-z]{2,4}",
            scheme in prop::sample::select(vec!["http", "https"]),
            port in prop::option::of(1..60_000u16),
            rest in "[a-zA-Z0-9/?=&.:@]{0,30}",
        ) {
            let host = labels.join(".");
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let url = format!("{scheme}://{host}{port}/{rest}");
            let above = labels[kept.min(labels.len() - 1)..].join(".");
            prop_assert!(may_navigate(&url, &allowed(&[&above])));
            // A domain that merely ends alike, or stands elsewhere in the URL, gives nothing.
            let others = [format!("x{above}"), format!("below.{host}")];
            prop_assert!(!may_navigate(&url, &allowed(&others.each_ref().map(String::as_str))));
            let is_above = host == other || host.ends_with(&format!(".{other}"));
            let mentioned = format!("{url}?{other}");
            prop_assert_eq!(may_navigate(&mentioned, &allowed(&[&other])), is_above);
            prop_assert!(!may_navigate(&url, &[]));
        }

        #[test]
        fn what_a_page_has_made_goes_where_its_origin_may(
            host in "([a-c]\\.){0,2}[a-c]\\.example",
            domain in "[a-c]\\.example",
            scheme in prop::sample::select(vec!["http", "https"]),
            port in prop::option::of(1..60_000u16),
            name in "[a-z0-9/-]{0,30}",
        ) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let origin = format!("{scheme}://{host}{port}/{name}");
            let allowed = allowed(&[&domain]);
            let may = host == domain || host.ends_with(&format!(".{domain}"));
            for made in ["blob", "filesystem"] {
                let url = format!("{made}:{origin}");
                prop_assert_eq!(may_navigate(&url, &allowed), may, "{}", url);
            }
            let opaque = format!("blob:null/{name}");
            prop_assert!(may_navigate(&opaque, &allowed));
        }

        #[test]
        fn nothing_that_a_page_may_say_panics(url in "\\PC{0,80}", domain in "[a-z]{1,3}\\.example") {
            let _ = may_navigate(&url, &allowed(&[&domain]));
            let secure = format!("https://{url}");
            let _ = may_navigate(&secure, &allowed(&[&domain]));
        }
    }
}
