//! The limit of concurrent sessions is exact under race, over several replicas.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;
use wharf_testkit::ApiClient;

use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, Stage, release};

const LIMIT: usize = 25;
const CREATES: usize = 1_000;
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        reals: 0,
        ..Crew::WHOLE
    };
    let stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("parallel", i64::try_from(LIMIT)?).await?;
    let clients = (0..crew.apis)
        .map(|api| stage.fleet.client(api, &tenant))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let rounds = conditions.choose(1, 10);
    let (mut admitted, mut most_live) = (Vec::new(), 0);
    let started = Instant::now();
    for _ in 0..rounds {
        let ids = round(&clients, &mut outcome).await?;
        let live = stage.audit.projects().await?;
        let live = live
            .iter()
            .map(|project| usize::try_from(project.live).unwrap_or(0))
            .sum();
        most_live = most_live.max(live);
        admitted.push(ids.len());
        for id in &ids {
            release(&clients[0], id).await?;
        }
        until_free(&stage).await?;
    }
    let exact = admitted.iter().filter(|admitted| **admitted == LIMIT).count();
    outcome.exactly(
        &format!("rounds in which exactly {LIMIT} of {CREATES} were created ({admitted:?})"),
        exact,
        rounds,
        rounds,
    );
    outcome.exactly("most live sessions", most_live, LIMIT, rounds);
    let rate = outcome.creates as f64 / started.elapsed().as_secs_f64();
    outcome.told(
        "creates answered per second",
        format!("{rate:.0}"),
        outcome.creates,
    );
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// All at once; the ids of those that came about.
async fn round(clients: &[ApiClient], outcome: &mut Outcome) -> anyhow::Result<Vec<String>> {
    let body = json!({ "region": FAKE, "keepAlive": true, "timeout": 600 });
    let mut answers: FuturesUnordered<_> = (0..CREATES)
        .map(|index| clients[index % clients.len()].call(Method::POST, "/v1/sessions", Some(&body)))
        .collect();
    outcome.creates += CREATES;
    let (mut ids, mut turned_away) = (Vec::new(), 0_usize);
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        match answer.status {
            201 => ids.push(answer.text("id").to_owned()),
            429 if answer.headers.contains_key("retry-after") => {}
            // All wait for one row; who waits longer for a connection than a caller should is told to come back.
            503 if answer.headers.contains_key("retry-after") => turned_away += 1,
            other => outcome.violation(format!("a create was answered with {other}: {}", answer.body)),
        }
    }
    let told = "creates told to come back, for want of a connection";
    outcome.told(told, turned_away.to_string(), CREATES);
    outcome.sessions += ids.len();
    Ok(ids)
}

async fn until_free(stage: &Stage) -> anyhow::Result<()> {
    let deadline = Instant::now() + RELEASED_WITHIN;
    while stage
        .audit
        .projects()
        .await?
        .iter()
        .any(|project| project.live > 0)
    {
        anyhow::ensure!(Instant::now() < deadline, "released sessions do not end");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
