//! Chromium as a session's browser, with a proxy of ours as its one way out of its jail.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use wharf_chrome::{BrowserExit, CdpError, LaunchOptions, Launcher, Sampler};
use wharf_domain::{Bytes, Millis, with_causes};
use wharf_egress::{AddressPolicy, Blocklist, Egress, Options, RequestKind, Rules};
use wharf_protocol::LaunchRequest;

use super::{Browser, Browsers, Endpoint, Exit, Meter, Reading};
use crate::pool::{Spare, SpareBrowsers, Unfit, Wishes};

/// Starts Chromium, and stands between each one and the world.
#[derive(Debug, Clone)]
pub struct Chromiums {
    launcher: Arc<Launcher>,
    addresses: Arc<AddressPolicy>,
}

impl Chromiums {
    /// Browsers of this launcher. Those in a jail reach the addresses that the policy allows; others go out by themselves.
    pub fn new(launcher: Arc<Launcher>, addresses: AddressPolicy) -> Self {
        Self {
            launcher,
            addresses: Arc::new(addresses),
        }
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
            addresses: self.addresses,
        })
    }
}

impl Browsers for Chromiums {
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
        let rules = open(&self.addresses);
        let started = self.clone().start(options, rules);
        Box::pin(async { Ok(Box::new(started.await?) as Box<dyn Browser>) })
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
        let started = self.clone().start(options, closed());
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
    addresses: Arc<AddressPolicy>,
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
        let fitted = self.browser.set_viewport(viewport);
        Box::pin(async move {
            fitted.await.map_err(|error| match error {
                CdpError::Refused { .. } => Unfit::Refused(with_causes(&error)),
                _ => Unfit::Broken(with_causes(&error)),
            })?;
            if let Some(egress) = &self.egress {
                egress.set_rules(open(&self.addresses));
            }
            Ok(())
        })
    }
}

fn open(addresses: &AddressPolicy) -> Rules {
    Rules {
        addresses: addresses.clone(),
        ..Rules::default()
    }
}

/// For a browser that has no session: what it asks for by itself is nobody's traffic.
fn closed() -> Rules {
    Rules {
        blocked: Some(Arc::new(Everything)),
        ..Rules::default()
    }
}

#[derive(Debug)]
struct Everything;

impl Blocklist for Everything {
    fn blocks_host(&self, _: &str) -> bool {
        true
    }

    fn blocks_url(&self, _: &str, _: Option<&str>, _: RequestKind) -> bool {
        true
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
