//! A browser that is ready.

use crate::cdp::{CdpError, CdpPipe};
use crate::devtools::Devtools;
use crate::flags::Viewport;
use crate::navigation::{self, Ordered, Verdict};
use crate::process::BrowserExit;
use crate::ready;
use crate::running::{CloseReport, Grace, Ready, Running};
use crate::sampler::Sampler;
use rustix::process::Pid;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A ready browser. Dropping it kills it and removes its folder, which blocks for some 30 ms: prefer
/// [`Browser::close`].
#[derive(Debug)]
pub struct Browser {
    running: Running,
    ready: Ready,
    sampler: Sampler,
    /// Our attachment to the page, while the browser rests.
    attached: Mutex<Option<String>>,
    /// The guard over its navigation, if it has one.
    guard: Mutex<JoinSet<()>>,
    ordered: Ordered,
}

impl Browser {
    pub(crate) fn new(running: Running, ready: Ready) -> Browser {
        let sampler = Sampler::of(running.family());
        Browser {
            running,
            ready,
            sampler,
            attached: Mutex::default(),
            guard: Mutex::default(),
            ordered: Ordered::default(),
        }
    }

    /// Where clients connect.
    pub fn devtools(&self) -> &Devtools {
        &self.ready.devtools
    }

    /// Where the connections of its proxy arrive, its only way out of a jail; to be taken once. `None` when it has no
    /// jail. Until somebody accepts, they wait.
    pub fn take_egress(&mut self) -> Option<TcpListener> {
        self.ready.egress.take()
    }

    /// The product, for example `Chrome/156.0.8078.79`.
    pub fn version(&self) -> &str {
        &self.ready.product
    }

    /// Our own DevTools connection, over the pipe.
    pub fn cdp(&self) -> &CdpPipe {
        self.running.cdp()
    }

    /// The id of the process that we have started, for logs: the browser, or what stands around it.
    pub fn pid(&self) -> u32 {
        self.leader().as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn leader(&self) -> Pid {
        self.running.family().leader()
    }

    /// Becomes `Some` the moment the main process ends; its helpers are then killed and reaped at once. May be
    /// awaited by many, with [`watch::Receiver::wait_for`].
    pub fn exit(&self) -> watch::Receiver<Option<BrowserExit>> {
        self.running.exit()
    }

    /// Waits for the end of the main process.
    pub async fn exited(&self) -> BrowserExit {
        self.running.ended().await
    }

    /// Measures this browser; see [`Sampler::sample`] for the cost.
    pub fn sampler(&self) -> Sampler {
        self.sampler.clone()
    }

    /// Sizes the page that the browser started with: afterwards `innerWidth` and `innerHeight` are exactly these, and
    /// the screen is as large as if the browser had been started so. For a browser that was started before anybody knew
    /// the size.
    ///
    /// Success proves that browser and page answer, whether or not there was something to change. Without a change that is
    /// two round trips over the pipe, one after [`Browser::rest`].
    ///
    /// # Errors
    /// See [`CdpError`]. Refused when the page is closed, and by an older Chromium that cannot change its screen.
    pub async fn set_viewport(&self, viewport: Viewport) -> Result<(), CdpError> {
        let page = &self.ready.page;
        let attached = self.attached().take();
        let session = match attached {
            Some(session) => session,
            None => ready::attach(self.cdp(), page).await?,
        };
        ready::set_viewport(self.cdp(), page, session, viewport).await
    }

    /// Stays attached to the page until the next [`Browser::set_viewport`], which is then a round trip shorter.
    ///
    /// # Errors
    /// See [`CdpError`].
    pub async fn rest(&self) -> Result<(), CdpError> {
        let session = ready::attach(self.cdp(), &self.ready.page).await?;
        *self.attached() = Some(session);
        Ok(())
    }

    /// Lets pages navigate only to where `may_navigate` allows, from now on: their own frames, not those within them, and
    /// nothing that they load. To be called once, before anybody has the browser: 0.2 s. Pages are no longer loaded before
    /// somebody navigates to them. If the browser can no longer be asked, it is ended.
    ///
    /// # Errors
    /// See [`CdpError`]. The browser must then not be given to anybody.
    pub async fn limit_navigation(&self, may_navigate: Verdict) -> Result<(), CdpError> {
        let cdp = self.running.cdp();
        let stopped = navigation::stop(cdp).await?;
        let family = Arc::clone(self.running.family());
        let guard = navigation::keep(
            Arc::clone(cdp),
            stopped,
            may_navigate,
            family,
            self.ordered.clone(),
        );
        self.guard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(guard);
        Ok(())
    }

    fn attached(&self) -> MutexGuard<'_, Option<String>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills every process of the browser, waits until they are gone, and removes the folder: 20-40 ms.
    pub async fn close(self) -> CloseReport {
        self.close_within(Grace::NONE).await
    }

    /// The same, once the browser has had this long to end by itself, as it does when a person closes it.
    pub async fn close_within(self, grace: Grace) -> CloseReport {
        self.ordered.give();
        self.running.end(grace).await
    }
}
