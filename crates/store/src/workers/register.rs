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
}

/// Begins the worker's next incarnation, with every slot free. Sessions of earlier ones are lost; the reconciler ends
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
        SET incarnation = incarnation + 1, address = $2, regions = $3, slots = $4, used_slots = 0, last_seen_at = now(),
            stopping = false
        WHERE id = $1
        RETURNING incarnation
        "#,
        registration.id.as_uuid(),
        registration.address,
        &regions,
        registration.slots,
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(Incarnation(row.incarnation))
}
