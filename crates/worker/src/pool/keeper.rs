//! Keeps the pool full: one start at a time, when the pace allows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::shelf::Resting;
use super::{Shared, Spare, SpareBrowsers, count_loss};
use crate::browser::Exit;
use crate::metric;

/// Nobody waits for it. On an idle machine it takes a third of a second.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Fills the pool until it is retired, then empties it.
pub(super) async fn run<Inner: SpareBrowsers>(shared: Arc<Shared<Inner>>) {
    tokio::select! {
        biased;
        () = shared.retired.cancelled() => {}
        () = refill(&shared) => {}
    }
    for resting in shared.shelf.close() {
        shared.discard(resting.browser);
    }
}

async fn refill<Inner: SpareBrowsers>(shared: &Arc<Shared<Inner>>) {
    loop {
        shared.shelf.missing(shared.options.size).await;
        shared.pace.wait(&shared.shelf).await;
        let (name, started) = (shared.next_name(), Instant::now());
        match shared.inner.spare(name.clone(), START_WITHIN).await {
            Ok(browser) => {
                metrics::histogram!(metric::REFILL_SECONDS).record(started.elapsed());
                shared.pace.succeeded();
                rest(shared, name, browser);
            }
            Err(error) => shared
                .pace
                .failed(&format!("a browser for the warm pool did not start: {error}")),
        }
    }
}

/// Puts a browser on the shelf, watched for its end and its age.
fn rest<Inner: SpareBrowsers>(shared: &Arc<Shared<Inner>>, name: String, browser: Box<dyn Spare>) {
    let watch = CancellationToken::new();
    let exit = browser.exit();
    let resting = Resting {
        name: name.clone(),
        browser,
        _watched: watch.clone().drop_guard(),
    };
    if let Err(resting) = shared.shelf.put(resting) {
        return shared.discard(resting.browser);
    }
    let keeper = Arc::clone(shared);
    shared.tasks.spawn(async move {
        tokio::select! {
            biased;
            () = watch.cancelled() => {}
            exit = exit => keeper.died(&name, &exit),
            () = sleep(keeper.options.max_age) => keeper.aged(&name),
        }
    });
}

impl<Inner> Shared<Inner> {
    fn died(&self, name: &str, exit: &Exit) {
        if let Some(resting) = self.shelf.remove(name) {
            count_loss("died");
            let how = match exit {
                Exit::Clean => "exit code 0",
                Exit::OutOfMemory => "out of memory",
                Exit::Crash(how) => how,
            };
            self.pace.failed(&format!(
                "a browser of the warm pool, {name}, ended by itself: {how}"
            ));
            self.discard(resting.browser);
        }
    }

    fn aged(&self, name: &str) {
        if let Some(resting) = self.shelf.remove(name) {
            count_loss("aged");
            self.discard(resting.browser);
        }
    }
}
