//! CDP over a connection: straight to a browser, through a raw tunnel to the same, and through Wharf to another.

use std::time::Duration;

use serde_json::json;

use crate::cdp::{Call, Client};
use crate::figure::{Comparison, Figure, Unit};
use crate::launch::Bare;
use crate::samples::Samples;
use crate::tunnel::Tunnel;
use crate::wharf::Wharf;

/// What a round trip through Wharf may take, in round trips through a raw tunnel, at the median.
const RATIO_AT_MOST: f64 = 1.15;
/// Calls made on one path before it is the next one's turn. Short against the machine's moods.
const TURN: usize = 100;
/// The same for messages of 1 MiB, of which each takes as long as a hundred small ones.
const LARGE_TURN: usize = 5;
/// Calls at the beginning of a turn that are not counted: the path has slept through the others' turns.
const WAKE_UPS: usize = 3;
/// Calls under way at once when pipelined.
const DEPTH: usize = 64;
const PIPELINED_CALLS: usize = 4_000;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Each has browsers of its own, so that a slow one is not taken for a slow path.
    pub rounds: usize,
    /// Calls of `Browser.getVersion` on each path, in each round.
    pub calls: usize,
    /// Calls of `Runtime.evaluate`.
    pub evaluations: usize,
    /// Messages of 1 MiB.
    pub large_messages: usize,
    /// Turns of pipelined calls.
    pub pipelines: usize,
}

/// The three paths, always in this order.
#[derive(Debug, Default)]
struct Paths<T> {
    direct: T,
    tunnel: T,
    wharf: T,
}

impl<T> Paths<T> {
    fn each(&mut self) -> [&mut T; 3] {
        [&mut self.direct, &mut self.tunnel, &mut self.wharf]
    }

    fn map<U>(&self, make: impl Fn(&T) -> U) -> Paths<U> {
        Paths {
            direct: make(&self.direct),
            tunnel: make(&self.tunnel),
            wharf: make(&self.wharf),
        }
    }
}

/// One kind of sample on the three paths.
type Times = Paths<Samples>;

#[derive(Debug, Default)]
struct Measured {
    get_version: Times,
    evaluate: Times,
    large_message: Times,
    /// One sample is the time of `PIPELINED_CALLS`.
    pipelined: Times,
}

/// Measures all rounds.
pub async fn measure(wharf: &Wharf, bare: &mut Bare, effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let mut measured = Measured::default();
    for _ in 0..effort.rounds {
        round(wharf, bare, effort, &mut measured).await?;
    }
    Ok(measured.figures())
}

async fn round(
    wharf: &Wharf,
    bare: &mut Bare,
    effort: Effort,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let browser = bare.launch().await?;
    let (session, _) = wharf.create().await?;
    let devtools = browser.devtools();
    let tunnel = Tunnel::start(devtools.address()).await?;
    let mut clients = Paths {
        direct: Client::connect(&devtools.url()).await?,
        tunnel: Client::connect(&format!("ws://{}{}", tunnel.address(), devtools.path())).await?,
        wharf: Client::connect(&session.connect_url).await?,
    };
    exchange(&mut clients, effort, measured).await?;
    drop(clients);
    tunnel.end().await?;
    browser.close().await;
    wharf.release(&session).await
}

async fn exchange(
    clients: &mut Paths<Client>,
    effort: Effort,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let pages = Paths {
        direct: clients.direct.attach().await?,
        tunnel: clients.tunnel.attach().await?,
        wharf: clients.wharf.attach().await?,
    };
    let get_version = Call::new("Browser.getVersion", &json!({}));
    let evaluate = |expression| pages.map(|page| Call::evaluate(page, expression));
    let (small, large) = (evaluate("1+1"), evaluate("'x'.repeat(1 << 20)"));
    let get_versions = pages.map(|_| get_version.clone());
    take_turns(
        clients,
        &get_versions,
        TURN,
        effort.calls,
        &mut measured.get_version,
    )
    .await?;
    take_turns(clients, &small, TURN, effort.evaluations, &mut measured.evaluate).await?;
    take_turns(
        clients,
        &large,
        LARGE_TURN,
        effort.large_messages,
        &mut measured.large_message,
    )
    .await?;
    for _ in 0..effort.pipelines {
        pipeline(clients, &get_version, &mut measured.pipelined).await?;
    }
    Ok(())
}

