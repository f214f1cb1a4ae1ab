//! Reads a session.

use wharf_domain::SessionId;
use wharf_store::sessions;

use super::SessionView;
use crate::{Caller, Control, Error};

/// The caller's session.
///
/// # Errors
/// There is none of this id, or it is another project's.
pub async fn get(control: &Control, caller: &Caller, id: SessionId) -> Result<SessionView, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let session = sessions::get(&mut transaction, id)
        .await?
        .ok_or_else(|| Error::not_found("Session", &id))?;
    transaction.commit().await?;
    Ok(SessionView::of(control, session))
}
