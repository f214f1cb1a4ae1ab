//! A browser that dies is told of.

use std::time::{Duration, Instant};

use anyhow::Context;
use wharf_testkit::Cdp;

use crate::browsers;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, REAL, Stage, create, until_ended};

const VISIBLE_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        apis: 1,
        gateways: 1,
        fakes: 1,
        reals: 1,
        warm: 0,
    };
    let stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("browsers", 100).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let pids = stage.worker_pids();
    let mut outcome = Outcome::default();
    for (region, kind, runs) in [
        (REAL, "Chromium", conditions.choose(5, 50)),
        (FAKE, "fake browser", conditions.choose(10, 200)),
    ] {
        let mut times = Vec::new();
        for run in 0..runs {
            // With and without a client, with and without keepAlive.
            let created = create(&api, region, run % 2 == 0).await?;
            outcome.creates += 1;
            outcome.sessions += 1;
            let _client = match run % 4 {
                0 | 1 => Some(Cdp::connect(&created.connect_url).await?),
                _ => None,
            };
            let browser = browsers::running(&pids)
                .into_iter()
                .find(|browser| {
                    browser
                        .session()
                        .is_some_and(|session| session.to_string() == created.id)
                })
                .context("the session's browser is not in the process table")?;
            let since = Instant::now();
            browser.kill();
            let (took, session) = until_ended(&api, &created.id, since, PATIENCE).await?;
            times.push(took);
            if session["status"] != "ERROR" || session["endReason"] != "browser_crashed" {
                outcome.violation(format!("a session whose browser was killed is {session}"));
            }
        }
        outcome.fault("kill -9 of a browser", runs);
        outcome.at_most(
            &format!("{kind} killed until ERROR browser_crashed"),
            &times,
            VISIBLE_WITHIN,
        );
    }
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}
