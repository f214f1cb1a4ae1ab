//! A worker that dies takes its browsers with it, and its sessions do not stay live in the books.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use wharf_testkit::{ApiClient, Cdp};

use crate::browsers;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, REAL, Stage, create};

const BROWSERS_GONE_WITHIN: Duration = Duration::from_secs(2);
const ENDED_AFTER_RESTART: Duration = Duration::from_secs(10);
const ENDED_WITHOUT: Duration = Duration::from_secs(65);
const PATIENCE: Duration = Duration::from_secs(75);

#[derive(Debug, Default)]
struct Times {
    gone: Vec<Duration>,
    ended: Vec<Duration>,
}

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        apis: 1,
        gateways: 1,
        fakes: 1,
        reals: 1,
        warm: 2,
    };
    let mut stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("workers", 100).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let mut outcome = Outcome::default();
    let runs = conditions.choose(2, 30);
    let mut back = Times::default();
    for run in 0..runs {
        one(&mut stage, &api, run % 2, true, &mut back, &mut outcome).await?;
    }
    let mut away = Times::default();
    // A minute of waiting each, which the short form does not have.
    for run in 0..conditions.choose(0, 6) {
        one(&mut stage, &api, run % 2, false, &mut away, &mut outcome).await?;
    }
    let gone: Vec<Duration> = back.gone.iter().chain(&away.gone).copied().collect();
    outcome.at_most(
        "worker killed until no browser process is left",
        &gone,
        BROWSERS_GONE_WITHIN,
    );
    outcome.at_most(
        "worker killed and restarted until its sessions have ended",
        &back.ended,
        ENDED_AFTER_RESTART,
    );
    if !conditions.short {
        outcome.at_most(
            "worker killed and not restarted until its sessions have ended",
            &away.ended,
            ENDED_WITHOUT,
        );
    }
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// Kills one worker with sessions on it, some with clients.
async fn one(
    stage: &mut Stage,
    api: &ApiClient,
    worker: usize,
    restart: bool,
    times: &mut Times,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let (region, count) = [(FAKE, 10), (REAL, 3)][worker];
    let (mut sessions, mut clients) = (Vec::new(), Vec::new());
    for index in 0..count {
        let created = create(api, region, index % 2 == 0).await?;
        clients.push(Cdp::connect(&created.connect_url).await?);
        sessions.push(created.id);
    }
    outcome.creates += count;
    outcome.sessions += count;
    outcome.fault("kill -9 of a worker", 1);
    let mut running = browsers::running(&stage.worker_pids());
    running.retain(|browser| Some(browser.owner) == stage.fleet.workers[worker].pid());
    anyhow::ensure!(
        running.len() >= count,
        "the sessions' browsers are not in the process table"
    );
    let family = browsers::family(&running);
    let since = Instant::now();
    stage.fleet.workers[worker].kill().await?;
    while family.iter().any(|pid| browsers::is_alive(*pid)) && since.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10)).await;
    }
    times.gone.push(since.elapsed());
    if restart {
        stage.fleet.workers[worker].start().await?;
    }
    match until_all_ended(stage, &sessions, since, outcome).await? {
        true => times.ended.push(since.elapsed()),
        false => outcome.violation(format!(
            "I2: sessions of a worker that was killed {} are live after {:.0} s",
            if restart {
                "and restarted"
            } else {
                "and not restarted"
            },
            since.elapsed().as_secs_f64()
        )),
    }
    if !restart {
        stage.fleet.workers[worker].start().await?;
    }
    Ok(())
}

async fn until_all_ended(
    stage: &Stage,
    ids: &[String],
    since: Instant,
    outcome: &mut Outcome,
) -> anyhow::Result<bool> {
    loop {
        let sessions = stage.audit.sessions().await?;
        let mut ours = sessions
            .iter()
            .filter(|session| ids.contains(&session.id.to_string()));
        if ours.clone().all(wharf_testkit::AuditedSession::is_terminal) {
            if let Some(other) = ours.find(|session| session.end_reason.as_deref() != Some("worker_lost")) {
                outcome.violation(format!(
                    "session {} of a worker that was killed ended as {:?}",
                    other.id, other.end_reason
                ));
            }
            return Ok(true);
        }
        if since.elapsed() > PATIENCE {
            return Ok(false);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
