//! A session as its owner sees it.

use wharf_protocol::{ConnectClaims, ConnectToken, Scope};
use wharf_store::sessions::Session;

use crate::Control;

/// A session, and the way in while there is one.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// How to connect; `None` when it has ended, or waits for a place.
    pub connection: Option<Connection>,
}

/// How to connect to a session.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What lets its holder in.
    pub token: ConnectToken,
}

impl SessionView {
    /// The view of a session, with a token if it can be connected to.
    pub(crate) fn of(control: &Control, session: Session) -> Self {
        let place = session.place.as_ref().filter(|_| !session.status.is_terminal());
        let connection = place.map(|place| Connection {
            token: control.connect_signer.sign(&ConnectClaims {
                session: session.id,
                project: session.project,
                generation: session.generation,
                worker: place.address.clone(),
                scope: Scope::Connect,
                expires_at: session.expires_at.timestamp(),
            }),
        });
        Self { session, connection }
    }
}
