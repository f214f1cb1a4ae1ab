//! The certificates that a session names.

use wharf_domain::CertificateId;
use wharf_store::certificates;

use crate::{Caller, Control, Error, repeat};

/// Certificates that one session can name: at their longest they still fit into a worker's launch.
const MOST: usize = 10;

/// What the caller's certificates say, in PEM and in this order, each once.
///
/// # Errors
/// One is not there or another project's, or they are too many.
pub(crate) async fn trusted(
    control: &Control,
    caller: &Caller,
    ids: &[CertificateId],
) -> Result<Vec<String>, Error> {
    if ids.len() > MOST {
        let count = ids.len();
        return Err(Error::Invalid(format!(
            "body/proxySettings/caCertificates: {count} certificates are more than {MOST}; put several into one file"
        )));
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = repeat(|| async move {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let found = certificates::texts(&mut transaction, ids).await?;
        transaction.close();
        Ok(found)
    })
    .await?;
    if let Some(missing) = ids.iter().find(|id| !found.iter().any(|(has, _)| has == *id)) {
        return Err(Error::not_found("Certificate", missing));
    }
    found.sort_by_key(|(id, _)| ids.iter().position(|asked| asked == id));
    Ok(found.into_iter().map(|(_, pem)| pem).collect())
}
