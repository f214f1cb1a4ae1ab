//! Makes a worker known before its process ever starts.

use wharf_domain::{WorkerCredential, WorkerId};

use crate::{StoreError, SystemTransaction};

/// Stores the worker of this name and what it will prove itself with. A worker of that name that exists keeps its id and
/// gets the new credential: the old one is refused from then on.
///
/// # Errors
/// Postgres does not answer.
pub async fn enroll(
    transaction: &mut SystemTransaction,
    id: WorkerId,
    name: &str,
    credential: &WorkerCredential,
) -> Result<WorkerId, StoreError> {
    let hash = credential.hash();
    let row = sqlx::query!(
        r#"
        INSERT INTO workers (id, name, credential_hash) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET credential_hash = excluded.credential_hash
        RETURNING id
        "#,
        id.as_uuid(),
        name,
        hash.as_bytes(),
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(row.id.into())
}
