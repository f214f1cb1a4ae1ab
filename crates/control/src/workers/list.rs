//! Lists workers. The administrator's.

use wharf_store::workers::{self, WorkerRow};

use crate::{Control, Error};

/// Every worker, by name.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(control: &Control) -> Result<Vec<WorkerRow>, Error> {
    let mut transaction = control.store.system().await?;
    let workers = workers::list(&mut transaction).await?;
    transaction.commit().await?;
    Ok(workers)
}
