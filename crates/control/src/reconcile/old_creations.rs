//! Forgets create calls that nobody can repeat any more.

use wharf_store::session_creations;

use crate::{Control, Error};

/// Deletes some of them; the rest at the next runs.
///
/// # Errors
/// Postgres does not answer.
pub(crate) async fn forget_old_creations(control: &Control) -> Result<(), Error> {
    let kept_for = control.timings.key_kept_for.max(control.timings.repeat_within);
    let mut transaction = control.store.system().await?;
    session_creations::purge(&mut transaction, kept_for).await?;
    transaction.commit().await?;
    Ok(())
}
