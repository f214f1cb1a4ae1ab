//! Chromium as a session's browser, with a proxy of ours as its one way out of its jail.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use wharf_chrome::{BrowserExit, CdpError, LaunchOptions, Launcher, Sampler};
use wharf_domain::{AllowedDomain, Bytes, Millis, may_navigate, with_causes};
use wharf_egress::{AddressPolicy, Egress, Options, Rules};
use wharf_protocol::{BrowserOptions, LaunchRequest, ProxyRule};

use super::roads::{self, BuiltInProxy};
use super::{AdLists, Browser, Browsers, Endpoint, Exit, Impossible, Meter, Reading};
use crate::pool::{Spare, SpareBrowsers, Unfit, Wishes};

/// Starts Chromium, and stands between each one and the world.
#[derive(Debug, Clone)]
pub struct Chromiums {
    launcher: Arc<Launcher>,
    outside: Outside,
}

/// What is the same for the way out of every browser.
#[derive(Debug, Clone)]
struct Outside {
    addresses: Arc<AddressPolicy>,
    built_in: BuiltInProxy,
    ad_lists: AdLists,
    /// Without a jail nothing holds a browser to a way of ours.
    jailed: bool,
}

impl Outside {
    fn rules(&self, proxies: &[ProxyRule], block_ads: bool) -> Result<Rules, Impossible> {
        if !self.jailed && !proxies.is_empty() {
            return Err(Impossible::NotOffered(
                "body/proxies: this server runs browsers without a jail, and offers no proxies; leave them out".to_owned(),
            ));
        }
        let rules = roads::rules(proxies, self.built_in, &self.addresses)?;
        Ok(match block_ads {
            true => Rules {
                blocked: Some(self.ad_lists.rules()?),
                ..rules
            },
            false => rules,
        })
    }

    /// Reads what [`Outside::rules`] needs.
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

impl Chromiums {
    /// Browsers of this launcher. Those in a jail reach the addresses that the policy allows, by the roads that their
    /// sessions name; others go out by themselves.
    pub fn new(launcher: Arc<Launcher>, addresses: AddressPolicy, built_in: BuiltInProxy) -> Self {
        let outside = Outside {
            addresses: Arc::new(addresses),
            built_in,
            ad_lists: AdLists::default(),
            jailed: launcher.has_jails(),
        };
        Self { launcher, outside }
    }

    /// Keeps out what these lists call advertisements, in sessions that ask for it.
    pub fn with_ad_lists(mut self, ad_lists: AdLists) -> Self {
        self.outside.ad_lists = ad_lists;
        self
    }

    async fn start(self, options: LaunchOptions, rules: Rules) -> Result<Chromium, String> {
        let mut browser = self
            .launcher
            .launch(options)
            .await
            .map_err(|error| with_causes(&error))?;
        let egress = match browser.take_egress().map(TcpListener::from_std) {
            Some(Ok(listener)) => Some(Arc::new(Egress::start(listener, rules, Options::default()))),
            Some(Err(error)) => return Err(format!("its way out cannot be listened on: {error}")),
            None => None,
        };
        Ok(Chromium {
            browser,
            egress,
            outside: self.outside,
        })
    }

    async fn start_for_session(
        self,
        options: LaunchOptions,
        rules: Rules,
        allowed_domains: Vec<AllowedDomain>,
    ) -> Result<Chromium, String> {
        let within = Instant::now() + options.deadline;
        let chromium = self.start(options, rules).await?;
        let limited = timeout_at(within, chromium.limit_navigation(allowed_domains)).await;
        match limited.map_err(|_| "it did not learn in time where its pages may go".to_owned())? {
            Ok(()) => Ok(chromium),
            Err(error) => Err(with_causes(&error)),
        }
    }
}

impl Browsers for Chromiums {
    fn vet(&self, options: &BrowserOptions) -> BoxFuture<'static, Result<(), Impossible>> {
        let (outside, options) = (self.outside.clone(), options.clone());
        Box::pin(async move {
            if options.block_ads {
                outside.read_ad_lists().await?;
            }
            roads::probe(&outside.rules(&options.proxies, options.block_ads)?).await
        })
    }

