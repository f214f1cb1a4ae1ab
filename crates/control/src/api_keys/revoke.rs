//! Revokes an API key.

use wharf_domain::{ApiKeyId, ProjectId};
use wharf_store::api_keys;

use crate::{Control, Error};

/// Revokes a key. Every replica refuses it within two seconds: as long as it believes a key without asking.
///
/// # Errors
/// The project has no such key.
pub async fn revoke(control: &Control, project: ProjectId, id: ApiKeyId) -> Result<(), Error> {
    let mut transaction = control.store.system().await?;
    let found = api_keys::revoke(&mut transaction, project, id).await?;
    transaction.commit().await?;
    if found {
        Ok(())
    } else {
        Err(Error::not_found("API key", &id))
    }
}