/// `total` calls on every path, `turn` at a time.
async fn take_turns(
    clients: &mut Paths<Client>,
    calls: &Paths<Call>,
    turn: usize,
    total: usize,
    times: &mut Times,
) -> anyhow::Result<()> {
    let calls = [&calls.direct, &calls.tunnel, &calls.wharf];
    for _ in 0..total.div_ceil(turn) {
        for ((client, samples), call) in clients.each().into_iter().zip(times.each()).zip(calls) {
            for _ in 0..WAKE_UPS {
                client.time(call).await?;
            }
            for _ in 0..turn {
                samples.push(client.time(call).await?);
            }
        }
    }
    Ok(())
}

async fn pipeline(clients: &mut Paths<Client>, call: &Call, times: &mut Times) -> anyhow::Result<()> {
    for (client, samples) in clients.each().into_iter().zip(times.each()) {
        samples.push(client.time_pipelined(call, DEPTH, PIPELINED_CALLS).await?);
    }
    Ok(())
}

impl Measured {
    fn figures(&self) -> Vec<Figure> {
        let round_trip = |name, times, percent| percentile(name, Unit::Microseconds, times, percent);
        vec![
            Figure {
                at_most: Some(RATIO_AT_MOST),
                ..round_trip("CDP round trip (Browser.getVersion): p50", &self.get_version, 50)
            },
            round_trip("CDP round trip (Browser.getVersion): p99", &self.get_version, 99),
            round_trip("Runtime.evaluate('1+1'): p50", &self.evaluate, 50),
            round_trip("Runtime.evaluate('1+1'): p99", &self.evaluate, 99),
            percentile(
                "message of 1 MiB: p50",
                Unit::Milliseconds,
                &self.large_message,
                50,
            ),
            rate("pipelined calls, 64 deep", &self.pipelined),
        ]
    }
}

fn percentile(name: &'static str, unit: Unit, times: &Times, percent: usize) -> Figure {
    let scale = if unit == Unit::Milliseconds { 1e3 } else { 1e6 };
    figure(name, unit, times, |samples| {
        samples.percentile(percent).as_secs_f64() * scale
    })
}

/// From the median turn, so that one that was disturbed does not count.
fn rate(name: &'static str, times: &Times) -> Figure {
    figure(name, Unit::CallsPerSecond, times, |samples| {
        let turn: Duration = samples.percentile(50);
        PIPELINED_CALLS as f64 / turn.as_secs_f64()
    })
}

fn figure(name: &'static str, unit: Unit, times: &Times, value: impl Fn(&Samples) -> f64) -> Figure {
    Figure {
        name,
        unit,
        samples: times.direct.count(),
        direct: Some(value(&times.direct)),
        limit: Some(value(&times.tunnel)),
        wharf: value(&times.wharf),
        comparison: Comparison::Ratio,
        at_most: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(direct: u64, tunnel: u64, wharf: u64) -> Times {
        let mut times = Times::default();
        for (samples, microseconds) in times.each().into_iter().zip([direct, tunnel, wharf]) {
            samples.push(Duration::from_micros(microseconds));
        }
        times
    }

    #[test]
    fn only_the_median_round_trip_has_a_target() {
        let measured = Measured {
            get_version: times(70, 100, 120),
            ..Measured::default()
        };
        let figures = measured.figures();
        let with_target: Vec<&Figure> = figures.iter().filter(|figure| figure.at_most.is_some()).collect();
        assert_eq!(with_target.len(), 1);
        assert_eq!(with_target[0].direct, Some(70.0));
        assert!((with_target[0].compared() - 1.2).abs() < 1e-9);
    }

    #[test]
    fn a_rate_is_higher_where_the_turn_is_shorter() {
        let figure = rate("pipelined", &times(100_000, 200_000, 400_000));
        assert_eq!(
            (figure.direct, figure.limit, figure.wharf),
            (Some(40_000.0), Some(20_000.0), 10_000.0)
        );
    }
}
