//! Keeps new sessions away from a worker, or lets them come again. The administrator's.

use wharf_domain::WorkerId;
use wharf_store::workers;

use crate::{Control, Error};

/// From now on the worker gets no session, or gets them again. Those that it runs go on.
///
/// # Errors
/// There is no such worker.
pub async fn drain(control: &Control, id: WorkerId, draining: bool) -> Result<(), Error> {
    let mut transaction = control.store.system().await?;
    let known = workers::drain(&mut transaction, id, draining).await?;
    transaction.commit().await?;
    if known {
        tracing::info!(worker = %id, draining, "an operator drains a worker, or takes that back");
        Ok(())
    } else {
        Err(Error::not_found("Worker", &id))
    }
}
