//! What a worker says of its sessions, on its way into Postgres.

use wharf_protocol::{ObservedSession, ObservedStatus};
use wharf_store::sessions::{self, UsageReport};
use wharf_store::{StoreError, SystemTransaction};

use crate::{Control, WorkerCaller, repeat};

/// Stores what the sessions used.
pub(super) async fn usage(
    transaction: &mut SystemTransaction,
    caller: &WorkerCaller,
    observed: &[ObservedSession],
) -> Result<(), StoreError> {
    let reports: Vec<_> = observed.iter().map(usage_report).collect();
    sessions::merge_usage(transaction, caller.worker(), &reports).await
}

/// Makes those sessions RUNNING that are, as far as their creator did not live to do so. Not in the transaction that
/// renews the lease: that one holds the worker's row, which comes after the session's in the order of locks.
pub(super) async fn start(
    transaction: &mut SystemTransaction,
    caller: &WorkerCaller,
    observed: &[ObservedSession],
) -> Result<(), StoreError> {
    let running: Vec<_> = observed
        .iter()
        .filter(|observed| observed.status == ObservedStatus::Running)
        .map(|observed| (observed.session, observed.generation, observed.usage.running))
        .collect();
    for session in sessions::start_reported(transaction, caller.worker(), &running).await? {
        tracing::warn!(%session, worker = %caller.worker(), "session runs, though whoever created it did not live to say so");
    }
    Ok(())
}

/// Stores the ends that the worker reports; answers those that could not be stored, to be reported once more. One
/// transaction each: together they would hold many projects' rows at once, in an order of the worker's choosing.
pub(super) async fn end<'beat>(
    control: &Control,
    caller: &WorkerCaller,
    observed: &'beat [ObservedSession],
) -> Vec<&'beat ObservedSession> {
    let mut failed = Vec::new();
    for session in observed {
        if let Err(error) = end_one(control, caller, session).await {
            tracing::error!(session = %session.session, worker = %caller.worker(), %error, "a reported end cannot be stored; the worker reports it again: {error}");
            failed.push(session);
        }
    }
    failed
}

async fn end_one(
    control: &Control,
    caller: &WorkerCaller,
    observed: &ObservedSession,
) -> Result<(), StoreError> {
    let ObservedStatus::Ended(reason) = observed.status else {
        return Ok(());
    };
    let ended = repeat(|| async move {
        let mut transaction = control.store.system().await?;
        let (worker, session, generation) = (caller.worker(), observed.session, observed.generation);
        let ended = sessions::end_reported(&mut transaction, worker, session, generation, reason).await?;
        transaction.commit().await?;
        Ok(ended)
    })
    .await?;
    if let Some(ended) = ended {
        tracing::info!(session = %observed.session, project = %ended.project, %reason, "session ended");
        control.queue.slot_freed();
    }
    Ok(())
}

const fn usage_report(observed: &ObservedSession) -> UsageReport {
    UsageReport {
        session: observed.session,
        generation: observed.generation,
        running: observed.usage.running,
        cpu: observed.usage.cpu,
        memory: observed.usage.memory,
        proxy: observed.usage.proxy,
        egress: observed.usage.egress,
    }
}
