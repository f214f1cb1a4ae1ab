//! An operator wants a worker to take no more sessions, or to take them again.

use wharf_domain::WorkerId;

use crate::{StoreError, SystemTransaction};

/// Notes the wish; `false` when there is no such worker.
///
/// # Errors
/// Postgres does not answer.
pub async fn drain(
    transaction: &mut SystemTransaction,
    id: WorkerId,
    draining: bool,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE workers SET draining = $2 WHERE id = $1",
        id.as_uuid(),
        draining
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
