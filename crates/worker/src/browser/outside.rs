//! The way out of every browser, as a session's options have it.

use std::sync::Arc;

use wharf_egress::{AddressPolicy, Options, Rules, Trust};
use wharf_protocol::{BrowserOptions, ProxyRule};

use super::roads::{self, BuiltInProxy};
use super::{AdLists, Impossible};

/// What is the same for the way out of every browser.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    pub(super) addresses: Arc<AddressPolicy>,
    pub(super) built_in: BuiltInProxy,
    pub(super) ad_lists: AdLists,
    /// Without a jail nothing holds a browser to a way of ours.
    pub(super) jailed: bool,
}

impl Outside {
    /// What holds for this session's traffic. `session` is its number, by which it keeps one among equal proxies.
    ///
    /// # Errors
    /// What this server does not offer, or a rule that cannot be followed.
    pub(super) fn rules(
        &self,
        proxies: &[ProxyRule],
        block_ads: bool,
        session: u64,
    ) -> Result<Rules, Impossible> {
        if !self.jailed && !proxies.is_empty() {
            return Err(Impossible::NotOffered(
                "body/proxies: this server runs browsers without a jail, and offers no proxies; leave them out".to_owned(),
            ));
        }
        let rules = roads::rules(proxies, (&self.built_in, session), &self.addresses)?;
        Ok(match block_ads {
            true => Rules {
                blocked: Some(self.ad_lists.rules()?),
                ..rules
            },
            false => rules,
        })
    }

    /// Looks whether the roads can be taken that these options name, and finds proxies for those that name none. Reads
    /// what [`Outside::rules`] needs.
    ///
    /// # Errors
    /// What cannot be had.
    pub(super) async fn vet(self, options: BrowserOptions, session: u64) -> Result<(), Impossible> {
        if options.block_ads {
            self.read_ad_lists().await?;
        }
        let rules = self.rules(&options.proxies, options.block_ads, session)?;
        let limits = limits(&options.ca_certificates)?;
        roads::look_for_living(&options.proxies, (&self.built_in, session), &self.addresses).await?;
        roads::probe(&rules, &limits).await
    }

    async fn read_ad_lists(&self) -> Result<(), Impossible> {
        match self.jailed {
            true => self.ad_lists.read().await,
            false => Err(Impossible::NotOffered(
                "body/browserSettings/blockAds: this server runs browsers without a jail, and sees nothing of what they load; \
                 leave it out"
                    .to_owned(),
            )),
        }
    }
}

/// The tenant's proxies over TLS are trusted as its pages are; the operator's are not.
///
/// # Errors
/// A certificate that is none.
pub(super) fn limits(ca_certificates: &[String]) -> Result<Options, Impossible> {
    let trust = match ca_certificates.concat().as_str() {
        "" => Trust::public(),
        pem => Trust::public_and(pem)
            .map_err(|error| Impossible::Invalid(format!("body/proxySettings/caCertificates: {error}")))?,
    };
    Ok(Options {
        trust,
        ..Options::default()
    })
}
