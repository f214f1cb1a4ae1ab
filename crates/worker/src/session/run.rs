//! A session's task, from the request to launch to the browser's last trace.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};
use wharf_domain::{Bytes, EndReason, Millis};
use wharf_protocol::{LaunchReply, LaunchRequest};

use super::clients::{Count, Departure};
use super::end::{self, Event};
use super::{LaunchFailure, Session};
use crate::agent::Agent;
use crate::browser::{Browser, Exit, Meter};
use crate::metric;
use crate::rules::{SessionRules, after};

/// Measuring takes some milliseconds.
const LAST_SAMPLE_WITHIN: Duration = Duration::from_secs(1);
/// The first sample walks every page of the browser, some 20 ms of a core's time, which at readiness would be taken from
/// the answer to the create and from the client that connects.
const FIRST_SAMPLE_AFTER: Duration = Duration::from_millis(500);

/// Runs the session to its end, whatever happens: a panic kills the browser, gives the slot back, and is an end too. Else
/// the control plane would believe for ever in a session that nobody runs.
pub(crate) async fn supervise(agent: Arc<Agent>, session: Arc<Session>, request: LaunchRequest) {
    let outcome = AssertUnwindSafe(run(&agent, &session, &request)).catch_unwind();
    match outcome.await {
        Ok(Some(reason)) => log_end(&session, reason),
        Ok(None) => {}
        Err(_) => {
            let reason = session.abandon();
            tracing::error!(
                session = %session.id, project = %session.project, generation = session.generation.0, %reason,
                "the task of session {} panicked; its browser is killed and it ends, reason {reason}", session.id,
            );
            count_end(reason);
        }
    }
    agent.registry.one_is_over();
    agent.ended.notify_one();
}

/// Runs the session, and says why it ended; `None` for one that got no slot. The slot is held until the browser is
/// completely gone.
async fn run(agent: &Agent, session: &Session, request: &LaunchRequest) -> Option<EndReason> {
    let Some(_slot) = slot(agent, request).await else {
        agent.registry.remove(session);
        session.launched.send_replace(Some(Err(LaunchFailure::Full)));
        return None;
    };
    let _running = Gauged::new();
    let reason = match start(agent, session, request).await {
        Ok(browser) => live(&agent.rules, session, browser, request).await,
        Err(reason) => reason,
    };
    session.set_ended(reason);
    count_end(reason);
    Some(reason)
}

/// One more session in the gauge, until dropped.
struct Gauged(metrics::Gauge);

