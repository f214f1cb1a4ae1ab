//! A page that takes all it can get: its session ends alone where it must, and its neighbour's calls stay as fast as they were.

mod bomb;
mod site;

use std::time::{Duration, Instant};

use tokio::time::sleep;
use wharf_testkit::{ApiClient, Cdp};

use crate::browsers;
use crate::outcome::{Outcome, percentile};
use crate::run::Conditions;
use crate::stage::{Created, Crew, REAL, Stage, create, release, until_ended};
use bomb::{ALL, Bomb, End};
use site::Site;

/// Of each session; a browser has some 200 MiB, so a bomb has to work for it.
const MEMORY: &str = "700MiB";
const PROCESSES: &str = "512";
const PATIENCE: Duration = Duration::from_secs(30);
/// After a browser has started, and after one has gone.
const SETTLED: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(4);
/// How much longer a neighbour's calls may take in the slowest case of a hundred.
const SLOWER: f64 = 1.2;
const GONE_WITHIN: Duration = Duration::from_secs(10);

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        apis: 1,
        gateways: 1,
        fakes: 0,
        reals: 1,
        warm: 0,
    };
    let arguments = [
        "--session-memory",
        MEMORY,
        "--session-processes",
        PROCESSES,
        "--session-cpu",
        "0.5",
        "--egress-allow",
        "127.0.0.0/8",
    ];
    let stage = Stage::set_with(&conditions, crew, &arguments).await?;
    let tenant = stage.tenant("greedy", 100).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let site = Site::open().await?;
    let mut outcome = Outcome::default();
    let neighbour = create(&api, REAL, true).await?;
    let mut neighbour = Cdp::connect(&neighbour.connect_url).await?;
    neighbour.count_up().await?;
    let rounds = conditions.choose(1, 5);
    let watched = conditions.choose(Duration::from_secs(2), Duration::from_secs(4));
    for bomb in ALL {
        let (mut before, mut during) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let created = create(&api, REAL, true).await?;
            outcome.creates += 1;
            outcome.sessions += 1;
            let mut bomber = Cdp::connect(&created.connect_url).await?;
            site.visit(&mut bomber).await?;
            sleep(SETTLED).await;
            before.extend(measure(&mut neighbour, watched).await?);
            bomb.light(&mut bomber, site.port()).await?;
            during.extend(measure(&mut neighbour, watched).await?);
            drop(bomber);
            judge(&stage, &api, &created, bomb, &mut outcome).await?;
            sleep(SETTLED).await;
        }
        outcome.fault(bomb.name, rounds);
        compare(&mut outcome, bomb, conditions.short, &before, &during);
    }
    // The page of the whole run: it has counted once.
    if neighbour.count_up().await? != 2 {
        outcome.violation("the neighbour's page is another one than before");
    }
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// Calls, one after the other with a pause between, and how long each took.
async fn measure(client: &mut Cdp, during: Duration) -> anyhow::Result<Vec<Duration>> {
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < during {
        let asked = Instant::now();
        client.evaluate("6 * 7").await?;
        times.push(asked.elapsed());
        sleep(PAUSE).await;
    }
    Ok(times)
}

/// Whether the session ended as it had to, or did not until it was asked to; and that nothing of it is left.
async fn judge(
    stage: &Stage,
    api: &ApiClient,
    created: &Created,
    bomb: &Bomb,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let since = Instant::now();
    if bomb.end != End::OutOfMemory {
        release(api, &created.id).await?;
    }
    let (_, session) = until_ended(api, &created.id, since, PATIENCE).await?;
    let told = session["endReason"].as_str().unwrap_or_default();
    let expected: &[&str] = match bomb.end {
        End::OutOfMemory => &["out_of_memory"],
        End::Released => &["released"],
        End::AnyOfItsOwn => &["released", "browser_crashed", "out_of_memory"],
    };
    if !expected.contains(&told) {
        outcome.violation(format!(
            "{}: the session ended as {told:?}, not as {expected:?}",
            bomb.name
        ));
    }
    let ended = Instant::now();
    let lives = || {
        let id = created.id.as_str();
        browsers::running(&stage.worker_pids())
            .iter()
            .any(|browser| browser.name.starts_with(id))
    };
    while lives() {
        if ended.elapsed() > GONE_WITHIN {
            outcome.violation(format!(
                "{}: a process of session {} is left",
                bomb.name, created.id
            ));
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A bar only in the full form: two seconds of a debug build beside other tests say nothing of one call in a hundred.
fn compare(outcome: &mut Outcome, bomb: &Bomb, short: bool, before: &[Duration], during: &[Duration]) {
    let at = |times: &[Duration], percent| percentile(times, percent).as_secs_f64() * 1_000.0;
    let ratio = at(during, 99) / at(before, 99).max(f64::MIN_POSITIVE);
    let value = format!(
        "p99 {:.2} -> {:.2} ms ({ratio:.2} times), p50 {:.2} -> {:.2} ms",
        at(before, 99),
        at(during, 99),
        at(before, 50),
        at(during, 50),
    );
    let (name, bar) = (
        format!("neighbour's CDP beside {}", bomb.name),
        format!("p99 <= {SLOWER} times"),
    );
    match short {
        true => outcome.told(&name, value, during.len()),
        false => outcome.of_this_machine(&name, value, bar, during.len(), ratio / SLOWER),
    }
}
