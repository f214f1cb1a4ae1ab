//! Ends sessions whose worker has started anew: their browsers died with the process that ran them.

use wharf_domain::EndReason;
use wharf_store::sessions;

use super::end;
use crate::{Control, Error};

/// Ends them as lost.
///
/// # Errors
/// Postgres does not answer.
pub(crate) async fn end_sessions_of_replaced_workers(control: &Control) -> Result<(), Error> {
    let mut transaction = control.store.system().await?;
    let lost = sessions::of_replaced_workers(&mut transaction).await?;
    transaction.commit().await?;
    for session in lost {
        end(control, session, EndReason::WorkerLost).await;
    }
    Ok(())
}
