//! How long each worker has been silent, for whoever decides which are lost.

use std::time::Duration;

use wharf_domain::WorkerId;

use crate::error::known;
use crate::{StoreError, SystemTransaction};

/// A worker's silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub worker: WorkerId,
    /// The regions it serves.
    pub regions: Vec<wharf_domain::Region>,
    /// Time since its last report.
    pub silent_for: Duration,
    /// Whether sessions still count as its own.
    pub holds_sessions: bool,
}

/// Every worker that has reported within `within`, or still holds sessions. One that was taken away for good long ago has
/// no say in whether most of a region is silent.
///
/// # Errors
/// Postgres does not answer.
pub async fn leases(transaction: &mut SystemTransaction, within: Duration) -> Result<Vec<Lease>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT id, regions, silent_seconds AS "silent_seconds!", holds_sessions AS "holds_sessions!"
        FROM (
            SELECT id, regions, greatest(extract(epoch FROM now() - last_seen_at), 0)::float8 AS silent_seconds,
                   EXISTS (SELECT FROM sessions WHERE worker_id = workers.id AND status IN ('PENDING', 'RUNNING'))
                       AS holds_sessions
            FROM workers WHERE last_seen_at > '-infinity'
        ) AS lease
        WHERE silent_seconds < $1 OR holds_sessions
        "#,
        within.as_secs_f64(),
    )
    .fetch_all(transaction.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Lease {
                worker: row.id.into(),
                regions: row
                    .regions
                    .iter()
                    .map(|region| known("workers", region))
                    .collect::<Result<_, _>>()?,
                silent_for: Duration::from_secs_f64(row.silent_seconds),
                holds_sessions: row.holds_sessions,
            })
        })
        .collect()
}
