//! What the worker's parts have in common, and the two things that the control plane asks of it.

#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use wharf_domain::Clock;
use wharf_protocol::{ConnectVerifier, LaunchReply, LaunchRequest, Order, ReleaseRequest, SessionOrder};

use crate::browser::Browsers;
use crate::metric;
use crate::registry::{Admission, Found, Registry};
use crate::rules::SessionRules;
use crate::session::{self, LaunchFailure};

/// The worker's state.
pub(crate) struct Agent {
    pub(crate) registry: Registry,
    pub(crate) browsers: Box<dyn Browsers>,
    /// One permit a session, from before its browser starts until it is gone.
    pub(crate) slots: Arc<Semaphore>,
    /// Owns the sessions' tasks and their tunnels'.
    pub(crate) tasks: TaskTracker,
    /// Woken when a session has ended; several ends wake once.
    pub(crate) ended: Notify,
    pub(crate) verifier: ConnectVerifier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: SessionRules,
}

/// Why a request to launch led to no browser.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LaunchRefusal {
    Failure(LaunchFailure),
    /// A later launch of the session is known, or this one is over.
    Stale,
    /// The worker takes no more launches.
    Draining,
    /// The worker is being stopped.
    Stopping,
}

impl Agent {
    pub(crate) fn new(
        browsers: Box<dyn Browsers>,
        slots: u32,
        verifier: ConnectVerifier,
        clock: Arc<dyn Clock>,
        rules: SessionRules,
    ) -> Arc<Self> {
        metrics::gauge!(metric::SLOTS).set(slots);
        Arc::new(Self {
            registry: Registry::default(),
            browsers,
            slots: Arc::new(Semaphore::new(slots as usize)),
            tasks: TaskTracker::new(),
            ended: Notify::new(),
            verifier,
            clock,
            rules,
        })
    }

    /// Starts a browser, once for each session and generation. The session goes on if the caller goes away.
    pub(crate) async fn launch(
        self: &Arc<Self>,
        request: LaunchRequest,
    ) -> Result<LaunchReply, LaunchRefusal> {
        let session = match self.registry.admit(&request) {
            Admission::New(session) => {
                self.tasks.spawn(session::supervise(
                    Arc::clone(self),
                    Arc::clone(&session),
                    request,
                ));
                session
            }
            Admission::Present(session) => session,
            Admission::Stale => return Err(LaunchRefusal::Stale),
            Admission::Draining => return Err(LaunchRefusal::Draining),
            Admission::Closed => return Err(LaunchRefusal::Stopping),
        };
        session.launched().await.map_err(LaunchRefusal::Failure)
    }

    /// Ends a session. One that is not here needs nothing.
    pub(crate) fn release(&self, request: &ReleaseRequest) {
        if let Found::Session(session) = self.registry.find(request.session, request.generation) {
            session.end(request.reason);
        }
    }

    /// Does what the control plane answered to a heartbeat.
    pub(crate) fn obey(&self, order: &SessionOrder) {
        let SessionOrder {
            session,
            generation,
            order,
        } = *order;
        match order {
            Order::Forget => self.registry.forget(session, generation),
            Order::Kill => {
                if let Found::Session(session) = self.registry.find(session, generation) {
                    session.end(wharf_domain::EndReason::Killed);
                }
            }
        }
    }
}
