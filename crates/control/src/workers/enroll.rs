//! Makes a worker known. The administrator's.

use wharf_domain::{WorkerCredential, WorkerId};
use wharf_store::workers;

use crate::{Control, Error};

/// Gives the worker of this name a new credential, making it known first if it is new.
///
/// # Errors
/// Postgres does not answer.
pub async fn enroll(control: &Control, name: &str) -> Result<(WorkerId, WorkerCredential), Error> {
    let credential = WorkerCredential::mint(&*control.entropy);
    let id = WorkerId::mint(&*control.clock, &*control.entropy);
    let mut transaction = control.store.system().await?;
    let id = workers::enroll(&mut transaction, id, name, &credential).await?;
    transaction.commit().await?;
    Ok((id, credential))
}
