//! Reads one of the caller's sessions.

use wharf_domain::SessionId;

use super::Session;
use super::row::select_sessions;
use crate::{StoreError, TenantTransaction};

/// The caller's session; `None` when there is none of this id, or it is another project's.
///
/// # Errors
/// Postgres does not answer.
pub async fn get(transaction: &mut TenantTransaction, id: SessionId) -> Result<Option<Session>, StoreError> {
    let project = transaction.project().as_uuid();
    select_sessions!(
        "sessions.id = $1 AND sessions.project_id = $2",
        id.as_uuid(),
        project
    )
    .fetch_optional(transaction.connection())
    .await?
    .map(Session::try_from)
    .transpose()
}
