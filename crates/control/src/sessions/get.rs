//! Reads a session.

use wharf_domain::SessionId;
use wharf_store::StoreError;
use wharf_store::sessions::{self, Session};

use super::SessionView;
use crate::{Caller, Control, Error, repeat};

/// The caller's session.
///
/// # Errors
/// There is none of this id, or it is another project's.
pub async fn get(control: &Control, caller: &Caller, id: SessionId) -> Result<SessionView, Error> {
    let session = find(control, caller, id)
        .await?
        .ok_or_else(|| Error::not_found("Session", &id))?;
    Ok(SessionView::of(control, session))
}

/// The caller's session, if there is one.
pub(super) async fn find(
    control: &Control,
    caller: &Caller,
    id: SessionId,
) -> Result<Option<Session>, StoreError> {
    repeat(|| async move {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let session = sessions::get(&mut transaction, id).await?;
        transaction.close();
        Ok(session)
    })
    .await
}
