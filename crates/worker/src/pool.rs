//! The warm pool: browsers that are ready before anybody asks for one.
//!
//! It stands before another launcher and is one itself, so a session does not know where its browser comes from. A
//! browser that rests here has no session, no slot and no client. The oldest is handed out first, once it has the asked
//! size and has proved that it lives; another is started in its place when the machine has the CPU for it.

mod claim;
mod keeper;
mod machine;
mod options;
mod pace;
mod shelf;
mod size;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_domain::Entropy;
use wharf_protocol::LaunchRequest;

use crate::browser::{Browser, Browsers, Exit, Impossible};
use crate::metric;
pub(crate) use machine::{Kernel, Machine};
use options::Start;
pub(crate) use options::Wishes;
use pace::Pace;
use shelf::Shelf;
pub use size::default_warm;

/// What the warm pool is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmOptions {
    /// Browsers that rest at once; none means that every session's browser is started when it is asked for.
    pub size: u32,
    /// How long a browser may rest before another takes its place.
    pub max_age: Duration,
}

impl WarmOptions {
    /// An hour: long enough that replacing costs nothing, short enough that nobody gets last week's browser.
    pub const MAX_AGE: Duration = Duration::from_secs(3_600);

    /// A pool of this size, with browsers of an hour at most.
    pub const fn of(size: u32) -> Self {
        Self {
            size,
            max_age: Self::MAX_AGE,
        }
    }
}

/// Starts browsers that nobody has asked for yet.
pub(crate) trait SpareBrowsers: Browsers {
    /// Starts one of this name, unique among the living, that answers `within` this time. Dropping the future leaves
    /// nothing behind.
    fn spare(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Box<dyn Spare>, String>>;
}

/// A browser that rests.
pub(crate) trait Spare: Browser {
    /// Resolves when it has ended by itself; for those who do not hold it.
    fn exit(&self) -> BoxFuture<'static, Exit>;
    /// Makes it what a session asks for. Success proves that it lives.
    fn fit<'a>(&'a self, wishes: &'a Wishes) -> BoxFuture<'a, Result<(), Unfit>>;
}

/// A browser that cannot be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It does not answer as a living one does.
    Broken(String),
    /// It refused the wish, as every other one would.
    Refused(String),
}

/// A launcher that has browsers ready. Dropping it starts to take them away.
pub(crate) struct WarmPool<Inner>(Arc<Shared<Inner>>);

struct Shared<Inner> {
    inner: Inner,
    options: WarmOptions,
    shelf: Shelf,
    pace: Pace,
    names: AtomicU64,
    retired: CancellationToken,
    /// The keeper, the watches over resting browsers, and the closing of those that are not handed out.
    tasks: TaskTracker,
}

impl<Inner: SpareBrowsers> WarmPool<Inner> {
    /// Begins to fill the pool.
    pub(crate) fn start(
        inner: Inner,
        options: WarmOptions,
        machine: Box<dyn Machine>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let shared = Arc::new(Shared {
            inner,
            options,
            shelf: Shelf::default(),
            pace: Pace::new(machine, entropy),
            names: AtomicU64::new(1),
            retired: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        if options.size > 0 {
            shared.tasks.spawn(keeper::run(Arc::clone(&shared)));
        }
        Self(shared)
    }
}

impl<Inner: SpareBrowsers> Browsers for WarmPool<Inner> {
    fn vet(&self, request: &LaunchRequest) -> BoxFuture<'static, Result<(), Impossible>> {
        self.0.inner.vet(request)
    }

    fn launch(
        &self,
        request: &LaunchRequest,
        within: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Browser>, String>> {
        let (shared, request) = (Arc::clone(&self.0), request.clone());
        match Start::of(&request.browser) {
            Start::Warm(wishes) => {
                let wishes = wishes.of(request.session);
                Box::pin(claim::claim(shared, request, wishes, within))
            }
            Start::Cold => {
                count_claim("options");
                shared.inner.launch(&request, within)
            }
        }
    }

    fn retire(&self) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.0);
        shared.retired.cancel();
        shared.tasks.close();
        Box::pin(async move {
            shared.tasks.wait().await;
            shared.inner.retire().await;
        })
    }
}

impl<Inner> Drop for WarmPool<Inner> {
    fn drop(&mut self) {
        self.0.retired.cancel();
    }
}

impl<Inner> Shared<Inner> {
    fn next_name(&self) -> String {
        format!("warm-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a browser away in the background.
    fn discard(&self, browser: Box<dyn Spare>) {
        self.tasks.spawn(browser.close());
    }
}

fn count_claim(outcome: &'static str) {
    metrics::counter!(metric::CLAIMS, "outcome" => outcome).increment(1);
}

fn count_loss(reason: &'static str) {
    metrics::counter!(metric::WARM_LOSSES, "reason" => reason).increment(1);
}
