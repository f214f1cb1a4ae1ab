//! Every fault at random under a load of many clients; then every invariant.

use std::time::{Duration, Instant};

use crate::checker::{self, Unknown};
use crate::faults::Faults;
use crate::load::Load;
use crate::load_log::LoadLog;
use crate::monitor::Monitor;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, Stage};

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let mut stage = Stage::set(&conditions, Crew::WHOLE).await?;
    let mut tenants = Vec::new();
    for index in 0..4 {
        tenants.push(stage.tenant(&format!("tenant-{index}"), 40).await?);
    }
    let log = LoadLog::new(stage.fleet.folder())?;
    let mut outcome = Outcome::default();
    let length = conditions.choose(
        Duration::from_secs(45),
        Duration::from_secs(60 * conditions.minutes),
    );
    let long_outage = conditions.choose(Duration::from_secs(15), Duration::from_secs(300));

    let monitor = Monitor::start(stage.audit.clone(), stage.worker_pids());
    let load = Load::start(&stage, &tenants, (24, 3), conditions.seed, &log)?;
    let mut faults = Faults::new(conditions.seed, long_outage);
    let end = Instant::now() + length;
    faults.run_until(end, &mut stage, &mut outcome).await?;
    faults.heal(&mut stage).await?;
    load.stop().await;
    let unknown = conditions.choose(Unknown::Release, Unknown::Wait);
    checker::check(&stage, &tenants, &log, unknown, &mut outcome).await?;
    let (looks, seen) = monitor.finish();
    outcome.told(
        "looks at counters, states and processes during the run",
        looks.to_string(),
        looks,
    );
    let more = seen.len().saturating_sub(20);
    seen.into_iter().take(20).for_each(|what| outcome.violation(what));
    if more > 0 {
        outcome.violation(format!("... and {more} more that were seen during the run"));
    }
    let stuck = outcome
        .violations
        .iter()
        .filter(|what| what.contains("past its deadline"))
        .count();
    outcome.exactly(
        "sessions non-terminal past deadline + 60 s",
        stuck,
        0,
        outcome.sessions,
    );
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}
