//! What a browser that already runs can still be given, and what it must be started with.

use wharf_domain::{AllowedDomain, SessionId, Viewport};
use wharf_protocol::{BrowserOptions, ProxyRule};

use crate::browser::session_number;

/// How a session gets its browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// One that rests, made what was asked for.
    Warm(Wishes),
    /// One of its own, because the options need flags.
    Cold,
}

/// What can be applied to a browser that already runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// The size of its page; the browser's default without.
    pub(crate) viewport: Option<Viewport>,
    /// Where its traffic goes out.
    pub(crate) proxies: Vec<ProxyRule>,
    /// Where its pages may navigate to; anywhere when empty.
    pub(crate) allowed_domains: Vec<AllowedDomain>,
    /// Whether advertisements are kept out.
    pub(crate) block_ads: bool,
    /// The number of the session, by which it keeps one among equal proxies.
    pub(crate) session_number: u64,
}

impl Wishes {
    /// Those of this session.
    pub(super) fn of(self, session: SessionId) -> Self {
        Self {
            session_number: session_number(session),
            ..self
        }
    }
}

impl Start {
    /// Names every option, so that a new one does not compile before somebody has decided where it belongs.
    pub(super) fn of(options: &BrowserOptions) -> Self {
        let BrowserOptions {
            viewport,
            ignore_certificate_errors,
            proxies,
            ca_certificates,
            allowed_domains,
            block_ads,
        } = options;
        // Over DevTools it holds for the targets of one connection, not for the browser.
        // Certificates are read once, at the start.
        if *ignore_certificate_errors || !ca_certificates.is_empty() {
            return Self::Cold;
        }
        Self::Warm(Wishes {
            viewport: *viewport,
            proxies: proxies.clone(),
            allowed_domains: allowed_domains.clone(),
            block_ads: *block_ads,
            ..Wishes::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_flag_starts_cold() {
        let viewport = Some(Viewport::new(800, 600).unwrap());
        for (options, expected) in [
            (BrowserOptions::default(), Start::Warm(Wishes::default())),
            (
                BrowserOptions {
                    viewport,
                    ..BrowserOptions::default()
                },
                Start::Warm(Wishes {
                    viewport,
                    ..Wishes::default()
                }),
            ),
            (
                BrowserOptions {
                    allowed_domains: vec![AllowedDomain::parse("a.example").unwrap()],
                    block_ads: true,
                    ..BrowserOptions::default()
                },
                Start::Warm(Wishes {
                    allowed_domains: vec![AllowedDomain::parse("a.example").unwrap()],
                    block_ads: true,
                    ..Wishes::default()
                }),
            ),
            (
                BrowserOptions {
                    viewport,
                    ignore_certificate_errors: true,
                    ..BrowserOptions::default()
                },
                Start::Cold,
            ),
            (
                BrowserOptions {
                    ca_certificates: vec!["pem".to_owned()],
                    ..BrowserOptions::default()
                },
                Start::Cold,
            ),
        ] {
            assert_eq!(Start::of(&options), expected, "{options:?}");
        }
    }
}
