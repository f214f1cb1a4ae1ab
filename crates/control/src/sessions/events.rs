//! What happened to a session.

use wharf_domain::SessionId;
use wharf_store::sessions::{self, Event};

use crate::{Caller, Control, Error};

/// Every event of the caller's session, oldest first.
///
/// # Errors
/// There is none of this id, or it is another project's.
pub async fn events(control: &Control, caller: &Caller, id: SessionId) -> Result<Vec<Event>, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let present = sessions::get(&mut transaction, id).await?.is_some();
    let events = sessions::events(&mut transaction, id).await?;
    transaction.close();
    // A session that was made before there were events has none.
    if present {
        Ok(events)
    } else {
        Err(Error::not_found("Session", &id))
    }
}
