//! Reads a project.

use wharf_domain::ProjectId;
use wharf_store::projects::{self, Project};

use crate::{Caller, Control, Error};

/// The caller's project.
///
/// # Errors
/// The id is another project's, or nobody's.
pub async fn get(control: &Control, caller: &Caller, id: ProjectId) -> Result<Project, Error> {
    let not_found = || Error::not_found("Project", &id);
    if id != caller.project() {
        return Err(not_found());
    }
    let mut transaction = control.store.tenant(caller.project()).await?;
    let project = projects::get(&mut transaction).await?.ok_or_else(not_found)?;
    transaction.close();
    Ok(project)
}
