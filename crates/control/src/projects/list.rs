//! Lists projects.

use wharf_store::projects::{self, Project};

use crate::{Caller, Control, Error};

/// The projects that the caller's key opens: its own.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(control: &Control, caller: &Caller) -> Result<Vec<Project>, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let project = projects::get(&mut transaction).await?;
    transaction.close();
    Ok(project.into_iter().collect())
}

/// Every project. The administrator's.
///
/// # Errors
/// Postgres does not answer.
pub async fn list_all(control: &Control) -> Result<Vec<Project>, Error> {
    let mut transaction = control.store.system().await?;
    let projects = projects::list(&mut transaction).await?;
    transaction.close();
    Ok(projects)
}
