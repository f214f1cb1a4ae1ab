//! A session's task, from the request to launch to the browser's last trace.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use wharf_domain::{EndReason, Millis};
use wharf_protocol::{LaunchReply, LaunchRequest};

use super::end::{self, Event};
use super::{LaunchFailure, Session};
use crate::agent::Agent;
use crate::browser::{Browser, Exit, Meter};
use crate::metric;
use wharf_tunnel::Side;

/// How long a launch waits for a slot: a session that has just ended gives its slot back only once its browser is gone.
const SLOT_WAIT: Duration = Duration::from_secs(2);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// The first sample walks every page of the browser, some 20 ms of a core's time, which at readiness would be taken from
/// the answer to the create and from the client that connects.
const FIRST_SAMPLE_AFTER: Duration = Duration::from_millis(500);
/// A dying process closes its sockets a moment before it can be seen to have died. When the browser's side of the last
/// tunnel ends first, this is the time its exit has to show itself.
const EXIT_WAIT: Duration = Duration::from_millis(100);

/// Runs the session to its end. The slot is held until the browser is completely gone.
pub(crate) async fn run(agent: Arc<Agent>, session: Arc<Session>, request: LaunchRequest) {
    let Some(slot) = slot(&agent, &request).await else {
        agent.registry.remove(&session);
        session.launched.send_replace(Some(Err(LaunchFailure::Full)));
        return;
    };
    let sessions = metrics::gauge!(metric::SESSIONS);
    sessions.increment(1.0);
    let reason = match start(&agent, &session, &request).await {
        Ok(browser) => live(&session, browser, &request).await,
        Err(reason) => reason,
    };
    session.set_ended(reason);
    sessions.decrement(1.0);
    drop(slot);
    metrics::counter!(metric::SESSION_ENDS, "reason" => reason.name()).increment(1);
    log_end(&session, reason);
    agent.ended.notify_one();
}

async fn slot(agent: &Agent, request: &LaunchRequest) -> Option<OwnedSemaphorePermit> {
    let wait = SLOT_WAIT.min(request.launch_within.into());
    let slot = timeout(wait, Arc::clone(&agent.slots).acquire_owned()).await;
    Some(slot.ok()?.expect("the slots are never closed"))
}

async fn start(
    agent: &Agent,
    session: &Session,
    request: &LaunchRequest,
) -> Result<Box<dyn Browser>, EndReason> {
    let within = Duration::from(request.launch_within).saturating_sub(session.begun.elapsed());
    let launched = tokio::select! {
        biased;
        reason = ordered_end(session) => Err((reason, LaunchFailure::Ended(reason))),
        launched = agent.browsers.launch(request, within) => {
            launched.map_err(|error| (EndReason::LaunchFailed, LaunchFailure::Failed(error)))
        }
    };
    let took = session.begun.elapsed();
    match launched {
        Ok(browser) => {
            metrics::histogram!(metric::LAUNCH_SECONDS).record(took);
            let reply = LaunchReply {
                browser_version: browser.version(),
                took: took.into(),
            };
            log_start(session, &reply);
            session.set_running(browser.endpoint());
            session.launched.send_replace(Some(Ok(reply)));
            Ok(browser)
        }
        Err((reason, failure)) => {
            session.launched.send_replace(Some(Err(failure)));
            Err(reason)
        }
    }
}

/// From the browser's readiness until it is gone.
async fn live(session: &Session, browser: Box<dyn Browser>, request: &LaunchRequest) -> EndReason {
    let meter = browser.meter();
    let event = tokio::select! {
        event = watch(session, &*browser, request) => event,
        never = measure(session, &meter) => match never {},
    };
    session.clients.close();
    session.set_ending();
    if let Event::Exited(Exit::Crash(how)) = &event {
        tracing::warn!(
            session = %session.id, project = %session.project, generation = session.generation.0,
            "the browser of session {} ended by itself: {how}", session.id,
        );
    }
    if !matches!(event, Event::Exited(_)) {
        sample(session, &meter).await;
    }
    browser.close().await;
    end::reason(&event, session.clients.count().total > 0)
}

/// Waits for what ends the session.
async fn watch(session: &Session, browser: &dyn Browser, request: &LaunchRequest) -> Event {
    let ready = Instant::now();
    let deadline = ready + Duration::from(request.timeout);
    let connect_by = request
        .connect_within
        .map(|within| ready + Duration::from(within));
    loop {
        let event = tokio::select! {
            biased;
            reason = ordered_end(session) => Event::Ordered(reason),
            exit = browser.exited() => Event::Exited(exit),
            () = sleep_until(deadline) => Event::Deadline,
            () = nobody_came(session, connect_by) => Event::NobodyCame,
            exit = all_left(session, browser, request.keep_alive) => exit.map_or(Event::AllLeft, Event::Exited),
        };
        // A client may have come in at the last moment; then it is not the end.
        let over = match event {
            Event::NobodyCame => session.clients.close_if(|count| count.total == 0),
            Event::AllLeft => session.clients.close_if(|count| count.now == 0),
            Event::Ordered(_) | Event::Exited(_) | Event::Deadline => true,
        };
        if over {
            return event;
        }
    }
}

async fn ordered_end(session: &Session) -> EndReason {
    let mut ordered = session.ordered_end.subscribe();
    let reason = ordered.wait_for(Option::is_some).await.map(|reason| *reason);
    reason
        .ok()
        .flatten()
        .expect("the sender is the session's own, and it was waited for")
}

async fn nobody_came(session: &Session, connect_by: Option<Instant>) {
    match connect_by {
        Some(connect_by) if session.clients.count().total == 0 => sleep_until(connect_by).await,
        _ => pending().await,
    }
}

/// Resolves when no client is left of a session that does not outlive them, with the browser's exit if that is why.
async fn all_left(session: &Session, browser: &dyn Browser, keep_alive: bool) -> Option<Exit> {
    if keep_alive {
        return pending().await;
    }
    match session.clients.all_left().await {
        Side::Client => None,
        Side::Upstream => timeout(EXIT_WAIT, browser.exited()).await.ok(),
    }
}

async fn measure(session: &Session, meter: &Arc<dyn Meter>) -> Infallible {
    let mut ticks = interval_at(Instant::now() + FIRST_SAMPLE_AFTER, SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sample(session, meter).await;
    }
}

async fn sample(session: &Session, meter: &Arc<dyn Meter>) {
    let meter = Arc::clone(meter);
    if let Ok(Some(reading)) = tokio::task::spawn_blocking(move || meter.read()).await {
        session.record(reading);
    }
}

fn log_start(session: &Session, reply: &LaunchReply) {
    let LaunchReply {
        browser_version,
        took: Millis(took),
    } = reply;
    tracing::info!(
        session = %session.id, project = %session.project, generation = session.generation.0,
        "session {} runs in {browser_version}, ready after {took} ms", session.id,
    );
}

fn log_end(session: &Session, reason: EndReason) {
    let usage = session.observe().usage;
    let clients = session.clients.count().total;
    let failure = session
        .launched
        .borrow()
        .as_ref()
        .and_then(|launched| launched.as_ref().err().cloned());
    let why = match failure {
        Some(LaunchFailure::Failed(error)) => format!(": {error}"),
        _ => String::new(),
    };
    tracing::info!(
        session = %session.id, project = %session.project, generation = session.generation.0, %reason, clients,
        running_ms = usage.running.0, cpu_ms = usage.cpu.0, memory_bytes = usage.memory.0,
        "session {} has ended after {} ms, reason {reason}{why}", session.id, usage.running.0,
    );
}
