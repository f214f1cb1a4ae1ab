//! Adds up what a project used this month.

use wharf_domain::Bytes;

use crate::{StoreError, TenantTransaction};

/// What a project used since the first of the month, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectUsage {
    /// Browser time in minutes; each session counts whole minutes, the last one rounded up.
    pub browser_minutes: i64,
    /// Bytes through the sessions' proxies.
    pub proxy_bytes: Bytes,
}

/// The caller's usage: from the ledger, and for running sessions up to now. A session counts in the month in which it
/// started.
///
/// # Errors
/// Postgres does not answer.
pub async fn usage(transaction: &mut TenantTransaction) -> Result<ProjectUsage, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH consumed AS (
            SELECT session_id, sum(browser_ms) / 1000.0 AS seconds, sum(proxy_bytes) AS proxy_bytes
            FROM usage_ledger
            WHERE project_id = $1 AND started_at >= date_trunc('month', now(), 'UTC')
            GROUP BY session_id
            UNION ALL
            SELECT sessions.id, extract(epoch FROM now() - sessions.started_at), coalesce(session_usage.proxy_bytes, 0)
            FROM sessions
            LEFT JOIN session_usage
                ON session_usage.session_id = sessions.id AND session_usage.generation = sessions.generation
            WHERE sessions.project_id = $1 AND status = 'RUNNING'
                AND sessions.started_at >= date_trunc('month', now(), 'UTC')
        )
        SELECT coalesce(sum(ceil(seconds / 60)), 0)::bigint AS "browser_minutes!",
               coalesce(sum(proxy_bytes), 0)::bigint AS "proxy_bytes!"
        FROM consumed
        "#,
        transaction.project().as_uuid(),
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(ProjectUsage {
        browser_minutes: row.browser_minutes,
        proxy_bytes: Bytes(row.proxy_bytes.unsigned_abs()),
    })
}
