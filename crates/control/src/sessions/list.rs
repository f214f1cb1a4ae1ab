//! Lists sessions.

use wharf_domain::{MetadataQuery, SessionId, SessionStatus};
use wharf_store::sessions::{self, Session, SessionFilter};

use crate::{Caller, Control, Error};

/// Which sessions, and how many.
#[derive(Debug, Clone)]
pub struct ListSessions {
    /// Only those in this status.
    pub status: Option<SessionStatus>,
    /// Only those whose metadata matches.
    pub query: Option<MetadataQuery>,
    /// Only those older than this one.
    pub before: Option<SessionId>,
    /// At most so many.
    pub limit: u16,
}

/// Sessions, newest first, and whether there are more.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// The last of them, when older ones match too: what to ask for the ones `before`.
    pub more_before: Option<SessionId>,
}

/// The caller's sessions.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(control: &Control, caller: &Caller, request: ListSessions) -> Result<SessionPage, Error> {
    let metadata = match request.query.as_ref().map(MetadataQuery::containment) {
        // The conditions exclude each other.
        Some(None) => {
            return Ok(SessionPage {
                sessions: Vec::new(),
                more_before: None,
            });
        }
        Some(containment) => containment,
        None => None,
    };
    let filter = SessionFilter {
        status: request.status,
        metadata,
        before: request.before,
    };
    let limit = usize::from(request.limit);
    let mut transaction = control.store.tenant(caller.project()).await?;
    // One more than asked for tells whether there are more.
    let mut sessions = sessions::list(&mut transaction, &filter, i64::from(request.limit) + 1).await?;
    transaction.close();
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let more_before = if more {
        sessions.last().map(|session| session.id)
    } else {
        None
    };
    Ok(SessionPage {
        sessions,
        more_before,
    })
}
