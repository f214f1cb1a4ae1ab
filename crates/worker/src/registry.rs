//! Every session that the worker answers for, and the ones it did until a moment ago.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use wharf_domain::{EndReason, Generation, SessionId};
use wharf_protocol::{LaunchRequest, ObservedSession};

use crate::session::Session;

/// How many forgotten launches are remembered, so that a late client hears "ended" and not "unknown", and a late
/// repetition of a launch starts nothing.
const REMEMBERED: usize = 1_024;

/// Sessions by id and generation. An ended one stays until the control plane has stored its end.
///
/// There is no limit to the ended ones: to drop an end is to lie about it. They cannot pile up either, because only the
/// control plane starts sessions, and it places none on a worker that it has not heard for ten seconds: with it away,
/// there are at most those that ran, and those that were launched in the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// How many sessions have not ended.
    live: watch::Sender<usize>,
    draining: watch::Sender<Draining>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: BTreeMap<(SessionId, Generation), Arc<Session>>,
    /// Oldest first.
    forgotten: VecDeque<(SessionId, Generation)>,
    closed: bool,
}

/// Who wants the worker to take no more launches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draining {
    /// Its own process, which is to stop. Never taken back.
    pub(crate) own: bool,
    /// An operator, by way of the control plane.
    pub(crate) operator: bool,
}

impl Draining {
    pub(crate) const fn is_on(self) -> bool {
        self.own || self.operator
    }
}

/// What a request to launch meets.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Nothing: somebody has to run this session now.
    New(Arc<Session>),
    /// Itself, repeated.
    Present(Arc<Session>),
    /// A later launch of the same session, or its own end.
    Stale,
    /// A worker that takes no more launches.
    Draining,
    /// A worker that is being stopped.
    Closed,
}

/// What a client's token meets.
#[derive(Debug)]
pub(crate) enum Found {
    Session(Arc<Session>),
    /// That launch is over.
    Ended,
    Unknown,
}

impl Registry {
    /// Takes note of a launch, once. A later generation ends the earlier ones.
    pub(crate) fn admit(&self, request: &LaunchRequest) -> Admission {
        let key = (request.session, request.generation);
        let mut inner = self.inner();
        if let Some(session) = inner.sessions.get(&key) {
            return Admission::Present(Arc::clone(session));
        }
        if inner.closed {
            return Admission::Closed;
        }
        if self.draining.borrow().is_on() {
            return Admission::Draining;
        }
        if inner
            .newest(request.session)
            .is_some_and(|newest| newest >= request.generation)
        {
            return Admission::Stale;
        }
        for superseded in inner.launches_of(request.session) {
            superseded.end(EndReason::Killed);
        }
        let session = Arc::new(Session::new(request));
        inner.sessions.insert(key, Arc::clone(&session));
        self.live.send_modify(|live| *live += 1);
        Admission::New(session)
    }

    /// A session that was admitted needs its worker no more.
    pub(crate) fn one_is_over(&self) {
        self.live.send_modify(|live| *live -= 1);
    }

    /// How many sessions have not ended.
    pub(crate) fn live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }

    pub(crate) fn draining(&self) -> watch::Receiver<Draining> {
        self.draining.subscribe()
    }

    /// Changes who wants the worker to take no more launches; says whether that is a change. A launch that is being
    /// admitted is counted before this returns.
    pub(crate) fn set_draining(&self, change: impl FnOnce(&mut Draining)) -> bool {
        let _admissions = self.inner();
        self.draining.send_if_modified(|draining| {
            let before = *draining;
            change(draining);
            *draining != before
        })
    }

    /// The session that has been here longest of those that have not ended.
    pub(crate) fn oldest(&self) -> Option<Arc<Session>> {
        let inner = self.inner();
        let live = inner.sessions.values().filter(|session| !session.has_ended());
        live.min_by_key(|session| session.begun()).cloned()
    }

    /// The launch that a token is for.
    pub(crate) fn find(&self, session: SessionId, generation: Generation) -> Found {
        let inner = self.inner();
        match inner.sessions.get(&(session, generation)) {
            Some(found) => Found::Session(Arc::clone(found)),
            None if inner.newest(session).is_some_and(|newest| newest >= generation) => Found::Ended,
            None => Found::Unknown,
        }
    }

    /// Strikes out a session that was never begun.
    pub(crate) fn remove(&self, session: &Session) {
        self.inner().sessions.remove(&(session.id, session.generation));
    }

    /// Stops reporting a session whose end is stored. One that has not ended is left alone.
    pub(crate) fn forget(&self, session: SessionId, generation: Generation) {
        let mut inner = self.inner();
        let key = (session, generation);
        if inner
            .sessions
            .get(&key)
            .is_some_and(|session| session.has_ended())
        {
            inner.sessions.remove(&key);
            inner.forgotten.push_back(key);
            if inner.forgotten.len() > REMEMBERED {
                inner.forgotten.pop_front();
            }
        }
    }

    /// Admits nothing any more, and ends everything.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        for session in inner.sessions.values() {
            session.end(EndReason::Killed);
        }
    }

    /// Everything, as the control plane wants to know it.
    pub(crate) fn observe(&self) -> Vec<ObservedSession> {
        self.inner()
            .sessions
            .values()
            .map(|session| session.observe())
            .collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn launches_of(&self, session: SessionId) -> impl Iterator<Item = &Arc<Session>> {
        let all = (session, Generation(i32::MIN))..=(session, Generation(i32::MAX));
        self.sessions.range(all).map(|(_, session)| session)
    }

    /// The latest launch of the session that is known of.
    fn newest(&self, session: SessionId) -> Option<Generation> {
        let present = self.launches_of(session).map(|launch| launch.generation);
        let forgotten = self
            .forgotten
            .iter()
            .filter(|(id, _)| *id == session)
            .map(|(_, generation)| *generation);
        present.chain(forgotten).max()
    }
}
