//! Stores certificates that sessions can be told to trust.

use wharf_domain::CertificateId;
use wharf_store::certificates::{self, Certificate};

use super::pem;
use crate::{Caller, Control, Error};

/// Uploads that a project can have at once.
const MOST: i64 = 100;

/// Stores what was uploaded for the caller's project, once it has proved to be certificates and nothing else.
///
/// # Errors
/// It is not, or the project has too many.
pub async fn create(control: &Control, caller: &Caller, file: &[u8]) -> Result<Certificate, Error> {
    let pem = pem::certificates(file)
        .map_err(|reason| Error::Invalid(format!("body/file must be certificates in PEM: {reason}")))?;
    let id = CertificateId::mint(&*control.clock, &*control.entropy);
    let mut transaction = control.store.tenant(caller.project()).await?;
    let Some(certificate) = certificates::create(&mut transaction, id, &pem, MOST).await? else {
        return Err(Error::Conflict(format!(
            "The project has {MOST} certificates, which is the most; delete one that no session needs"
        )));
    };
    transaction.commit().await?;
    tracing::info!(certificate = %id, project = %caller.project(), "certificate stored");
    Ok(certificate)
}
