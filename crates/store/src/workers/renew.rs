//! Renews a worker's lease.

use wharf_domain::{Incarnation, WorkerId};

use crate::{StoreError, SystemTransaction};

/// A lease that was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// Whether an operator wants the worker to take no more sessions.
    pub draining: bool,
}

/// Notes that this incarnation of the worker lives, and whether it is about to stop; `None` when it is not the current
/// one.
///
/// # Errors
/// Postgres does not answer.
pub async fn renew(
    transaction: &mut SystemTransaction,
    id: WorkerId,
    incarnation: Incarnation,
    stopping: bool,
) -> Result<Option<Renewal>, StoreError> {
    let row = sqlx::query!(
        "UPDATE workers SET last_seen_at = now(), stopping = $3 WHERE id = $1 AND incarnation = $2 RETURNING draining",
        id.as_uuid(),
        incarnation.0,
        stopping,
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row.map(|row| Renewal {
        draining: row.draining,
    }))
}
