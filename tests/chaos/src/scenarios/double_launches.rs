//! One logical create is one session, through clients that repeat themselves when an answer does not arrive.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::json;

use crate::checker::launched_twice;
use crate::drivers::{self, Created, Sdk};
use crate::link::Weather;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, Stage};

/// Of a hundred answers.
const CUT: usize = 35;
const PARALLEL: usize = 12;

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let clients = drivers::install().await?;
    let crew = Crew {
        gateways: 1,
        reals: 0,
        ..Crew::WHOLE
    };
    let stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("sdks", 100_000).await?;
    let mut outcome = Outcome::default();
    let wanted = conditions.choose(40, 2_000);
    let batch = conditions.choose(30, 500);
    let url = stage.links.any_api.url();
    let mut told = Vec::new();
    stage.links.any_api.set(Weather::CutAnswers(CUT));
    let mut next = 0;
    while usize::try_from(stage.links.any_api.answers_cut())? < wanted {
        let part = (next, batch, PARALLEL);
        let (python, node) = tokio::try_join!(
            drivers::create(Sdk::Python, &clients, &url, &tenant, part),
            drivers::create(Sdk::Node, &clients, &url, &tenant, part),
        )?;
        told.extend(python.into_iter().map(|created| ("python", created)));
        told.extend(node.into_iter().map(|created| ("node", created)));
        next += batch;
        // Else the fleet is full before enough answers were cut.
        let client = stage.fleet.client(0, &tenant)?;
        client.call(Method::POST, "/v1/sessions/release", None).await?;
    }
    stage.links.any_api.set(Weather::Fair);
    let cut = usize::try_from(stage.links.any_api.answers_cut())?;
    outcome.fault("answer cut at a random byte", cut);
    outcome.creates += told.len();
    judge(&stage, &told, cut, &mut outcome).await?;
    two_that_are_meant(&stage, &tenant, &mut outcome).await?;
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

async fn judge(
    stage: &Stage,
    told: &[(&str, Created)],
    cut: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let sessions = stage.audit.sessions().await?;
    outcome.sessions += sessions.len();
    let doubles = launched_twice(&sessions);
    outcome.exactly("double launches", doubles.len(), 0, cut);
    doubles
        .into_iter()
        .take(5)
        .for_each(|double| outcome.violation(double));
    let stored: HashMap<String, i64> = sessions
        .iter()
        .filter_map(|session| {
            let metadata = session.user_metadata.as_ref()?;
            Some((session.id.to_string(), metadata["create"].as_i64()?))
        })
        .collect();
    let mut errors: HashMap<&str, usize> = HashMap::new();
    for (sdk, created) in told {
        match &created.session {
            Some(session) if stored.get(session) == Some(&created.create) => {}
            Some(session) => outcome.violation(format!(
                "{sdk}: create {} was answered with session {session}, which is {:?}'s",
                created.create,
                stored.get(session)
            )),
            None => {
                *errors
                    .entry(created.error.as_deref().unwrap_or("nothing"))
                    .or_default() += 1;
            }
        }
    }
    // Three cut answers in a row are more than the SDKs put up with.
    let given_up: usize = errors.values().sum();
    outcome.told(
        "creates that the SDKs gave up on",
        format!("{given_up} {errors:?}"),
        told.len(),
    );
    Ok(())
}

/// The same body twice, neither a repetition of the other.
async fn two_that_are_meant(
    stage: &Stage,
    tenant: &wharf_testkit::Tenant,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    const PAIRS: usize = 10;
    let client = stage.fleet.client(0, tenant)?;
    let mut merged = 0;
    for _ in 0..PAIRS {
        let body = json!({ "region": FAKE, "keepAlive": true, "timeout": 120 });
        let first = client.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        let second = client.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        merged += usize::from(first.text("id") == second.text("id"));
    }
    outcome.exactly("pairs of intended creates that became one", merged, 0, PAIRS);
    Ok(())
}
