//! The one checker: the invariants, from the database, the process table and the load's own log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use reqwest::Method;
use tokio::time::sleep;
use wharf_testkit::{ApiClient, AuditedSession, Tenant};

use crate::browsers;
use crate::load_log::{LoadLog, Seen};
use crate::outcome::Outcome;
use crate::stage::{self, Stage};

/// What a session may outlive its deadline by.
const GRACE_SECONDS: f64 = 60.0;
/// What usage may differ by from the time between readiness and end.
const USAGE_SECONDS: f64 = 1.0;
/// How long a browser may outlive its session.
const BROWSERS_GONE_WITHIN: Duration = Duration::from_secs(30);
const ASKED_AT_ONCE: usize = 16;
/// Of each kind of violation so many are told.
const TOLD: usize = 10;

/// What becomes of sessions that no client was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are left to end by themselves, at their deadline at the latest.
    Wait,
    /// They are released, for want of time.
    Release,
}

/// Checks a fleet whose faults are over. Waits until every session has ended, or should have.
pub async fn check(
    stage: &Stage,
    tenants: &[Tenant],
    log: &LoadLog,
    unknown: Unknown,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let entries = log.entries();
    let acknowledged = acknowledged(&entries);
    outcome.creates += entries
        .iter()
        .filter(|seen| matches!(seen, Seen::Asked { .. }))
        .count();
    tell(outcome, log.violations());
    let settled = Instant::now();
    let sessions = settle(stage, tenants, &acknowledged, unknown).await?;
    outcome.told(
        "time until every session had ended",
        format!("{:?}", settled.elapsed()),
        1,
    );
    outcome.sessions += sessions.len();
    tell(outcome, readable(stage, tenants, &acknowledged).await?);
    tell(outcome, stuck(stage, &sessions));
    tell(outcome, launched_twice(&sessions));
    tell(outcome, wrong_usage(stage, &sessions));
    tell(outcome, counters(stage).await?);
    tell(outcome, forgotten_browsers(stage).await);
    tell(outcome, strangers(stage, tenants, &sessions).await?);
    ends(&sessions, outcome);
    Ok(())
}

fn tell(outcome: &mut Outcome, violations: Vec<String>) {
    let more = violations.len().saturating_sub(TOLD);
    violations
        .into_iter()
        .take(TOLD)
        .for_each(|what| outcome.violation(what));
    if more > 0 {
        outcome.violation(format!("... and {more} more of the last kind"));
    }
}

/// The sessions that somebody was told of, and their projects.
fn acknowledged(entries: &[Seen]) -> HashMap<String, String> {
    entries
        .iter()
        .filter_map(|seen| match seen {
            Seen::Acknowledged { session, project, .. } => Some((session.clone(), project.clone())),
            _ => None,
        })
        .collect()
}

