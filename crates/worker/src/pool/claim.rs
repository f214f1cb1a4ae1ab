//! Handing a browser out: the oldest that proves that it lives, or a new one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};
use wharf_domain::Millis;
use wharf_protocol::LaunchRequest;

use super::shelf::Resting;
use super::{Shared, Spare, SpareBrowsers, Unfit, Wishes, count_claim, count_loss};
use crate::browser::{Browser, Endpoint, Exit, Meter, Reading, Traffic};

/// A living browser takes some milliseconds for it. One that takes longer would make its session slow, or hangs.
const PROOF_WITHIN: Duration = Duration::from_secs(1);
/// To limit where pages navigate to takes it 0.2 s, and several on a busy machine: still less than to start another.
const LIMITED_WITHIN: Duration = Duration::from_secs(6);

/// A browser for this session `within` this time, from the pool if one there is fit for it.
pub(super) async fn claim<Inner: SpareBrowsers>(
    shared: Arc<Shared<Inner>>,
    request: LaunchRequest,
    wishes: Wishes,
    within: Duration,
) -> Result<Box<dyn Browser>, String> {
    let deadline = Instant::now() + within;
    let left = || deadline.saturating_duration_since(Instant::now());
    let proof_within = match wishes.allowed_domains.is_empty() {
        true => PROOF_WITHIN,
        false => LIMITED_WITHIN,
    };
    while let Some(held) = Held::oldest(&shared) {
        match held.prove(&wishes, proof_within.min(left())).await {
            Ok(()) => {
                tracing::debug!(session = %request.session, "session {} has {}", request.session, held.name);
                count_claim("warm");
                return Ok(Box::new(held.hand_out()));
            }
            Err(unfit) => {
                let (Unfit::Broken(reason) | Unfit::Refused(reason)) = &unfit;
                tracing::warn!("a browser of the warm pool, {}, is not fit: {reason}", held.name);
                count_loss("unfit");
                if matches!(unfit, Unfit::Refused(_)) {
                    break;
                }
            }
        }
    }
    count_claim("empty");
    shared.inner.launch(&request, left()).await
}

/// A browser on its way from the shelf to a session. Dropped on the way, it is taken away in the background: the
/// session may end at any moment.
struct Held<Inner> {
    name: String,
    browser: Option<Box<dyn Spare>>,
    shared: Arc<Shared<Inner>>,
}

impl<Inner> Held<Inner> {
    fn oldest(shared: &Arc<Shared<Inner>>) -> Option<Self> {
        let Resting { name, browser, .. } = shared.shelf.claim()?;
        Some(Self {
            name,
            browser: Some(browser),
            shared: Arc::clone(shared),
        })
    }

    fn browser(&self) -> &dyn Spare {
        self.browser
            .as_deref()
            .expect("it is taken out only by what consumes this")
    }

    /// Makes it what was asked for.
    async fn prove(&self, wishes: &Wishes, within: Duration) -> Result<(), Unfit> {
        let browser = self.browser();
        tokio::select! {
            biased;
            _ = browser.exited() => Err(Unfit::Broken("it has ended".to_owned())),
            proof = timeout(within, browser.fit(wishes)) => match proof {
                Ok(proof) => proof,
                Err(_) => Err(Unfit::Broken(format!("it does not answer within {within:?}"))),
            },
        }
    }

    fn hand_out(mut self) -> Claimed {
        let browser = self.browser.take().expect("it is taken out here first");
        let meter = Arc::new(SinceClaim {
            meter: browser.meter(),
            spent: OnceLock::new(),
        });
        let begin = Arc::clone(&meter);
        // Takes a millisecond that nobody has to wait for.
        self.shared.tasks.spawn_blocking(move || begin.spent());
        Claimed { browser, meter }
    }
}

impl<Inner> Drop for Held<Inner> {
    fn drop(&mut self) {
        if let Some(browser) = self.browser.take() {
            self.shared.discard(browser);
        }
    }
}

/// A session's browser that came from the pool.
struct Claimed {
    browser: Box<dyn Spare>,
    meter: Arc<SinceClaim>,
}

impl Browser for Claimed {
    fn endpoint(&self) -> Endpoint {
        self.browser.endpoint()
    }

    fn version(&self) -> String {
        self.browser.version()
    }

    fn exited(&self) -> BoxFuture<'_, Exit> {
        self.browser.exited()
    }

    fn meter(&self) -> Arc<dyn Meter> {
        self.meter.clone()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.browser.close()
    }
}

/// Leaves out what the browser used before it was the session's. Memory is a level, not a sum: it counts as it is.
struct SinceClaim {
    meter: Arc<dyn Meter>,
    /// Read right after the claim, or by the first who wants to know.
    spent: OnceLock<Option<Millis>>,
}

impl SinceClaim {
    fn spent(&self) -> Option<Millis> {
        *self.spent.get_or_init(|| self.meter.cpu())
    }
}

impl Meter for SinceClaim {
    fn read(&self) -> Option<Reading> {
        let spent = self.spent()?;
        let reading = self.meter.read()?;
        Some(Reading {
            cpu: Millis(reading.cpu.0.saturating_sub(spent.0)),
            ..reading
        })
    }

    fn cpu(&self) -> Option<Millis> {
        let spent = self.spent()?;
        Some(Millis(self.meter.cpu()?.0.saturating_sub(spent.0)))
    }

    fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }
}
