//! From POST to 201 when a browser is ready, beside the two transactions that no create can do without.

use anyhow::ensure;

use crate::bare_create::BareCreate;
use crate::figure::{Comparison, Figure, Unit};
use crate::samples::Samples;
use crate::wharf::Wharf;

/// Browsers that wait for a session: what `wharf up` keeps on two cores.
pub const BROWSERS: u32 = 2;
/// The bars, in milliseconds.
const P50_AT_MOST: f64 = 6.0;
const P99_AT_MOST: f64 = 20.0;
/// Wharf divided by the two transactions alone.
const RATIO_AT_MOST: f64 = 1.5;
/// The first creates prepare their statements and open connections.
const WARM_UPS: u32 = 3;

/// Measures `rounds` creates, each on a full pool, in turns with bare ones.
pub async fn measure(wharf: &Wharf, bare: &BareCreate, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let (mut created, mut stored) = (Samples::default(), Samples::default());
    for round in 0..WARM_UPS + rounds {
        wharf.is_warm(BROWSERS).await?;
        // Each goes first as often as the other: a browser that has just started is busy for a while.
        let first = match round % 2 {
            0 => Some(bare.create().await?),
            _ => None,
        };
        let (session, took) = wharf.create().await?;
        let bare_took = match first {
            Some(took) => took,
            None => bare.create().await?,
        };
        if round >= WARM_UPS {
            created.push(took);
            stored.push(bare_took);
        }
        wharf.release(&session).await?;
    }
    let claims = wharf.warm_claims().await?;
    ensure!(
        claims == WARM_UPS + rounds,
        "of {} sessions only {claims} got a browser that was ready",
        WARM_UPS + rounds
    );
    let figure = |name, percent| Figure {
        name,
        unit: Unit::Milliseconds,
        samples: created.count(),
        direct: None,
        limit: Some(milliseconds(&stored, percent)),
        wharf: milliseconds(&created, percent),
        comparison: Comparison::Alone,
        at_most: None,
    };
    Ok(vec![
        Figure {
            at_most: Some(P50_AT_MOST),
            ..figure("POST to 201, warm: p50", 50)
        },
        Figure {
            at_most: Some(P99_AT_MOST),
            ..figure("POST to 201, warm: p99", 99)
        },
        Figure {
            comparison: Comparison::Ratio,
            at_most: Some(RATIO_AT_MOST),
            ..figure("POST to 201, warm, against its SQL: p50", 50)
        },
    ])
}

fn milliseconds(samples: &Samples, percent: usize) -> f64 {
    samples.percentile(percent).as_secs_f64() * 1e3
}