/// Releases what clients left, and waits until everything has ended or is past all patience.
async fn settle(
    stage: &Stage,
    tenants: &[Tenant],
    acknowledged: &HashMap<String, String>,
    unknown: Unknown,
) -> anyhow::Result<Vec<AuditedSession>> {
    let clients = clients(stage, 0, tenants)?;
    for session in stage.audit.sessions().await? {
        let id = session.id.to_string();
        if let (false, Some(client)) = (session.is_terminal(), clients.get(&session.project.to_string()))
            && (unknown == Unknown::Release || acknowledged.contains_key(&id))
        {
            stage::release(client, &id).await?;
        }
    }
    loop {
        let sessions = stage.audit.sessions().await?;
        let waits = |session: &AuditedSession| !session.is_terminal() && session.overdue <= GRACE_SECONDS;
        if !sessions.iter().any(waits) {
            return Ok(sessions);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// I1: every acknowledged create is readable from every replica.
async fn readable(
    stage: &Stage,
    tenants: &[Tenant],
    acknowledged: &HashMap<String, String>,
) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for api in 0..stage.fleet.apis.len() {
        let clients = clients(stage, api, tenants)?;
        let answers: Vec<_> = stream::iter(acknowledged)
            .map(|(session, project)| {
                let client = &clients[project];
                async move {
                    let answer = client
                        .call(Method::GET, &format!("/v1/sessions/{session}"), None)
                        .await;
                    (session, answer.map(|answer| answer.status))
                }
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await;
        for (session, answer) in answers {
            if !matches!(answer, Ok(200)) {
                violations.push(format!(
                    "I1: session {session} was acknowledged; api-{api} says {answer:?}\n{}",
                    words_about(stage, session)
                ));
            }
        }
    }
    Ok(violations)
}

/// I2: nothing lives past its deadline.
fn stuck(stage: &Stage, sessions: &[AuditedSession]) -> Vec<String> {
    sessions
        .iter()
        .filter(|session| !session.is_terminal())
        .map(|session| {
            format!(
                "I2: session {} is {} {:.0} s past its deadline, on {:?}\n{}",
                session.id,
                session.status,
                session.overdue,
                session.worker,
                words_about(stage, &session.id.to_string())
            )
        })
        .collect()
}

/// One logical create is one session. Not counted are those that never ran: their create was refused, and repeated as
/// another try.
pub fn launched_twice(sessions: &[AuditedSession]) -> Vec<String> {
    let mut launches: HashMap<(String, i64), Vec<String>> = HashMap::new();
    for session in sessions {
        let metadata = session.user_metadata.as_ref();
        let number = metadata.and_then(|metadata| metadata["create"].as_i64());
        let by = metadata.and_then(|metadata| metadata["by"].as_str());
        let refused = session.end_reason.as_deref() == Some("launch_failed");
        if let (Some(number), Some(by), false) = (number, by, refused) {
            launches
                .entry((by.to_owned(), number))
                .or_default()
                .push(session.id.to_string());
        }
    }
    launches
        .into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|((by, number), ids)| {
            format!("double launch: create {number} by {by} became {}", ids.join(", "))
        })
        .collect()
}

/// I4: what is billed is the time between readiness and end. A lost worker's session is billed up to its last report, which
/// is less.
fn wrong_usage(stage: &Stage, sessions: &[AuditedSession]) -> Vec<String> {
    sessions
        .iter()
        .filter_map(|session| {
            let ran = session.ran?;
            let lost = session.end_reason.as_deref() == Some("worker_lost");
            let too_much = session.billed > ran + USAGE_SECONDS;
            let too_little = !lost && session.billed < ran - USAGE_SECONDS;
            (too_much || too_little).then(|| {
                format!(
                    "I4: session {} ran {ran:.3} s and is billed {:.3} s; {} {:?} on {:?}\n{}",
                    session.id,
                    session.billed,
                    session.status,
                    session.end_reason,
                    session.worker,
                    words_about(stage, &session.id.to_string())
                )
            })
        })
        .collect()
}

/// I6: every counter is back at nothing.
async fn counters(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for (kind, counters) in [
        ("project", stage.audit.projects().await?),
        ("worker", stage.audit.workers().await?),
    ] {
        for counter in counters.iter().filter(|counter| counter.counted != counter.live) {
            violations.push(format!(
                "I6: {kind} {} counts {} sessions at the end, {} are live",
                counter.name, counter.counted, counter.live
            ));
        }
    }
    Ok(violations)
}

/// I3: no browser of an ended session is left. Those of a pool do not tell whom they are for, but there are not many.
async fn forgotten_browsers(stage: &Stage) -> Vec<String> {
    let pids = stage.worker_pids();
    let deadline = Instant::now() + BROWSERS_GONE_WITHIN;
    loop {
        let running = browsers::running(&pids);
        let (named, pooled): (Vec<_>, Vec<_>) =
            running.iter().partition(|browser| browser.session().is_some());
        let too_many = pooled.len() > stage.pooled();
        if (named.is_empty() && !too_many) || Instant::now() > deadline {
            let left = if too_many { running.iter().collect() } else { named };
            return left
                .iter()
                .map(|browser| {
                    format!(
                        "I3: browser {} ({}) runs though every session has ended",
                        browser.pid, browser.name
                    )
                })
                .collect();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// I7: nobody is shown another's session.
async fn strangers(
    stage: &Stage,
    tenants: &[Tenant],
    sessions: &[AuditedSession],
) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for tenant in tenants {
        let client = stage.fleet.client(0, tenant)?;
        let own = tenant.project.to_string();
        let listed = client.call(Method::GET, "/v1/sessions", None).await?;
        for session in listed.body.as_array().into_iter().flatten() {
            if session["projectId"] != own.as_str() {
                violations.push(format!("I7: project {own} is shown {session}"));
            }
        }
        let others = sessions
            .iter()
            .filter(|session| session.project.to_string() != own);
        for session in others.take(TOLD) {
            let path = format!("/v1/sessions/{}", session.id);
            let answer = client.call(Method::GET, &path, None).await?;
            if answer.status != 404 {
                violations.push(format!(
                    "I7: project {own} asks for {}, which is another's, and is answered {}",
                    session.id, answer.status
                ));
            }
        }
    }
    Ok(violations)
}

fn ends(sessions: &[AuditedSession], outcome: &mut Outcome) {
    let mut ends: HashMap<String, usize> = HashMap::new();
    for session in sessions {
        let end = session
            .end_reason
            .clone()
            .unwrap_or_else(|| session.status.clone());
        *ends.entry(end).or_default() += 1;
    }
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> = ends.iter().map(|(end, count)| format!("{end} {count}")).collect();
    outcome.told("how sessions ended", told.join(", "), sessions.len());
}

fn clients(stage: &Stage, api: usize, tenants: &[Tenant]) -> anyhow::Result<HashMap<String, ApiClient>> {
    tenants
        .iter()
        .map(|tenant| Ok((tenant.project.to_string(), stage.fleet.client(api, tenant)?)))
        .collect()
}

/// The fleet's last log lines about a session.
pub fn words_about(stage: &Stage, session: &str) -> String {
    const LINES: usize = 8;
    let fleet = &stage.fleet;
    let mut found = Vec::new();
    for role in fleet.apis.iter().chain(&fleet.gateways).chain(&fleet.workers) {
        let text = std::fs::read(role.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        found.extend(text.lines().filter(|line| line.contains(session)).map(|line| {
            format!(
                "      {} {}",
                role.name(),
                line.chars().take(240).collect::<String>()
            )
        }));
    }
    found[found.len().saturating_sub(LINES)..].join("\n")
}
