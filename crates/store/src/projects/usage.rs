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

/// The caller's usage. A session counts in the month in which it started.
///
/// # Errors
/// Postgres does not answer.
pub async fn usage(transaction: &mut TenantTransaction) -> Result<ProjectUsage, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT coalesce(sum(ceil(extract(epoch FROM coalesce(sessions.ended_at, now()) - sessions.started_at) / 60)), 0)::bigint
                   AS "browser_minutes!",
               coalesce(sum(consumed.proxy_bytes), 0)::bigint AS "proxy_bytes!"
        FROM sessions
        LEFT JOIN LATERAL (
            SELECT sum(session_usage.proxy_bytes) AS proxy_bytes FROM session_usage
            WHERE session_usage.session_id = sessions.id
        ) AS consumed ON true
        WHERE sessions.project_id = $1 AND sessions.started_at >= date_trunc('month', now(), 'UTC')
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
