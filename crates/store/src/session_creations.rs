//! The table `session_creations`: which create call made which session, so that a call that is repeated gets it again.

mod adopt;
mod claim;
mod deliver;
mod purge;

use wharf_domain::{ApiKeyId, SessionId};

pub use adopt::adopt;
pub use claim::{Claim, claim, keyed};
pub use deliver::deliver;
pub use purge::purge;

/// A create call that can be told to be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Creation<'call> {
    /// The session that it is to make.
    pub session: SessionId,
    /// The key that it showed.
    pub api_key: ApiKeyId,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<&'call str>,
    /// SHA-256 of its body.
    pub body_hash: &'call [u8; 32],
    /// How often its client says that it has sent it before.
    pub retry_count: i32,
}
