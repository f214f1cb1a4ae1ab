//! Finds sessions that should have moved on by themselves.

use wharf_domain::{EndReason, Generation, SessionId};

use super::LiveSession;
use crate::{StoreError, SystemTransaction};

/// Sessions past their deadline, each with the reason by which it ends: RUNNING ones that their worker should have ended
/// `grace_seconds` ago, and PENDING ones whose launch has taken longer than `launch_seconds`.
///
/// # Errors
/// Postgres does not answer.
pub async fn overdue(
    transaction: &mut SystemTransaction,
    grace_seconds: f64,
    launch_seconds: f64,
) -> Result<Vec<(LiveSession, EndReason)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT id, generation, status FROM sessions
        WHERE ((status = 'RUNNING' AND expires_at < now() - make_interval(secs => $1))
            OR (status = 'PENDING' AND created_at < now() - make_interval(secs => $2)))
            AND id NOT IN (SELECT session_id FROM parked_sessions)
        "#,
        grace_seconds,
        launch_seconds,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let reason = if row.status == "RUNNING" {
                EndReason::Timeout
            } else {
                EndReason::LaunchFailed
            };
            (
                LiveSession {
                    id: SessionId::from(row.id),
                    generation: Generation(row.generation),
                },
                reason,
            )
        })
        .collect())
}
