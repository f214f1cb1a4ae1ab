//! A worker's process has started.

use wharf_domain::{Incarnation, Region, WorkerId};

use crate::{StoreError, SystemTransaction};

/// What a worker's process offers.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'worker> {
    /// The worker.
    pub id: WorkerId,
    /// Where it is reached: `host:port`.
    pub address: &'worker str,
    /// The regions it serves.
    pub regions: &'worker [Region],
    /// Sessions that it can run at once.
    pub slots: i32,
    /// A number of the process's own choice; with the one of the last call nothing changes.
    pub process: Option<i64>,
}

/// Begins the worker's next incarnation, with every slot free; again for the same process, answers with the present one. Sessions of earlier ones are lost; the reconciler ends
/// them, and their slots are not given back a second time, since they belong to another incarnation.
///
/// # Errors
/// Postgres does not answer.
pub async fn register(
    transaction: &mut SystemTransaction,
    registration: Registration<'_>,
) -> Result<Incarnation, StoreError> {
    let regions: Vec<String> = registration
        .regions
        .iter()
        .map(|region| region.name().to_owned())
        .collect();
    let row = sqlx::query!(
        r#"
        UPDATE workers
        SET incarnation = incarnation + CASE WHEN process = $5 THEN 0 ELSE 1 END,
            used_slots = CASE WHEN process = $5 THEN used_slots ELSE 0 END,
            process = $5, address = $2, regions = $3, slots = $4, last_seen_at = now(), stopping = false
        WHERE id = $1
        RETURNING incarnation
        "#,
        registration.id.as_uuid(),
        registration.address,
        &regions,
        registration.slots,
        registration.process,
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(Incarnation(row.incarnation))
}
