//! Stores a new key's hash.

use wharf_domain::{ApiKey, ApiKeyId, ProjectId};

use crate::{StoreError, SystemTransaction};

/// A key to be stored.
#[derive(Debug)]
pub struct NewApiKey<'key> {
    /// The record's id.
    pub id: ApiKeyId,
    /// The project that it opens.
    pub project: ProjectId,
    /// What its maker calls it.
    pub name: &'key str,
    /// The key; only its hash and its last four characters are stored.
    pub key: &'key ApiKey,
}

/// Stores the key.
///
/// # Errors
/// `api_keys_project_id_fkey`: there is no such project.
pub async fn create(transaction: &mut SystemTransaction, new: NewApiKey<'_>) -> Result<(), StoreError> {
    let hash = new.key.hash();
    sqlx::query!(
        "INSERT INTO api_keys (id, project_id, name, hash, hint) VALUES ($1, $2, $3, $4, $5)",
        new.id.as_uuid(),
        new.project.as_uuid(),
        new.name,
        hash.as_bytes(),
        new.key.hint(),
    )
    .execute(transaction.connection())
    .await?;
    Ok(())
}
