//! Lists a project's API keys.

use wharf_domain::ProjectId;
use wharf_store::api_keys::{self, ApiKeyRecord};

use crate::{Control, Error};

/// What is known of a project's keys, oldest first.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(control: &Control, project: ProjectId) -> Result<Vec<ApiKeyRecord>, Error> {
    let mut transaction = control.store.system().await?;
    let keys = api_keys::list(&mut transaction, project).await?;
    transaction.commit().await?;
    Ok(keys)
}
