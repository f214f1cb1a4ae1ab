//! One session: what others may see of it and ask of it while its task runs it.

mod clients;
mod end;
mod last_byte;
mod run;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_domain::{EndReason, Generation, ProjectId, SessionId};
use wharf_protocol::{LaunchReply, LaunchRequest, ObservedSession, ObservedStatus, Usage};

use crate::browser::{Endpoint, Impossible, Reading, Traffic};

use clients::Clients;
pub(crate) use clients::{ClientGuard, Departure};
pub(crate) use last_byte::LastByte;
pub(crate) use run::supervise;

/// A session that this worker starts, runs or has run.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) project: ProjectId,
    pub(crate) generation: Generation,
    /// Whether it outlives its clients.
    pub(crate) keep_alive: bool,
    /// When the launch was asked for.
    begun: Instant,
    /// The last byte that any client sent.
    last_byte: LastByte,
    clients: Clients,
    /// The first end that somebody ordered.
    ordered_end: watch::Sender<Option<EndReason>>,
    launched: watch::Sender<Option<Launched>>,
    state: Mutex<State>,
    cut: CancellationToken,
}

/// What became of a launch.
pub(crate) type Launched = Result<LaunchReply, LaunchFailure>;

/// Why there is no browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LaunchFailure {
    /// No slot became free in time; the session was not begun.
    Full,
    /// The browser did not start.
    Failed(String),
    /// What was asked for cannot be had on any worker.
    Impossible(Impossible),
    /// The session was ended first.
    Ended(EndReason),
}

#[derive(Debug)]
struct State {
    phase: Phase,
    usage: Usage,
    running_since: Option<Instant>,
    /// When the session ends at the latest, once its browser answers.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Starting,
    Running(Arc<Endpoint>),
    /// Its end is decided, but the browser is not gone yet.
    Ending,
    Ended(EndReason),
}

/// Whether a client can come in.
pub(crate) enum Door {
    NotYet,
    Open(Arc<Endpoint>),
    Closed,
}

impl Session {
    pub(crate) fn new(request: &LaunchRequest) -> Self {
        let state = State {
            phase: Phase::Starting,
            usage: Usage::default(),
            running_since: None,
            deadline: None,
        };
        Self {
            id: request.session,
            project: request.project,
            generation: request.generation,
            keep_alive: request.keep_alive,
            begun: Instant::now(),
            last_byte: LastByte::now(),
            clients: Clients::default(),
            ordered_end: watch::Sender::new(None),
            launched: watch::Sender::new(None),
            state: Mutex::new(state),
            cut: CancellationToken::new(),
        }
    }

    /// Ends the session for this reason, unless an end was ordered before.
    pub(crate) fn end(&self, reason: EndReason) {
        self.ordered_end.send_if_modified(|ordered| {
            let first = ordered.is_none();
            ordered.get_or_insert(reason);
            first
        });
    }

    /// What became of the launch, as soon as it is known.
    pub(crate) async fn launched(&self) -> Launched {
        let mut launched = self.launched.subscribe();
        let settled = launched
            .wait_for(Option::is_some)
            .await
            .map(|launched| launched.clone());
        settled
            .ok()
            .flatten()
            .expect("the sender is ours, and it was waited for")
    }

    pub(crate) fn door(&self) -> Door {
        match &self.state().phase {
            Phase::Starting => Door::NotYet,
            Phase::Running(endpoint) => Door::Open(Arc::clone(endpoint)),
            Phase::Ending | Phase::Ended(_) => Door::Closed,
        }
    }

    /// Counts a client until its guard is dropped. `None` when the session's end has been decided.
    pub(crate) fn join(self: &Arc<Self>) -> Option<ClientGuard> {
        let guard = ClientGuard::of(Arc::clone(self))?;
        self.touch(Instant::now());
        Some(guard)
    }

    /// A client has sent something, at this moment.
    pub(crate) fn touch(&self, moment: Instant) {
        self.last_byte.touch(moment);
    }

    /// Cancelled when the session's end is decided: its tunnels are cut.
    pub(crate) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    pub(crate) fn observe(&self) -> ObservedSession {
        let state = self.state();
        let status = match state.phase {
            Phase::Starting => ObservedStatus::Starting,
            Phase::Running(_) | Phase::Ending => ObservedStatus::Running,
            Phase::Ended(reason) => ObservedStatus::Ended(reason),
        };
        ObservedSession {
            session: self.id,
            generation: self.generation,
            status,
            usage: state.usage(),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state().phase, Phase::Ended(_))
    }

    /// When the launch was asked for.
    pub(crate) const fn begun(&self) -> Instant {
        self.begun
    }

    /// What is left of its time; `None` before its browser answers.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let deadline = self.state().deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    #[cfg(test)]
    pub(crate) async fn wait_for_clients(&self, now: u32) {
        self.clients.wait_for(now).await;
    }

    fn set_running(&self, endpoint: Endpoint, ready: Instant, deadline: Instant) {
        self.touch(ready);
        let mut state = self.state();
        state.phase = Phase::Running(Arc::new(endpoint));
        state.running_since = Some(ready);
        state.deadline = Some(deadline);
    }

    fn set_ending(&self) {
        let mut state = self.state();
        state.usage = state.usage();
        state.running_since = None;
        state.phase = Phase::Ending;
        drop(state);
        self.cut.cancel();
    }

    fn set_ended(&self, reason: EndReason) {
        self.state().phase = Phase::Ended(reason);
    }

    /// Ends what its task cannot end any more, and says for what reason.
    fn abandon(&self) -> EndReason {
        self.clients.close();
        let ordered = *self.ordered_end.borrow();
        let reason = match self.state().phase {
            Phase::Ended(reason) => reason,
            Phase::Starting => ordered.unwrap_or(EndReason::LaunchFailed),
            Phase::Running(_) | Phase::Ending => ordered.unwrap_or(EndReason::BrowserCrashed),
        };
        self.set_ending();
        self.set_ended(reason);
        self.launched.send_if_modified(|launched| {
            let first = launched.is_none();
            launched.get_or_insert(Err(LaunchFailure::Failed(
                "the worker failed while the browser was starting; its log says how".to_owned(),
            )));
            first
        });
        reason
    }

    fn record(&self, reading: Reading) {
        let usage = &mut self.state().usage;
        usage.cpu = usage.cpu.max(reading.cpu);
        usage.memory = usage.memory.max(reading.memory);
    }

    fn record_traffic(&self, traffic: &Traffic) {
        let usage = &mut self.state().usage;
        usage.proxy = usage.proxy.max(traffic.proxy);
        usage.egress = usage.egress.max(traffic.egress);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usage(&self) -> Usage {
        let running = self
            .running_since
            .map_or(self.usage.running, |since| since.elapsed().into());
        Usage {
            running,
            ..self.usage
        }
    }
}
