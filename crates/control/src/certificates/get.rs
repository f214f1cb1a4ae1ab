//! Reads a certificate's record.

use wharf_domain::CertificateId;
use wharf_store::certificates::{self, Certificate};

use crate::{Caller, Control, Error, repeat};

/// The caller's certificate.
///
/// # Errors
/// There is none of this id, or it is another project's.
pub async fn get(control: &Control, caller: &Caller, id: CertificateId) -> Result<Certificate, Error> {
    let found = repeat(|| async move {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let found = certificates::get(&mut transaction, id).await?;
        transaction.close();
        Ok(found)
    });
    found.await?.ok_or_else(|| Error::not_found("Certificate", &id))
}
