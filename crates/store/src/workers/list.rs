//! Lists workers for an operator.

use std::time::Duration;

use wharf_domain::WorkerId;

use crate::{StoreError, SystemTransaction};

/// A worker as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its id.
    pub id: WorkerId,
    /// Its name.
    pub name: String,
    /// Where it is reached: `host:port`; empty before its first start.
    pub address: String,
    /// The regions it serves, by their names.
    pub regions: Vec<String>,
    /// Sessions that it can run at once.
    pub slots: i32,
    /// Sessions that it holds a slot for.
    pub used_slots: i32,
    /// Time since its last report; `None` before the first.
    pub silent_for: Option<Duration>,
    /// Whether it takes no more sessions, by an operator's wish or because it is about to stop.
    pub draining: bool,
}

/// Every worker, by name.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(transaction: &mut SystemTransaction) -> Result<Vec<WorkerRow>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT id, name, address, regions, slots, used_slots, draining OR stopping AS "draining!",
               CASE WHEN last_seen_at > '-infinity'
                    THEN greatest(extract(epoch FROM now() - last_seen_at), 0)::float8 END AS silent_seconds
        FROM workers ORDER BY name
        "#,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WorkerRow {
            id: row.id.into(),
            name: row.name,
            address: row.address,
            regions: row.regions,
            slots: row.slots,
            used_slots: row.used_slots,
            silent_for: row.silent_seconds.map(Duration::from_secs_f64),
            draining: row.draining,
        })
        .collect())
}
