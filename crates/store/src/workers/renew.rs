//! Renews a worker's lease.

use wharf_domain::{Incarnation, WorkerId};

use crate::{StoreError, SystemTransaction};

/// Notes that this incarnation of the worker lives; whether it is still the current one.
///
/// # Errors
/// Postgres does not answer.
pub async fn renew(
    transaction: &mut SystemTransaction,
    id: WorkerId,
    incarnation: Incarnation,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE workers SET last_seen_at = now() WHERE id = $1 AND incarnation = $2",
        id.as_uuid(),
        incarnation.0,
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
