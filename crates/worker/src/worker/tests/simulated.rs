//! A control plane in memory, behind a network that can be cut, on paused time. It judges as the real one does: a worker
//! that was silent for a minute has lost its sessions.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use wharf_domain::SessionId;

use super::*;
use crate::control_plane::ControlPlane;

const LOST_AFTER: Duration = Duration::from_secs(60);
/// What the client of the real one waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What the network does to calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    #[default]
    Whole,
    LosesCalls,
    LosesAnswers,
}

#[derive(Default)]
pub(super) struct Simulated(Mutex<State>);

#[derive(Default)]
struct State {
    network: Network,
    /// What is stored of each session: `None` while it lives.
    sessions: BTreeMap<SessionId, Option<EndReason>>,
    last_heard: Option<Instant>,
    registrations: Vec<RegisterRequest>,
    heartbeats: Vec<Heartbeat>,
    refuses_registrations: bool,
    drain: bool,
}

impl Simulated {
    /// Starts a worker of it, on fake browsers.
    pub(super) async fn worker(self: &Arc<Self>, spool: Option<PathBuf>) -> (Worker, FakeBrowsers) {
        let started = self.try_worker(spool).await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) async fn try_worker(
        self: &Arc<Self>,
        spool: Option<PathBuf>,
    ) -> Result<(Worker, FakeBrowsers), WorkerError> {
        let browsers = FakeBrowsers::new();
        let options = WorkerOptions {
            slots: 8,
            spool,
            ..options(&Url::parse("http://simulated.invalid").unwrap(), &browsers)
        };
        let control: Arc<dyn ControlPlane> = Arc::<Self>::clone(self);
        Ok((Worker::start_at(options, control).await?, browsers))
    }

    /// Creates the session, and has the worker launch it.
    pub(super) async fn create(&self, worker: &Worker, request: &LaunchRequest) {
        self.state().sessions.insert(request.session, None);
        worker.agent.launch(request.clone()).await.unwrap();
    }

    /// A user's release whose call to the worker was lost.
    pub(super) fn release(&self, request: &LaunchRequest) {
        let released = Some(EndReason::Released);
        self.state().sessions.insert(request.session, released);
    }

    /// What is stored.
    pub(super) fn end_of(&self, request: &LaunchRequest) -> Option<EndReason> {
        self.state().sessions[&request.session]
    }

    pub(super) fn set_network(&self, network: Network) {
        self.state().network = network;
    }

    pub(super) fn refuse_registrations(&self, refuses: bool) {
        self.state().refuses_registrations = refuses;
    }

    pub(super) fn set_drain(&self, drain: bool) {
        self.state().drain = drain;
    }

    pub(super) fn heartbeats(&self) -> Vec<Heartbeat> {
        self.state().heartbeats.clone()
    }

    pub(super) fn last_registration(&self) -> RegisterRequest {
        self.state().registrations.last().unwrap().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Over the network and back.
    async fn carried<Reply>(&self, serve: impl FnOnce(&mut State) -> Reply) -> Result<Reply, CallError> {
        let network = self.state().network;
        if network == Network::LosesCalls {
            sleep(CALL_TIMEOUT).await;
            return Err(CallError::Unreachable("cut".to_owned()));
        }
        let reply = serve(&mut self.state());
        if network == Network::LosesAnswers {
            sleep(CALL_TIMEOUT).await;
            return Err(CallError::Unreachable("cut on the way back".to_owned()));
        }
        Ok(reply)
    }
}

impl State {
    fn hear(&mut self, heartbeat: &Heartbeat) -> HeartbeatReply {
        let silent = self.last_heard.replace(Instant::now()).map(|last| last.elapsed());
        if silent.is_some_and(|silent| silent > LOST_AFTER) {
            for end in self.sessions.values_mut() {
                end.get_or_insert(EndReason::WorkerLost);
            }
        }
        self.heartbeats.push(heartbeat.clone());
        let mut orders = Vec::new();
        for observed in &heartbeat.sessions {
            let stored = self.sessions.entry(observed.session).or_default();
            let order = match (observed.status, *stored) {
                (ObservedStatus::Ended(reason), _) => {
                    stored.get_or_insert(reason);
                    Order::Forget
                }
                (_, Some(_)) => Order::Kill,
                (_, None) => continue,
            };
            orders.push(SessionOrder {
                session: observed.session,
                generation: observed.generation,
                order,
            });
        }
        HeartbeatReply {
            drain: self.drain,
            orders,
        }
    }
}

impl ControlPlane for Simulated {
    fn register<'call>(
        &'call self,
        request: &'call RegisterRequest,
    ) -> BoxFuture<'call, Result<RegisterReply, CallError>> {
        Box::pin(async {
            let accepted = self.carried(|state| {
                state.registrations.push(request.clone());
                !state.refuses_registrations
            });
            if !accepted.await? {
                return Err(CallError::Unauthorized);
            }
            Ok(RegisterReply {
                worker: WorkerId::mint(&clock(), &SeededEntropy::new(1)),
                incarnation: Incarnation(1),
                heartbeat_every: Millis(5_000),
            })
        })
    }

    fn heartbeat<'call>(
        &'call self,
        heartbeat: &'call Heartbeat,
    ) -> BoxFuture<'call, Result<HeartbeatReply, CallError>> {
        Box::pin(self.carried(|state| state.hear(heartbeat)))
    }
}
