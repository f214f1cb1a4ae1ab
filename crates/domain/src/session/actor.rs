//! Who moves a session on.

use uuid::Uuid;

use crate::{ApiKeyId, WorkerId};

/// Whoever caused a transition of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A caller, by the key that it showed.
    ApiKey(ApiKeyId),
    /// The worker that runs the session.
    Worker(WorkerId),
    /// A reconciler, which finishes what a crash left half-done.
    Reconciler,
    /// The control plane, in the course of a create.
    ControlPlane,
}

impl Actor {
    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Worker(_) => "worker",
            Self::Reconciler => "reconciler",
            Self::ControlPlane => "control_plane",
        }
    }

    /// Which one, where there are several.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::ApiKey(id) => Some(id.as_uuid()),
            Self::Worker(id) => Some(id.as_uuid()),
            Self::Reconciler | Self::ControlPlane => None,
        }
    }
}
