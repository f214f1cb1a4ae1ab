//! Lists certificates.

use wharf_store::certificates::{self, Certificate};

use crate::{Caller, Control, Error, repeat};

/// All of the caller's, newest first.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(control: &Control, caller: &Caller) -> Result<Vec<Certificate>, Error> {
    let listed = repeat(|| async move {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let listed = certificates::list(&mut transaction).await?;
        transaction.close();
        Ok(listed)
    });
    Ok(listed.await?)
}
