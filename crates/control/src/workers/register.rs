//! A worker's process has started.

use wharf_protocol::{RegisterReply, RegisterRequest};
use wharf_store::workers::{self, Registration};

use super::report;
use crate::{Control, Error, WorkerCaller, reconcile};

/// Slots that one worker can offer: far above what one machine can run, and its heartbeat stays below a megabyte.
const MAX_SLOTS: u32 = 2_000;

/// Begins the worker's next incarnation. Whatever the one before ran is lost, and is ended before this answers.
///
/// # Errors
/// The worker offers no region, no slot, or too many.
pub async fn register(
    control: &Control,
    caller: &WorkerCaller,
    request: RegisterRequest,
) -> Result<RegisterReply, Error> {
    let slots = i32::try_from(request.slots.min(MAX_SLOTS)).expect("the limit fits");
    if slots == 0 || request.regions.is_empty() || request.address.is_empty() {
        return Err(Error::Invalid(
            "a worker needs an address, at least one region and at least one slot".to_owned(),
        ));
    }
    let registration = Registration {
        id: caller.worker(),
        address: &request.address,
        regions: &request.regions,
        slots,
        process: request.process.map(i64::from),
    };
    let mut transaction = control.store.system().await?;
    let incarnation = workers::register(&mut transaction, registration).await?;
    // Before its sessions end as lost: what the process before this one could not report counts.
    report::usage(&mut transaction, caller, &request.unreported).await?;
    transaction.commit().await?;
    let mut transaction = control.store.system().await?;
    report::start(&mut transaction, caller, &request.unreported).await?;
    transaction.commit().await?;
    report::end(control, caller, &request.unreported).await;
    tracing::info!(worker = %caller.worker(), incarnation = incarnation.0, address = %request.address, slots, "worker registered");
    reconcile::end_sessions_of_replaced_workers(control).await?;
    Ok(RegisterReply {
        worker: caller.worker(),
        incarnation,
        heartbeat_every: control.timings.heartbeat_every.into(),
    })
}
