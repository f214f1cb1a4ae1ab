//! An agent with fake browsers, and requests to it.

use std::time::Duration;

use wharf_domain::{
    EndReason, Generation, ManualClock, Millis, ProjectId, SeededEntropy, SessionId, Timestamp,
};
use wharf_protocol::{
    BrowserOptions, ConnectClaims, ConnectSigner, ConnectToken, ObservedSession, ObservedStatus, Scope,
    SigningKey,
};

use super::*;
use crate::browser::testing::FakeBrowsers;
use crate::session::Session;

/// An agent without a listener, and what a test needs to deal with it.
pub(crate) struct Staged {
    pub(crate) agent: Arc<Agent>,
    pub(crate) browsers: FakeBrowsers,
    pub(crate) clock: Arc<ManualClock>,
    signer: ConnectSigner,
}

impl Staged {
    pub(crate) fn new(browsers: FakeBrowsers, slots: u32) -> Self {
        Self::with_rules(browsers, slots, SessionRules::default())
    }

    pub(crate) fn with_rules(browsers: FakeBrowsers, slots: u32, rules: SessionRules) -> Self {
        Self::with(Box::new(browsers.clone()), browsers, slots, rules)
    }

    /// With a launcher before the browsers.
    pub(crate) fn with(
        launcher: Box<dyn Browsers>,
        browsers: FakeBrowsers,
        slots: u32,
        rules: SessionRules,
    ) -> Self {
        let key = SigningKey::generate();
        let clock = Arc::new(ManualClock::starting_at(
            Timestamp::from_timestamp(1_000, 0).unwrap(),
        ));
        let verifier = ConnectVerifier::new(key.verifying_key());
        let agent = Agent::new(launcher, slots, verifier, clock.clone(), rules);
        Self {
            agent,
            browsers,
            clock,
            signer: ConnectSigner::new(&key),
        }
    }

    /// A token for this launch. It lasts a minute.
    pub(crate) fn token(&self, request: &LaunchRequest) -> ConnectToken {
        self.signer.sign(&ConnectClaims {
            session: request.session,
            project: request.project,
            generation: request.generation,
            worker: "unused.example:1".to_owned(),
            scope: Scope::Connect,
            expires_at: 1_060,
        })
    }

    pub(crate) fn session(&self, request: &LaunchRequest) -> Arc<Session> {
        match self.agent.registry.find(request.session, request.generation) {
            Found::Session(session) => session,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn observed(&self, request: &LaunchRequest) -> ObservedSession {
        self.session(request).observe()
    }

    /// Waits until the session's browser is gone, and says why it ended.
    pub(crate) async fn end_of(&self, request: &LaunchRequest) -> EndReason {
        loop {
            if let ObservedStatus::Ended(reason) = self.observed(request).status {
                return reason;
            }
            self.agent.ended.notified().await;
        }
    }

    pub(crate) fn forget(&self, request: &LaunchRequest) {
        self.order(request, Order::Forget);
    }

    pub(crate) fn order(&self, request: &LaunchRequest, order: Order) {
        let LaunchRequest {
            session, generation, ..
        } = *request;
        self.agent.obey(&SessionOrder {
            session,
            generation,
            order,
        });
    }

    pub(crate) fn release(&self, request: &LaunchRequest) {
        let LaunchRequest {
            session, generation, ..
        } = *request;
        self.agent.release(&ReleaseRequest {
            session,
            generation,
            reason: EndReason::Released,
        });
    }
}

/// A launch of session `number`: ten minutes, five to the first client, not kept alive.
pub(crate) fn request(number: u64) -> LaunchRequest {
    let (clock, entropy) = (
        ManualClock::starting_at(Timestamp::UNIX_EPOCH),
        SeededEntropy::new(number),
    );
    LaunchRequest {
        session: SessionId::mint(&clock, &entropy),
        project: ProjectId::mint(&clock, &entropy),
        generation: Generation::FIRST,
        timeout: Millis(600_000),
        connect_within: Some(Millis(300_000)),
        idle_timeout: None,
        keep_alive: false,
        launch_within: Millis(30_000),
        browser: BrowserOptions::default(),
    }
}

/// What is waited for happens at once, or not at all.
pub(crate) async fn soon<Outcome>(event: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(Duration::from_secs(10), event)
        .await
        .expect("it has not happened")
}