    fn launch(
        &self,
        request: &LaunchRequest,
        within: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Browser>, String>> {
        let options = LaunchOptions {
            name: format!("{}-{}", request.session, request.generation.0),
            viewport: request.browser.viewport.map(size),
            ignore_certificate_errors: request.browser.ignore_certificate_errors,
            deadline: within,
        };
        let rules = self
            .outside
            .rules(&request.browser.proxies, request.browser.block_ads);
        let chromiums = self.clone();
        let allowed_domains = request.browser.allowed_domains.clone();
        Box::pin(async move {
            // Vetted before; what has changed since is a launch that failed.
            let rules = rules.map_err(|impossible| impossible.to_string())?;
            let chromium = chromiums
                .start_for_session(options, rules, allowed_domains)
                .await?;
            Ok(Box::new(chromium) as Box<dyn Browser>)
        })
    }
}

impl SpareBrowsers for Chromiums {
    fn spare(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Box<dyn Spare>, String>> {
        let options = LaunchOptions {
            name,
            viewport: None,
            ignore_certificate_errors: false,
            deadline: within,
        };
        let started = self.clone().start(options, roads::closed());
        Box::pin(async move {
            let chromium = started.await?;
            chromium
                .browser
                .rest()
                .await
                .map_err(|error| with_causes(&error))?;
            Ok(Box::new(chromium) as Box<dyn Spare>)
        })
    }
}

/// A Chromium and its way out.
#[derive(Debug)]
struct Chromium {
    browser: wharf_chrome::Browser,
    egress: Option<Arc<Egress>>,
    outside: Outside,
}

impl Chromium {
    /// Costs nothing when pages may go anywhere.
    async fn limit_navigation(&self, allowed: Vec<AllowedDomain>) -> Result<(), CdpError> {
        if allowed.is_empty() {
            return Ok(());
        }
        self.browser
            .limit_navigation(Arc::new(move |url| may_navigate(url, &allowed)))
            .await
    }
}

impl Browser for Chromium {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Chromium(self.browser.devtools().clone())
    }

    fn version(&self) -> String {
        self.browser.version().to_owned()
    }

    fn exited(&self) -> BoxFuture<'_, Exit> {
        Box::pin(end_of(self.browser.exit()))
    }

    fn meter(&self) -> Arc<dyn Meter> {
        Arc::new(Meters {
            sampler: self.browser.sampler(),
            egress: self.egress.clone(),
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let pid = self.browser.pid();
            let report = self.browser.close().await;
            if let Some(egress) = &self.egress {
                egress.stop().await;
            }
            if !report.complete {
                tracing::warn!(
                    pid,
                    "a browser left something behind: processes of its session, or its folder"
                );
            }
        })
    }
}

impl Spare for Chromium {
    fn exit(&self) -> BoxFuture<'static, Exit> {
        end_of(self.browser.exit()).boxed()
    }

    fn fit<'a>(&'a self, wishes: &'a Wishes) -> BoxFuture<'a, Result<(), Unfit>> {
        let viewport = wishes.viewport.map(size).unwrap_or_default();
        let fitted = async move {
            self.browser.set_viewport(viewport).await?;
            self.limit_navigation(wishes.allowed_domains.clone()).await
        };
        Box::pin(async move {
            fitted.await.map_err(|error| match error {
                CdpError::Refused { .. } => Unfit::Refused(with_causes(&error)),
                _ => Unfit::Broken(with_causes(&error)),
            })?;
            if let Some(egress) = &self.egress {
                let rules = self.outside.rules(&wishes.proxies, wishes.block_ads);
                egress.set_rules(rules.map_err(|impossible| Unfit::Refused(impossible.to_string()))?);
            }
            Ok(())
        })
    }
}

fn size(viewport: wharf_domain::Viewport) -> wharf_chrome::Viewport {
    wharf_chrome::Viewport {
        width: viewport.width(),
        height: viewport.height(),
    }
}

/// How Chromium ends by itself.
async fn end_of(mut exit: watch::Receiver<Option<BrowserExit>>) -> Exit {
    let exit = exit.wait_for(Option::is_some).await.map(|exit| *exit);
    match exit.ok().flatten() {
        Some(BrowserExit::Clean) => Exit::Clean,
        Some(exit) => Exit::Crash(exit.to_string()),
        // Only a browser that is being taken away is no longer watched.
        None => pending().await,
    }
}

struct Meters {
    sampler: Sampler,
    egress: Option<Arc<Egress>>,
}

impl Meter for Meters {
    fn read(&self) -> Option<Reading> {
        let sample = self.sampler.sample()?;
        let traffic = self.egress.as_ref().map(|egress| egress.traffic());
        Some(Reading {
            cpu: sample.cpu.into(),
            memory: Bytes(sample.memory),
            proxy: Bytes(traffic.unwrap_or_default().proxied.sum()),
        })
    }

    fn cpu(&self) -> Option<Millis> {
        self.sampler.cpu().map(Into::into)
    }
}
