//! Postgres is stopped at once, again and again, while creates arrive. What was acknowledged is there afterwards.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use wharf_testkit::ApiClient;

use crate::dice::Dice;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, Stage, release};

/// 50 a second.
const CREATE_EVERY: Duration = Duration::from_millis(20);
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// So many creates may be under way; further ones are skipped and counted.
const AT_ONCE: usize = 400;

#[derive(Debug, Default)]
struct Answers {
    /// Session and when it was acknowledged.
    acknowledged: Vec<(String, Instant)>,
    /// By status and the first words of the message.
    refused: BTreeMap<String, usize>,
    unanswered: usize,
    skipped: usize,
}

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        gateways: 1,
        reals: 0,
        ..Crew::WHOLE
    };
    let mut stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("postgres", 100_000).await?;
    let clients = (0..crew.apis)
        .map(|api| stage.fleet.client(api, &tenant))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let answers = Arc::new(Mutex::new(Answers::default()));
    let mut load = JoinSet::new();
    load.spawn(ask(clients.clone(), Arc::clone(&answers)));
    let mut outcome = Outcome::default();
    let dice = Dice::new(conditions.seed, 1);
    let kills = conditions.choose(3, 20);
    let mut back = Vec::new();
    let started = Instant::now();
    for _ in 0..kills {
        sleep(dice.between(Duration::from_millis(1_500), Duration::from_millis(4_000))).await;
        stage.fleet.postgres.crash().await?;
        sleep(dice.between(Duration::from_millis(100), Duration::from_millis(2_000))).await;
        stage.fleet.postgres.start().await?;
        back.push(until_created(&answers).await);
    }
    sleep(Duration::from_secs(2)).await;
    load.shutdown().await;
    let took = started.elapsed();
    outcome.fault("Postgres stopped at once", kills);
    outcome.at_most("Postgres back until a create succeeds", &back, BACK_WITHIN);
    judge(&mut stage, &clients, &answers, took, &mut outcome).await?;
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// Asks at a steady rate, whatever is answered.
async fn ask(clients: Vec<ApiClient>, answers: Arc<Mutex<Answers>>) {
    let mut ticks = interval(CREATE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked = JoinSet::new();
    for index in 0.. {
        ticks.tick().await;
        while asked.try_join_next().is_some() {}
        if asked.len() >= AT_ONCE {
            answers.lock().unwrap_or_else(PoisonError::into_inner).skipped += 1;
            continue;
        }
        let client = clients[index % clients.len()].clone();
        asked.spawn(one(client, Arc::clone(&answers)));
    }
}

async fn one(client: ApiClient, answers: Arc<Mutex<Answers>>) {
    let body = json!({ "region": FAKE, "keepAlive": true, "timeout": 120 });
    let answer = client.call(Method::POST, "/v1/sessions", Some(&body)).await;
    let at = Instant::now();
    let id = {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) if answer.status == 201 => {
                let id = answer.text("id").to_owned();
                answers.acknowledged.push((id.clone(), at));
                id
            }
            Ok(answer) => {
                let words: String = answer.message().chars().take(60).collect();
                *answers
                    .refused
                    .entry(format!("{} {words}", answer.status))
                    .or_default() += 1;
                return;
            }
            Err(_) => {
                answers.unanswered += 1;
                return;
            }
        }
    };
    // Nobody keeps thousands of browsers; whether this is heard does not matter here.
    let _ = release(&client, &id).await;
}

async fn until_created(answers: &Mutex<Answers>) -> Duration {
    let since = Instant::now();
    loop {
        let latest = {
            let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.acknowledged.last().map(|(_, at)| *at)
        };
        if latest.is_some_and(|at| at > since) || since.elapsed() > 6 * BACK_WITHIN {
            return since.elapsed();
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn judge(
    stage: &mut Stage,
    clients: &[ApiClient],
    answers: &Mutex<Answers>,
    took: Duration,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    let stored: HashSet<String> = stage
        .audit
        .sessions()
        .await?
        .into_iter()
        .map(|session| session.id.to_string())
        .collect();
    let lost: Vec<_> = answers
        .acknowledged
        .iter()
        .map(|(id, _)| id)
        .filter(|id| !stored.contains(*id))
        .collect();
    let acknowledged = answers.acknowledged.len();
    let refused: usize = answers.refused.values().sum();
    outcome.creates += acknowledged + refused + answers.unanswered;
    outcome.sessions += stored.len();
    outcome.exactly("acknowledged creates that were lost", lost.len(), 0, acknowledged);
    outcome.told(
        "creates per second over the whole run",
        format!(
            "{:.1} acknowledged, {:.1} refused, {} unanswered, {} not sent as {AT_ONCE} were under way",
            acknowledged as f64 / took.as_secs_f64(),
            refused as f64 / took.as_secs_f64(),
            answers.unanswered,
            answers.skipped
        ),
        outcome.creates,
    );
    outcome.told(
        "why creates were refused",
        format!("{:?}", answers.refused),
        refused,
    );
    let last = answers
        .acknowledged
        .last()
        .map(|(id, _)| id.clone())
        .unwrap_or_default();
    for (api, client) in clients.iter().enumerate() {
        let answer = client
            .call(Method::GET, &format!("/v1/sessions/{last}"), None)
            .await?;
        if answer.status != 200 {
            outcome.violation(format!("I1: api-{api} does not know session {last}"));
        }
    }
    for role in stage.fleet.roles() {
        if let Some(status) = role.ended()? {
            outcome.violation(format!(
                "{} ended with {status}: {}",
                role.name(),
                role.last_words()
            ));
        }
    }
    Ok(())
}
