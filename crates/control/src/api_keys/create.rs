//! Makes an API key.

use wharf_domain::{ApiKey, ApiKeyId, ProjectId};
use wharf_store::StoreError;
use wharf_store::api_keys::{self, NewApiKey};

use crate::{Control, Error};

/// Makes a key for a project. This answer is the only place that ever shows it.
///
/// # Errors
/// There is no such project.
pub async fn create(control: &Control, project: ProjectId, name: &str) -> Result<(ApiKeyId, ApiKey), Error> {
    let key = ApiKey::mint(&*control.entropy);
    let id = ApiKeyId::mint(&*control.clock, &*control.entropy);
    let mut transaction = control.store.system().await?;
    api_keys::create(
        &mut transaction,
        NewApiKey {
            id,
            project,
            name,
            key: &key,
        },
    )
    .await
    .map_err(|error| match error {
        StoreError::Constraint { constraint } if constraint == "api_keys_project_id_fkey" => {
            Error::not_found("Project", &project)
        }
        other => other.into(),
    })?;
    transaction.commit().await?;
    Ok((id, key))
}
