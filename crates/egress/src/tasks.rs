//! The tasks of one egress, which end together.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one egress. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs it until it is done or everything is stopped; then it resolves to `None`.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker
            .spawn(self.stop.clone().run_until_cancelled_owned(task))
    }

    /// Drops them all where they stand.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
    }

    /// Resolves when the last has ended, once they have been stopped.
    pub(crate) async fn ended(&self) {
        self.tracker.wait().await;
    }
}
