//! Lists the caller's sessions, newest first.
//!
//! Four statements instead of one with optional conditions: each has a plan of its own, which the tests look at.

use serde_json::Value;
use sqlx::Executor;
use uuid::Uuid;
use wharf_domain::{SessionId, SessionStatus};

use super::Session;
use super::row::select_sessions;
use crate::{StoreError, TenantTransaction};

/// Which sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only those in this status.
    pub status: Option<SessionStatus>,
    /// Only those whose metadata contains this object.
    pub metadata: Option<Value>,
    /// Only those older than this one.
    pub before: Option<SessionId>,
}

/// At most `limit` of the caller's sessions, newest first.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(
    transaction: &mut TenantTransaction,
    filter: &SessionFilter,
    limit: i64,
) -> Result<Vec<Session>, StoreError> {
    let project = transaction.project().as_uuid();
    let before = filter.before.map_or(Uuid::max(), SessionId::as_uuid);
    let connection = transaction.connection();
    // Which index pays depends on the project's share of the table and on the metadata asked for. A generic plan knows
    // neither: for a small project it may walk the sessions of all.
    connection
        .execute("SET LOCAL plan_cache_mode = force_custom_plan")
        .await?;
    let rows = match (filter.status.map(SessionStatus::name), &filter.metadata) {
        (None, None) => {
            select_sessions!(
                "sessions.project_id = $1 AND sessions.id < $2 ORDER BY sessions.id DESC LIMIT $3",
                project,
                before,
                limit,
            )
            .fetch_all(connection)
            .await?
        }
        (Some(status), None) => {
            select_sessions!(
                "sessions.project_id = $1 AND sessions.id < $2 AND status = $4 ORDER BY sessions.id DESC LIMIT $3",
                project,
                before,
                limit,
                status,
            )
            .fetch_all(connection)
            .await?
        }
        // On the table itself a tenant's `@>` uses no index: hence the view, whose migration says why.
        (None, Some(metadata)) => {
            select_sessions!(
                "sessions.project_id = $1 AND sessions.id IN (
                    SELECT id FROM own_sessions WHERE id < $2 AND user_metadata @> $4 ORDER BY id DESC LIMIT $3
                ) ORDER BY sessions.id DESC",
                project,
                before,
                limit,
                metadata,
            )
            .fetch_all(connection)
            .await?
        }
        (Some(status), Some(metadata)) => {
            select_sessions!(
                "sessions.project_id = $1 AND sessions.id IN (
                    SELECT id FROM own_sessions
                    WHERE id < $2 AND status = $4 AND user_metadata @> $5 ORDER BY id DESC LIMIT $3
                ) ORDER BY sessions.id DESC",
                project,
                before,
                limit,
                status,
                metadata,
            )
            .fetch_all(connection)
            .await?
        }
    };
    rows.into_iter().map(Session::try_from).collect()
}
