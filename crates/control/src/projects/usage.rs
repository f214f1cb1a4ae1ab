//! Adds up what a project used.

use wharf_domain::ProjectId;
use wharf_store::projects::{self, ProjectUsage};

use crate::{Caller, Control, Error};

/// What the caller's project used this month.
///
/// # Errors
/// The id is another project's, or nobody's.
pub async fn usage(control: &Control, caller: &Caller, id: ProjectId) -> Result<ProjectUsage, Error> {
    if id != caller.project() {
        return Err(Error::not_found("Project", &id));
    }
    let mut transaction = control.store.tenant(caller.project()).await?;
    let usage = projects::usage(&mut transaction).await?;
    transaction.close();
    Ok(usage)
}
