//! With the control plane and its database gone, what runs goes on, and whoever comes back gets in.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wharf_testkit::Cdp;

use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Created, Crew, FAKE, REAL, Stage, create};

const FAKES: usize = 20;
const REALS: usize = 3;
const BETWEEN_RECONNECTS: Duration = Duration::from_millis(500);
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
const REPORTED_WITHIN: Duration = Duration::from_secs(60);

/// What one client went through.
#[derive(Debug, Default)]
struct Lived {
    reconnects: usize,
    failed: Vec<String>,
    lost: Vec<String>,
}

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let mut stage = Stage::set(&conditions, Crew::WHOLE).await?;
    let tenant = stage.tenant("outage", 100).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let mut outcome = Outcome::default();
    let mut sessions = Vec::new();
    for index in 0..FAKES + REALS {
        let region = if index < REALS { REAL } else { FAKE };
        // Every third stays on one socket throughout, and ends if that is cut.
        sessions.push(create(&api, region, index % 3 != 0).await?);
    }
    outcome.creates += sessions.len();
    outcome.sessions += sessions.len();
    let (stop, mut clients) = (CancellationToken::new(), JoinSet::new());
    for (index, created) in sessions.iter().enumerate() {
        clients.spawn(live(created.clone(), index % 3 != 0, stop.clone()));
    }

    refusals(&mut stage, &tenant, &mut outcome).await?;
    let away = conditions.choose(Duration::from_secs(30), Duration::from_secs(300));
    for api in &mut stage.fleet.apis {
        api.kill().await?;
    }
    stage.fleet.postgres.crash().await?;
    outcome.fault("outage of every api and Postgres", 1);
    sleep(away).await;
    stage.fleet.postgres.start().await?;
    for api in &mut stage.fleet.apis {
        api.start().await?;
    }
    let since = Instant::now();
    let reported = until_reported(&stage).await?;
    outcome.at_most(
        "recovery until a create succeeds",
        &[created_again(&stage, &tenant, since).await?],
        REPORTED_WITHIN,
    );
    outcome.push(
        "recovery until every worker has reported",
        format!("{:.1} s", reported.as_secs_f64()),
        "<= 60 s".to_owned(),
        1,
        reported <= REPORTED_WITHIN,
    );
    stop.cancel();
    let lived = clients.join_all().await;
    judge(&stage, &sessions, &lived, away, &mut outcome).await?;
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// A client that counts in its session, and, if it may, leaves and comes back again and again.
async fn live(created: Created, comes_back: bool, stop: CancellationToken) -> Lived {
    let mut lived = Lived::default();
    let mut known = 0;
    while !stop.is_cancelled() {
        lived.reconnects += 1;
        let mut client = match Cdp::connect(&created.connect_url).await {
            Ok(client) => client,
            Err(error) => {
                lived.failed.push(format!("{error:#}"));
                sleep(BETWEEN_RECONNECTS).await;
                continue;
            }
        };
        loop {
            match client.count_up().await {
                Ok(count) if count > known => known = count,
                Ok(count) => lived
                    .lost
                    .push(format!("session {} counted {known}, then {count}", created.id)),
                Err(error) => {
                    lived.lost.push(format!("session {}: {error:#}", created.id));
                    break;
                }
            }
            tokio::select! {
                () = sleep(BETWEEN_RECONNECTS) => {}
                () = stop.cancelled() => break,
            }
            if comes_back {
                break;
            }
        }
    }
    lived
}

/// With Postgres away and the apis there, a create is refused at once.
async fn refusals(
    stage: &mut Stage,
    tenant: &wharf_testkit::Tenant,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    stage.fleet.postgres.crash().await?;
    outcome.fault("Postgres stopped at once", 1);
    let mut times = Vec::new();
    for api in 0..stage.fleet.apis.len() {
        let client = stage.fleet.client(api, tenant)?;
        let since = Instant::now();
        let answer = client
            .call(Method::POST, "/v1/sessions", Some(&json!({ "region": FAKE })))
            .await?;
        times.push(since.elapsed());
        if answer.status != 503 || !answer.headers.contains_key("retry-after") {
            outcome.violation(format!(
                "without Postgres a create is answered with {}: {}",
                answer.status, answer.body
            ));
        }
    }
    stage.fleet.postgres.start().await?;
    outcome.at_most(
        "create refused with 503 while Postgres is away",
        &times,
        REFUSED_WITHIN,
    );
    Ok(())
}

/// Until every worker has a fresh lease: only then is a session placed on it.
async fn until_reported(stage: &Stage) -> anyhow::Result<Duration> {
    let since = Instant::now();
    loop {
        let silent = stage.audit.silent_workers(10.0).await?;
        if silent == 0 || since.elapsed() > 2 * REPORTED_WITHIN {
            return Ok(since.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn created_again(
    stage: &Stage,
    tenant: &wharf_testkit::Tenant,
    since: Instant,
) -> anyhow::Result<Duration> {
    let client = stage.fleet.client(0, tenant)?;
    while create(&client, FAKE, true).await.is_err() && since.elapsed() < 2 * REPORTED_WITHIN {
        sleep(Duration::from_millis(200)).await;
    }
    Ok(since.elapsed())
}

async fn judge(
    stage: &Stage,
    sessions: &[Created],
    lived: &[Lived],
    away: Duration,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let stored = stage.audit.sessions().await?;
    let mut lost = 0;
    for created in sessions {
        // A client that was told to stop has left; a session that lived until then ended as disconnected, or lives.
        let session = stored.iter().find(|session| session.id.to_string() == created.id);
        let lives = session.is_some_and(|session| {
            !session.is_terminal() || session.end_reason.as_deref() == Some("disconnected")
        });
        if !lives {
            lost += 1;
            outcome.violation(format!("an outage ended session {}: {session:?}", created.id));
        }
    }
    for what in lived.iter().flat_map(|lived| &lived.lost).take(5) {
        outcome.violation(format!("an outage was felt: {what}"));
    }
    for what in lived.iter().flat_map(|lived| &lived.failed).take(5) {
        outcome.told("a connection that failed", what.clone(), 1);
    }
    let reconnects: usize = lived.iter().map(|lived| lived.reconnects).sum();
    let failed: usize = lived.iter().map(|lived| lived.failed.len()).sum();
    outcome.exactly(
        &format!("live sessions lost in an outage of {} s", away.as_secs()),
        lost,
        0,
        sessions.len(),
    );
    outcome.share(
        "connections during the outage that succeeded",
        reconnects - failed,
        reconnects,
        99.9,
    );
    Ok(())
}
