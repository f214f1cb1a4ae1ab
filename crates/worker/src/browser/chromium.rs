//! Chromium as a session's browser, with a proxy of ours as its one way out of its jail.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use wharf_chrome::{BrowserExit, CdpError, Grace, LaunchOptions, Launcher, Sampler};
use wharf_domain::{AllowedDomain, Bytes, Millis, may_navigate, with_causes};
use wharf_egress::{AddressPolicy, Egress, Options, Rules};
use wharf_protocol::LaunchRequest;

use super::outside::{Outside, limits};
use super::roads::{self, BuiltInProxy, session_number};
use super::{AdLists, Browser, Browsers, Endpoint, Exit, Impossible, Meter, Reading, Traffic};
use crate::pool::{Spare, SpareBrowsers, Unfit, Wishes};

/// Starts Chromium, and stands between each one and the world.
#[derive(Debug, Clone)]
pub struct Chromiums {
    launcher: Arc<Launcher>,
    outside: Outside,
    grace: Grace,
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
        Self {
            launcher,
            outside,
            grace: Grace::NONE,
        }
    }

    /// How long a browser gets at the end of its session to end by itself; it is killed at once without.
    pub fn with_grace(self, grace: Grace) -> Self {
        Self { grace, ..self }
    }

    /// Keeps out what these lists call advertisements, in sessions that ask for it.
    pub fn with_ad_lists(mut self, ad_lists: AdLists) -> Self {
        self.outside.ad_lists = ad_lists;
        self
    }

    async fn start(self, options: LaunchOptions, rules: Rules, limits: Options) -> Result<Chromium, String> {
        let mut browser = self
            .launcher
            .launch(options)
            .await
            .map_err(|error| with_causes(&error))?;
        let egress = match browser.take_egress().map(TcpListener::from_std) {
            Some(Ok(listener)) => Some(Arc::new(Egress::start(listener, rules, limits))),
            Some(Err(error)) => return Err(format!("its way out cannot be listened on: {error}")),
            None => None,
        };
        Ok(Chromium {
            browser,
            egress,
            outside: self.outside,
            grace: self.grace,
        })
    }

    async fn start_for_session(
        self,
        options: LaunchOptions,
        (rules, limits): (Rules, Options),
        allowed_domains: Vec<AllowedDomain>,
    ) -> Result<Chromium, String> {
        let within = Instant::now() + options.deadline;
        let chromium = self.start(options, rules, limits).await?;
        let limited = timeout_at(within, chromium.limit_navigation(allowed_domains)).await;
        match limited.map_err(|_| "it did not learn in time where its pages may go".to_owned())? {
            Ok(()) => Ok(chromium),
            Err(error) => Err(with_causes(&error)),
        }
    }
}

impl Browsers for Chromiums {
    fn vet(&self, request: &LaunchRequest) -> BoxFuture<'static, Result<(), Impossible>> {
        if !request.browser.ca_certificates.is_empty()
            && let Err(error) = self.launcher.can_trust()
        {
            let told = format!("body/proxySettings/caCertificates: not on this server: {error}");
            return Box::pin(ready(Err(Impossible::NotOffered(told))));
        }
        let (outside, options) = (self.outside.clone(), request.browser.clone());
        Box::pin(outside.vet(options, session_number(request.session)))
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
            trusted: request.browser.ca_certificates.clone(),
            deadline: within,
        };
        let rules = self.outside.rules(
            &request.browser.proxies,
            request.browser.block_ads,
            session_number(request.session),
        );
        let limits = limits(&request.browser.ca_certificates);
        let chromiums = self.clone();
        let allowed_domains = request.browser.allowed_domains.clone();
        Box::pin(async move {
            // Vetted before; what has changed since is a launch that failed.
            let rules = rules.map_err(|impossible| impossible.to_string())?;
            let limits = limits.map_err(|impossible| impossible.to_string())?;
            let chromium = chromiums
                .start_for_session(options, (rules, limits), allowed_domains)
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
            trusted: Vec::new(),
            deadline: within,
        };
        let started = self.clone().start(options, roads::closed(), Options::default());
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
    grace: Grace,
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
            let report = self.browser.close_within(self.grace).await;
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
                let rules = self
                    .outside
                    .rules(&wishes.proxies, wishes.block_ads, wishes.session_number);
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
        Some(BrowserExit::OutOfMemory) => Exit::OutOfMemory,
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
        Some(Reading {
            cpu: sample.cpu.into(),
            memory: Bytes(sample.memory),
        })
    }

    fn cpu(&self) -> Option<Millis> {
        self.sampler.cpu().map(Into::into)
    }

    fn traffic(&self) -> Traffic {
        let Some(egress) = &self.egress else {
            return Traffic::default();
        };
        let traffic = egress.traffic();
        let by_rule = egress.traffic_by_route().into_iter();
        Traffic {
            proxy: Bytes(traffic.proxied.sum()),
            egress: Bytes(traffic.total.sum()),
            by_rule: by_rule.map(|carried| Bytes(carried.sum())).collect(),
        }
    }
}
