//! Control plane to worker: end a session.

use serde::{Deserialize, Serialize};
use wharf_domain::{EndReason, Generation, SessionId};

/// End a session. A worker that does not run it answers the same: there is nothing left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRequest {
    /// The session.
    pub session: SessionId,
    /// The launch that is meant; a later one is left alone.
    pub generation: Generation,
    /// Why it ends.
    pub reason: EndReason,
}
