//! Deletes a certificate.

use wharf_domain::CertificateId;
use wharf_store::certificates;

use crate::{Caller, Control, Error};

/// Deletes the caller's certificate. Sessions that run go on trusting it; no new one can.
///
/// # Errors
/// There is none of this id, or it is another project's.
pub async fn delete(control: &Control, caller: &Caller, id: CertificateId) -> Result<(), Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let deleted = certificates::delete(&mut transaction, id).await?;
    transaction.commit().await?;
    match deleted {
        true => Ok(()),
        false => Err(Error::not_found("Certificate", &id)),
    }
}
