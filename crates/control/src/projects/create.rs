//! Makes a project. The administrator's.

use wharf_domain::{OrganizationId, ProjectId, ProjectLimits};
use wharf_store::StoreError;
use wharf_store::projects::{self, NewProject, Project};

use crate::{Control, Error};

/// The organization of projects that name none.
const DEFAULT_ORGANIZATION: &str = "default";
const NAME_LIMIT: usize = 128;

/// A project to be made.
#[derive(Debug, Clone)]
pub struct CreateProject {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: ProjectLimits,
}

/// Makes a project.
///
/// # Errors
/// The name is empty, too long or taken.
pub async fn create(control: &Control, request: CreateProject) -> Result<Project, Error> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT {
        return Err(Error::Invalid(format!(
            "a project's name has 1 to {NAME_LIMIT} characters"
        )));
    }
    let new = NewProject {
        id: ProjectId::mint(&*control.clock, &*control.entropy),
        name,
        limits: request.limits,
        organization_name: DEFAULT_ORGANIZATION,
        organization: OrganizationId::mint(&*control.clock, &*control.entropy),
    };
    let mut transaction = control.store.system().await?;
    let project = projects::create(&mut transaction, new)
        .await
        .map_err(|error| match error {
            StoreError::Constraint { constraint } if constraint == "projects_name_unique" => {
                Error::Conflict(format!("there is a project named {name:?} already"))
            }
            other => other.into(),
        })?;
    transaction.commit().await?;
    Ok(project)
}
