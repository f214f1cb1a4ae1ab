//! The project and key that a first start makes, so that there is something to paste.

use wharf_control::projects::{self, CreateProject};
use wharf_control::{Control, api_keys, authenticate};
use wharf_domain::{ApiKey, ProjectId, ProjectLimits};

use crate::data_dir::DataDir;

const PROJECT_NAME: &str = "default";
const KEY_NAME: &str = "made by wharf up";
/// A developer's own machine should run into its memory before it runs into a limit.
const CONCURRENCY: i64 = 1_000;
const CREATES_PER_MINUTE: i64 = 10_000;

/// The stored key, if it still opens its project; else a new one for the default project.
pub(super) async fn project_and_key(
    control: &Control,
    data_dir: &DataDir,
) -> anyhow::Result<(ProjectId, ApiKey)> {
    if let Some((project, key)) = data_dir.stored_key()?
        && authenticate(control, Some(key.expose()))
            .await
            .is_ok_and(|caller| caller.project() == project)
    {
        return Ok((project, key));
    }
    let present = projects::list_all(control)
        .await?
        .into_iter()
        .find(|project| project.name == PROJECT_NAME);
    let project = match present {
        Some(project) => project.id,
        None => {
            let limits = ProjectLimits::new(CONCURRENCY, CREATES_PER_MINUTE)?;
            projects::create(
                control,
                CreateProject {
                    name: PROJECT_NAME.to_owned(),
                    limits,
                },
            )
            .await?
            .id
        }
    };
    let (_, key) = api_keys::create(control, project, KEY_NAME).await?;
    data_dir.store_key(project, &key)?;
    Ok((project, key))
}
