//! From POST to 201 when a browser is ready.

use anyhow::ensure;

use crate::figure::{Comparison, Figure, Unit};
use crate::samples::Samples;
use crate::wharf::Wharf;

/// Browsers that wait for a session: what `wharf up` keeps on two cores.
pub const BROWSERS: u32 = 2;
/// The bars, in milliseconds.
const P50_AT_MOST: f64 = 6.0;
const P99_AT_MOST: f64 = 20.0;
/// The first creates prepare their statements and open connections.
const WARM_UPS: u32 = 3;

/// Measures `rounds` creates, each on a full pool.
pub async fn measure(wharf: &Wharf, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut created = Samples::default();
    for round in 0..WARM_UPS + rounds {
        wharf.is_warm(BROWSERS).await?;
        let (session, took) = wharf.create().await?;
        if round >= WARM_UPS {
            created.push(took);
        }
        wharf.release(&session).await?;
    }
    let claims = wharf.warm_claims().await?;
    ensure!(
        claims == WARM_UPS + rounds,
        "of {} sessions only {claims} got a browser that was ready",
        WARM_UPS + rounds
    );
    Ok(vec![
        figure("POST to 201, warm: p50", &created, 50, P50_AT_MOST),
        figure("POST to 201, warm: p99", &created, 99, P99_AT_MOST),
    ])
}

fn figure(name: &'static str, created: &Samples, percent: usize, at_most: f64) -> Figure {
    Figure {
        name,
        unit: Unit::Milliseconds,
        samples: created.count(),
        direct: None,
        limit: None,
        wharf: created.percentile(percent).as_secs_f64() * 1e3,
        comparison: Comparison::Alone,
        at_most: Some(at_most),
    }
}
