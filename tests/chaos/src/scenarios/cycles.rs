//! Session after session with Chromium: nothing is left behind, and the worker does not grow.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;
use wharf_testkit::Cdp;

use crate::browsers;
use crate::outcome::{Outcome, millis};
use crate::run::Conditions;
use crate::stage::{Crew, REAL, Stage, create, until_ended};

/// Cycles until the worker's memory is that of a worker at work.
const WARM_UP: usize = 5;
const GROWTH_PERCENT: f64 = 5.0;
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        apis: 1,
        gateways: 1,
        fakes: 0,
        reals: 1,
        warm: 2,
    };
    let stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("cycles", 10).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let worker = stage.fleet.workers[0].pid().context("the worker runs")?;
    let mut outcome = Outcome::default();
    let cycles = conditions.choose(5, 2_000);
    let mut before = (0, 0);
    let started = Instant::now();
    for cycle in 0..WARM_UP + cycles {
        if cycle == WARM_UP {
            quiet(&stage).await;
            before = browsers::footprint(worker).context("the worker runs")?;
        }
        let created = create(&api, REAL, false).await?;
        let mut client = Cdp::connect(&created.connect_url).await?;
        client.count_up().await?;
        client.close().await?;
        until_ended(&api, &created.id, Instant::now(), PATIENCE).await?;
    }
    let per_cycle = started.elapsed() / u32::try_from(WARM_UP + cycles)?;
    quiet(&stage).await;
    let after = browsers::footprint(worker).context("the worker runs")?;
    outcome.creates = WARM_UP + cycles;
    outcome.sessions = WARM_UP + cycles;
    outcome.told("one cycle", millis(per_cycle), cycles);
    let left = browsers::running(&stage.worker_pids()).len();
    outcome.push(
        "browsers left, with those of the pool",
        left.to_string(),
        format!("<= {}", stage.pooled()),
        cycles,
        left <= stage.pooled(),
    );
    outcome.exactly("zombies left", browsers::zombies_of(worker), 0, cycles);
    flat(
        "open descriptors of the worker",
        before.0 as f64,
        after.0 as f64,
        cycles,
        &mut outcome,
    );
    flat(
        "memory of the worker in MiB",
        mebibytes(before.1),
        mebibytes(after.1),
        cycles,
        &mut outcome,
    );
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// Until the last browser is gone, what it leaves is taken away, and the pool is full: a resting browser takes descriptors.
async fn quiet(stage: &Stage) {
    let since = Instant::now();
    let pids = stage.worker_pids();
    while browsers::running(&pids).len() != stage.pooled() && since.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(1)).await;
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn flat(name: &str, before: f64, after: f64, cycles: usize, outcome: &mut Outcome) {
    let growth = 100.0 * (after - before) / before.max(1.0);
    outcome.of_this_machine(
        name,
        format!("{before:.1} -> {after:.1} ({growth:+.1} %)"),
        format!("growth <= {GROWTH_PERCENT} %"),
        cycles,
        growth / GROWTH_PERCENT,
    );
}
