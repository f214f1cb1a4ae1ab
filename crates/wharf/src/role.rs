//! The life that every role has in common: it starts, serves until it is told to end, and ends in order.

use std::future::Future;

use anyhow::bail;

use crate::serve::StopSignals;

/// A role that runs in this process.
pub(crate) trait Running: Sized {
    /// What its end means for those who use it, for the log.
    const STOPPING: &'static str;

    /// Resolves when something has ended by itself that the role cannot do without.
    fn failed(&mut self) -> impl Future<Output = anyhow::Error>;

    /// Ends everything, in order.
    fn stop(self) -> impl Future<Output = anyhow::Result<()>>;
}

/// Starts a role and runs it until a signal or a failure ends it. A second signal ends the process without order.
pub(crate) async fn run<R: Running>(
    mut signals: StopSignals,
    start: impl Future<Output = anyhow::Result<R>>,
) -> anyhow::Result<()> {
    let mut running = tokio::select! {
        running = start => running?,
        // Dropping what had started ends it; Postgres, if it is ours, recovers at the next start.
        () = signals.next() => return Ok(()),
    };
    let outcome = tokio::select! {
        () = signals.next() => Ok(()),
        error = running.failed() => Err(error),
    };
    tracing::info!("stopping: {}; another Ctrl-C ends at once", R::STOPPING);
    tokio::select! {
        stopped = running.stop() => stopped?,
        // Browsers and Postgres notice that this process is gone, and end by themselves.
        () = signals.next() => bail!("stopped before everything had ended in order"),
    }
    outcome
}