impl Gauged {
    fn new() -> Self {
        let sessions = metrics::gauge!(metric::SESSIONS);
        sessions.increment(1.0);
        Self(sessions)
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn count_end(reason: EndReason) {
    metrics::counter!(metric::SESSION_ENDS, "reason" => reason.name()).increment(1);
}

async fn slot(agent: &Agent, request: &LaunchRequest) -> Option<OwnedSemaphorePermit> {
    let wait = agent.rules.slot_wait.min(request.launch_within.into());
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
        launched = vetted_launch(agent, request, within) => {
            launched.map_err(|failure| (EndReason::LaunchFailed, failure))
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
            let ready = Instant::now();
            session.set_running(browser.endpoint(), ready, after(ready, request.timeout.into()));
            session.launched.send_replace(Some(Ok(reply)));
            Ok(browser)
        }
        Err((reason, failure)) => {
            session.launched.send_replace(Some(Err(failure)));
            Err(reason)
        }
    }
}

async fn vetted_launch(
    agent: &Agent,
    request: &LaunchRequest,
    within: Duration,
) -> Result<Box<dyn Browser>, LaunchFailure> {
    let deadline = Instant::now() + within;
    let vetted = timeout_at(deadline, agent.browsers.vet(request)).await;
    let late = |_| LaunchFailure::Failed("what was asked for could not be tried out in time".to_owned());
    vetted.map_err(late)?.map_err(LaunchFailure::Impossible)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let launched = agent.browsers.launch(request, left).await;
    launched.map_err(LaunchFailure::Failed)
}

/// From the browser's readiness until it is gone.
async fn live(
    rules: &SessionRules,
    session: &Session,
    browser: Box<dyn Browser>,
    request: &LaunchRequest,
) -> EndReason {
    let meter = browser.meter();
    let event = tokio::select! {
        event = watch(rules, session, &*browser, request) => event,
        never = measure(rules, session, &meter) => match never {},
    };
    session.clients.close();
    session.set_ending();
    let how = match &event {
        Event::Exited(Exit::Crash(how)) => Some(how.as_str()),
        Event::Exited(Exit::OutOfMemory) => Some("it took more memory than a session may have"),
        _ => None,
    };
    if let Some(how) = how {
        tracing::warn!(
            session = %session.id, project = %session.project, generation = session.generation.0,
            "the browser of session {} ended by itself: {how}", session.id,
        );
    }
    if !matches!(event, Event::Exited(_)) {
        // The kernel lets nobody look into a process that hangs in it; the end must not wait for that.
        let _ = timeout(LAST_SAMPLE_WITHIN, sample(session, &meter)).await;
    }
    browser.close().await;
    // Whatever ended it, and however soon: who closes the browser is not to have closed the account.
    let traffic = meter.traffic();
    session.record_traffic(&traffic);
    tell_by_rule(session, &traffic.by_rule);
    end::reason(&event, session.clients.total() > 0)
}

/// The only place where a rule's share is told.
fn tell_by_rule(session: &Session, carried: &[Bytes]) {
    for (rule, bytes) in carried.iter().enumerate() {
        tracing::info!(
            session = %session.id, project = %session.project, rule, bytes = bytes.0,
            "rule {rule} of session {} carried {} bytes", session.id, bytes.0,
        );
    }
}

/// Waits for what ends the session.
async fn watch(
    rules: &SessionRules,
    session: &Session,
    browser: &dyn Browser,
    request: &LaunchRequest,
) -> Event {
    let ready = Instant::now();
    let deadline = after(ready, request.timeout.into());
    let connect_by = match request.connect_within {
        Some(within) if !request.keep_alive => Some(after(ready, within.into())),
        _ => None,
    };
    loop {
        let event = tokio::select! {
            biased;
            reason = ordered_end(session) => Event::Ordered(reason),
            exit = browser.exited() => Event::Exited(exit),
            () = sleep_until(deadline) => Event::Deadline,
            () = nobody_came(session, connect_by) => Event::NobodyCame,
            () = idle(session, request.idle_timeout) => Event::Idle,
            exit = all_left(rules, session, browser) => exit.map_or(Event::AllLeft, Event::Exited),
        };
        // A client may have come in at the last moment; then it is not the end.
        let over = match event {
            Event::NobodyCame => session.clients.close_if(|count| count.total == 0),
            Event::AllLeft => session.clients.close_if(Count::is_empty),
            Event::Ordered(_) | Event::Exited(_) | Event::Deadline | Event::Idle => true,
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
        Some(connect_by) if session.clients.total() == 0 => sleep_until(connect_by).await,
        _ => pending().await,
    }
}

/// A client that is connected but silent does not count, nor does what the browser sends.
async fn idle(session: &Session, idle_timeout: Option<Millis>) {
    match idle_timeout {
        Some(wait) => session.last_byte.silent_for(wait.into()).await,
        None => pending().await,
    }
}

/// Resolves when no client is left of a session that does not outlive them, with the browser's exit if that is why.
async fn all_left(rules: &SessionRules, session: &Session, browser: &dyn Browser) -> Option<Exit> {
    if session.keep_alive {
        return pending().await;
    }
    match session.clients.all_left().await {
        Departure::Left | Departure::Lost { .. } => None,
        Departure::BrowserClosed => timeout(rules.exit_wait, browser.exited()).await.ok(),
    }
}

async fn measure(rules: &SessionRules, session: &Session, meter: &Arc<dyn Meter>) -> Infallible {
    let mut ticks = interval_at(Instant::now() + FIRST_SAMPLE_AFTER, rules.sample_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sample(session, meter).await;
    }
}

async fn sample(session: &Session, meter: &Arc<dyn Meter>) {
    session.record_traffic(&meter.traffic());
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
    let clients = session.clients.total();
    let failure = session
        .launched
        .borrow()
        .as_ref()
        .and_then(|launched| launched.as_ref().err().cloned());
    let why = match failure {
        Some(LaunchFailure::Failed(error)) => format!(": {error}"),
        Some(LaunchFailure::Impossible(error)) => format!(": {error}"),
        _ => String::new(),
    };
    tracing::info!(
        session = %session.id, project = %session.project, generation = session.generation.0, %reason, clients,
        running_ms = usage.running.0, cpu_ms = usage.cpu.0, memory_bytes = usage.memory.0,
        "session {} has ended after {} ms, reason {reason}{why}", session.id, usage.running.0,
    );
}
