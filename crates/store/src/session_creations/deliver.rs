//! What became of answers to create calls.

use wharf_domain::SessionId;

use crate::{StoreError, SystemTransaction};

/// Notes of these sessions' answers whether they were delivered. What was may turn out not to have been: a connection
/// can break a moment after the last byte was sent. The later note counts.
///
/// # Errors
/// Postgres does not answer.
pub async fn deliver(
    transaction: &mut SystemTransaction,
    answers: &[(SessionId, bool)],
) -> Result<(), StoreError> {
    let sessions: Vec<_> = answers.iter().map(|(id, _)| id.as_uuid()).collect();
    let delivered: Vec<_> = answers.iter().map(|(_, delivered)| *delivered).collect();
    sqlx::query!(
        r#"
        UPDATE session_creations SET delivered_at = CASE WHEN answer.delivered THEN now() END
        FROM unnest($1::uuid[], $2::boolean[]) AS answer (session_id, delivered)
        WHERE session_creations.session_id = answer.session_id
        "#,
        &sessions,
        &delivered,
    )
    .execute(transaction.connection())
    .await?;
    Ok(())
}
