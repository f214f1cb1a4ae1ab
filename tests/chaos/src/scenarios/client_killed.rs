//! A client that dies leaves a session that is over at once.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::browsers;
use crate::client;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, REAL, Stage, create, until_ended};

const ENDED_WITHIN: Duration = Duration::from_millis(250);
const BROWSER_GONE_WITHIN: Duration = Duration::from_secs(2);
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
    let tenant = stage.tenant("clients", 100).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let mut outcome = Outcome::default();
    for (region, kind, runs) in [
        (REAL, "Chromium", conditions.choose(5, 50)),
        (FAKE, "fake browser", conditions.choose(10, 200)),
    ] {
        let (mut ended, mut gone) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let created = create(&api, region, false).await?;
            outcome.creates += 1;
            outcome.sessions += 1;
            let browsers = browsers::running(&stage.worker_pids());
            anyhow::ensure!(
                !browsers.is_empty(),
                "the session's browser is not in the process table"
            );
            let mut client = client::start(&created.connect_url).await?;
            let since = Instant::now();
            client.start_kill()?;
            let (took, session) = until_ended(&api, &created.id, since, PATIENCE).await?;
            client.wait().await?;
            ended.push(took);
            if session["status"] != "COMPLETED" || session["endReason"] != "disconnected" {
                outcome.violation(format!("a session whose client died is {session}"));
            }
            while !browsers::family(&browsers).is_empty() && since.elapsed() < PATIENCE {
                sleep(Duration::from_millis(10)).await;
            }
            gone.push(since.elapsed());
        }
        outcome.fault("kill -9 of a client", runs);
        outcome.at_most(
            &format!("{kind}: client killed until COMPLETED"),
            &ended,
            ENDED_WITHIN,
        );
        outcome.at_most(
            &format!("{kind}: client killed until no process is left"),
            &gone,
            BROWSER_GONE_WITHIN,
        );
    }
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}
